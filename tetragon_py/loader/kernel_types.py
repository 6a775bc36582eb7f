# SPDX-License-Identifier: Apache-2.0
"""BTF as the compiler sees C types: behind typedefs and qualifiers, with places."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from tetragon_py.compiler.target import CType, Member, Parameter, Signature
from tetragon_py.libbpf import btf as b

if TYPE_CHECKING:
    from tetragon_py.compiler.target import TypeClass
    from tetragon_py.libbpf.btf import Btf, BtfType

__all__ = ["TypeReader"]

_VOID = CType("void")
_POINTER_BYTES = 8
_QUALIFIERS = frozenset(
    (b.KIND_CONST, b.KIND_VOLATILE, b.KIND_RESTRICT, b.KIND_TYPE_TAG)
)
_RECORDS = {b.KIND_STRUCT: "struct", b.KIND_UNION: "union"}
_ENUMS = frozenset((b.KIND_ENUM, b.KIND_ENUM64))
_INT_SIGNED = 1 << 24  # BTF_INT_SIGNED in the encoding's byte


class TypeReader:
    """The types of vmlinux, or of a module on top of those that `base` reads."""

    def __init__(
        self, types: Btf, base: TypeReader | None = None, module: str = ""
    ) -> None:
        #: What is read.
        self.types = types
        self._base = base
        self._module = module
        self._known: dict[int, CType] = {}
        self._members: dict[int, tuple[Member, ...]] = {}

    def find(self, name: str, kind: int) -> int | None:
        """The number of a type, the base's if this module has none of that name."""
        found = self.types.find(name, kind)
        return self._base.find(name, kind) if found is None and self._base else found

    def function(self, name: str) -> Signature | None:
        """The signature of a function."""
        found = self.types.find(name, b.KIND_FUNC)
        return self._signature(self.types.type(found).value) if found else None

    def function_type(self, name: str) -> Signature | None:
        """The signature behind a typedef of a pointer to a function."""
        found = self.types.find(name, b.KIND_TYPEDEF)
        while found:
            target = self.types.type(found)
            if target.kind == b.KIND_FUNC_PROTO:
                return self._signature(found)
            is_on_the_way = target.kind in {b.KIND_TYPEDEF, b.KIND_PTR, *_QUALIFIERS}
            found = target.value if is_on_the_way else None
        return None

    def record(self, name: str) -> CType | None:
        """The struct, union or typedef of one of that name, own before the base's."""
        for kind in (*_RECORDS, b.KIND_TYPEDEF):
            found = self.types.find(name, kind)
            if found and (ctype := self.type(found)).kind in {"struct", "union"}:
                return ctype
        return self._base.record(name) if self._base else None

    def members(self, number: int) -> tuple[Member, ...]:
        """The members of the struct or union of that number."""
        if self._base and number < self.types.first:
            return self._base.members(number)
        found = self._members.get(number)
        if found is None:
            fields = self.types.members(self.types.type(number))
            found = self._members[number] = tuple(
                Member(name, place // 8, self.type(kind), bits)
                for name, kind, place, bits in fields
            )
        return found

    def type(self, number: int) -> CType:
        """The type of that number."""
        if not number:
            return _VOID
        if self._base and number < self.types.first:
            return self._base.type(number)
        found = self._known.get(number)
        if found is None:
            found = self._known[number] = self._read(number)
        return found

    def _signature(self, number: int) -> Signature:
        prototype = self.types.type(number)
        parameters = self.types.parameters(prototype)
        return Signature(
            tuple(Parameter(field.name, self.type(field.type)) for field in parameters),
            self.type(prototype.value),
        )

    def _read(self, number: int) -> CType:
        typedef = ""
        target = self.types.type(number)
        while target.kind in _QUALIFIERS or target.kind == b.KIND_TYPEDEF:
            if target.kind == b.KIND_TYPEDEF:
                typedef = typedef or target.name
            number = target.value
            if not number:
                return CType("void", typedef=typedef)
            target = self.types.type(number)
        if target.kind == b.KIND_FWD:
            number, target = self._defined(number, target)
        return self._describe(number, target, typedef)

    # A forward declaration is as good as the definition, where there is one.
    def _defined(self, number: int, declared: BtfType) -> tuple[int, BtfType]:
        kind = b.KIND_UNION if declared.flag else b.KIND_STRUCT
        found = self.find(declared.name, kind)
        return (found, self.types.type(found)) if found else (number, declared)

    def _describe(self, number: int, target: BtfType, typedef: str) -> CType:
        kind, name, size = target.kind, target.name, target.value
        if record := _RECORDS.get(kind):
            is_own = not self._base or number >= self.types.first
            module = self._module if is_own else ""
            what = cast("TypeClass", record)
            return CType(what, name, size, typedef=typedef, id=number, module=module)
        if kind == b.KIND_INT:
            is_signed = bool(target.words[0] & _INT_SIGNED)
            return CType("integer", name, size, is_signed, typedef=typedef)
        if kind == b.KIND_PTR:
            pointee = self.type(target.value)
            return CType("pointer", "", _POINTER_BYTES, to=pointee, typedef=typedef)
        if kind == b.KIND_ARRAY:
            element, _, count = target.words
            of = self.type(element)
            total = count * of.size
            return CType("array", "", total, to=of, count=count, typedef=typedef)
        if kind in _ENUMS:
            return CType("enum", name, size, _is_signed(target), typedef=typedef)
        has_size = kind == b.KIND_FLOAT
        return CType("other", name, size if has_size else 0, typedef=typedef)


# Since Linux commit 6089fb325cf7 ("bpf: Add btf enum64 support") (v6.0) the flag tells;
# before that, a negative value does.
def _is_signed(enum: BtfType) -> bool:
    words = enum.words
    is_narrow = enum.kind == b.KIND_ENUM
    return enum.flag or (is_narrow and any(value >> 31 for value in words[1::2]))
