# SPDX-License-Identifier: Apache-2.0
"""Look-ups in the running kernel's type information (/sys/kernel/btf).

`Btf` is what the kernel or one of its modules tells about its types, as BTF has it:
numbered types that refer to one another. The functions ask vmlinux alone.
"""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tetragon_py.errors import UnsupportedError
from tetragon_py.libbpf._libbpf import ffi, lib
from tetragon_py.libbpf.messages import flush_messages

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "KIND_ARRAY",
    "KIND_CONST",
    "KIND_ENUM",
    "KIND_ENUM64",
    "KIND_FLOAT",
    "KIND_FUNC",
    "KIND_FUNC_PROTO",
    "KIND_FWD",
    "KIND_INT",
    "KIND_PTR",
    "KIND_RESTRICT",
    "KIND_STRUCT",
    "KIND_TYPEDEF",
    "KIND_TYPE_TAG",
    "KIND_UNION",
    "KIND_VAR",
    "KIND_VOID",
    "KIND_VOLATILE",
    "MODULES",
    "Btf",
    "BtfField",
    "BtfType",
    "function_arguments",
    "has_kernel_btf",
    "has_preemptible_tracepoints",
    "require_kernel_btf",
    "type_id",
]

# Documentation/bpf/btf.rst
KIND_VOID = 0
KIND_INT = 1
KIND_PTR = 2
KIND_ARRAY = 3
KIND_STRUCT = 4
KIND_UNION = 5
KIND_ENUM = 6
KIND_FWD = 7
KIND_TYPEDEF = 8
KIND_VOLATILE = 9
KIND_CONST = 10
KIND_RESTRICT = 11
KIND_FUNC = 12
KIND_FUNC_PROTO = 13
KIND_VAR = 14
KIND_FLOAT = 16
KIND_TYPE_TAG = 18
KIND_ENUM64 = 19

#: Where each module with BTF has a file of its name.
MODULES = Path("/sys/kernel/btf")

#: struct btf_type: name, info, size or type.
_HEAD = struct.Struct("=III")
#: Kind -> 32-bit words that follow: fixed, and for each of its entries.
_FIXED = {KIND_INT: 1, KIND_ARRAY: 3, KIND_VAR: 1}
_EACH = {KIND_STRUCT: 3, KIND_UNION: 3, KIND_ENUM: 2, KIND_ENUM64: 3}
_EACH[KIND_FUNC_PROTO] = 2


class BtfType(NamedTuple):
    """One type.

    Attributes:
        kind: KIND_*.
        name: "" for what has none.
        flag: The kind's flag: bit fields, or signed values of an enum.
        value: Size in bytes, or the number of the type that this one refers to.
        words: What follows: an integer's encoding; of an array the numbers of its
            element's and index type and the count; name, value, ... of an enum.
    """

    kind: int
    name: str
    flag: bool
    value: int
    words: tuple[int, ...]


class BtfField(NamedTuple):
    """A member of a struct or union, or a parameter (which has no place)."""

    name: str
    type: int
    bit_offset: int = 0
    bits: int = 0  # width of a bit field


class Btf:
    """The types of vmlinux, or those of a module on top of them.

    Use `Btf.kernel()` or `Btf.open()`. Numbers below `first` are the base's, and
    look-ups by name find only the others. For one thread.
    """

    def __init__(self, pointer: object, base: Btf | None = None) -> None:
        self._pointer = pointer
        self._base = base  # libbpf has a pointer to it
        #: The first number of its own.
        self.first: int = lib.btf__type_cnt(base._pointer) if base else 1  # noqa: SLF001 - of this class
        names = lib.tpy_names_new(pointer, self.first)
        if names == ffi.NULL:
            raise MemoryError
        self._names = ffi.gc(names, lib.tpy_names_free)

    @classmethod
    def kernel(cls) -> Btf | None:
        """The types of vmlinux; None if this kernel tells none."""
        return cls(lib.tpy_btf_kernel()) if has_kernel_btf() else None

    @classmethod
    def open(cls, path: Path, base: Btf | None = None) -> Btf | None:
        """The types in a file, on top of `base` if it is a module's, or None."""
        pointer = lib.btf__parse_split(
            bytes(path),
            base._pointer if base else ffi.NULL,  # noqa: SLF001 - of this class
        )
        flush_messages(quiet=True)
        if pointer == ffi.NULL:
            return None
        return cls(ffi.gc(pointer, lib.btf__free), base)

    def find(self, name: str, kind: int) -> int | None:
        """The lowest number of a type of its own, or None."""
        found: int = lib.tpy_names_find(self._names, name.encode(), kind)
        return found if found > 0 else None

    def names(self, kind: int, prefix: str = "") -> list[str]:
        """Names of its own types of a kind that begin with `prefix`, without it."""
        wanted = (self._pointer, self.first, kind, prefix.encode())
        text = bytearray(lib.tpy_btf_names(*wanted, ffi.NULL, 0))
        lib.tpy_btf_names(*wanted, ffi.from_buffer("char[]", text), len(text))
        found = text.decode("utf-8", "replace").split("\0")[:-1]
        return [name[len(prefix) :] for name in found]

    def type(self, number: int) -> BtfType:
        """The type of that number, also one of the base."""
        pointer = lib.btf__type_by_id(self._pointer, number)
        if pointer == ffi.NULL:
            raise LookupError(f"BTF type {number}")
        name, info, value = _HEAD.unpack(ffi.buffer(pointer, _HEAD.size))
        kind = info >> 24 & 0x1F
        count = _FIXED.get(kind, 0) + (info & 0xFFFF) * _EACH.get(kind, 0)
        words: tuple[int, ...] = ()
        if count:
            whole = ffi.buffer(pointer, _HEAD.size + 4 * count)
            words = struct.unpack_from(f"={count}I", whole, _HEAD.size)
        return BtfType(kind, self._text(name), bool(info >> 31), value, words)

    def members(self, of: BtfType) -> Iterator[BtfField]:
        """The members of a struct or union, in their order."""
        for name, number, place in _by(3, of.words):
            if of.flag:
                yield BtfField(self._text(name), number, place & 0xFFFFFF, place >> 24)
            else:
                yield self._plain_member(self._text(name), number, place)

    def parameters(self, of: BtfType) -> Iterator[BtfField]:
        """The parameters of a function prototype; "..." is none."""
        for name, number in _by(2, of.words):
            if number:
                yield BtfField(self._text(name), number)

    # Where no member of a struct is flagged, the integer's own encoding tells of a bit
    # field: its offset and width.
    def _plain_member(self, name: str, number: int, place: int) -> BtfField:
        target = self.type(number)
        while target.kind in {KIND_TYPEDEF, KIND_CONST, KIND_VOLATILE}:
            target = self.type(target.value)
        if target.kind == KIND_INT:
            encoding = target.words[0]
            if (width := encoding & 0xFF) != target.value * 8:
                return BtfField(name, number, place + (encoding >> 16 & 0xFF), width)
        return BtfField(name, number, place)

    def _text(self, offset: int) -> str:
        if not offset:
            return ""
        text: bytes = ffi.string(lib.btf__str_by_offset(self._pointer, offset))
        return text.decode("utf-8", "replace")


def _by(count: int, words: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    return zip(*[iter(words)] * count, strict=True)


def has_kernel_btf() -> bool:
    """Whether the kernel was built with CONFIG_DEBUG_INFO_BTF; parses it once."""
    result = lib.tpy_btf_load_kernel()
    flush_messages(quiet=True)
    return result == 0


def require_kernel_btf() -> None:
    """Raise UnsupportedError without it: programs could not be relocated."""
    if not has_kernel_btf():
        raise UnsupportedError(
            "kernel BTF",
            "5.10",
            "/sys/kernel/btf/vmlinux is missing; "
            "boot a kernel that is built with CONFIG_DEBUG_INFO_BTF=y",
        )


def type_id(name: str, kind: int) -> int | None:
    """The number of a type of the kernel, or None."""
    if not has_kernel_btf():
        return None
    found = lib.tpy_btf_find(name.encode(), kind)
    return found if found > 0 else None


@cache
def has_preemptible_tracepoints() -> bool:
    """Whether a task can be preempted in a program on a tracepoint (since Linux 7.0).

    Tracepoints are then guarded by fast SRCU: the SRCU of their own, which kernels up
    to 6.12 had for another purpose, and the counters that came with the fast kind
    (v6.15).
    """
    return (
        type_id("tracepoint_srcu_srcu_data", KIND_VAR) is not None
        and type_id("srcu_ctr", KIND_STRUCT) is not None
    )


def function_arguments(name: str) -> int | None:
    """How many arguments a kernel function has; None if there is no such one."""
    if not has_kernel_btf():
        return None
    count = lib.tpy_btf_function_arguments(name.encode())
    return count if count >= 0 else None
