# SPDX-License-Identifier: Apache-2.0
"""What the compiler may know of a kernel, and nothing else.

The loader answers for the running kernel, tests answer from a table. Answers must not
change while a policy set is compiled. A name that the kernel does not have is None,
never an exception; what was asked once may be asked again and should be fast then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tetragon_py.compiler.plan import PointKind

__all__ = [
    "CType",
    "Member",
    "Parameter",
    "Signature",
    "Target",
    "TracepointField",
    "TypeClass",
]

TypeClass: TypeAlias = Literal[
    "void",
    "integer",  # also bool and char
    "enum",
    "pointer",
    "struct",
    "union",
    "array",
    "other",  # functions, floating point, forward declarations
]


@dataclass(frozen=True, slots=True)
class CType:
    """A C type behind its typedefs and qualifiers.

    Attributes:
        kind: What it is.
        name: Tag of a struct, union or enum ("task_struct"), BTF's name of an integer
            ("char", "unsigned long"), "" for all else and for what has no tag.
        size: Bytes; of a pointer 8, of an array all elements, of void 0.
        is_signed: Of integers and enums; char is signed on x86 as in C.
        to: What a pointer points to; an element of an array. A struct is not opened
            here: `Target.members` does that.
        count: Elements of an array.
        typedef: The outermost typedef that led here ("kernel_cap_t", "size_t"), or "".
        id: The target's own number of a struct or union: its BTF type id, 0 else.
        module: Whose BTF `id` belongs to; "" for vmlinux.
    """

    kind: TypeClass
    name: str = ""
    size: int = 0
    is_signed: bool = False
    to: CType | None = None
    count: int = 0
    typedef: str = ""
    id: int = 0
    module: str = ""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a function."""

    name: str
    type: CType


@dataclass(frozen=True, slots=True)
class Signature:
    """Parameters and the returned type. Raw tracepoints and lsm hooks: all of theirs.

    Of a raw tracepoint the hidden first parameter (void *__data) is left out, and
    `returns` is void.
    """

    parameters: tuple[Parameter, ...]
    returns: CType


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a struct or union.

    Attributes:
        name: "" for an unnamed struct or union inside: its members count as the
            outer one's; the compiler looks into it.
        offset: Bytes from the beginning; of a bit field those of its first byte.
        type: Its type.
        bits: Width of a bit field, 0 for all else.
    """

    name: str
    offset: int
    type: CType
    bits: int = 0


@dataclass(frozen=True, slots=True)
class TracepointField:
    """One `field:` line of a tracepoint's format file.

    Attributes:
        name: Without the brackets of an array: "buf" of "char buf[16]".
        type: C type as the file has it, without the name and with the brackets:
            "unsigned int", "char[16]", "__data_loc char[]", "const char *".
        offset: Bytes from the record's beginning.
        size: Bytes; of a __data_loc those of its 32-bit locator.
        is_signed: As the file says.
        is_data_loc: The field is "__data_loc" (not "__rel_loc").
    """

    name: str
    type: str
    offset: int
    size: int
    is_signed: bool = False
    is_data_loc: bool = False


class Target(Protocol):
    """A kernel, as far as a plan depends on it."""

    @property
    def native_abi(self) -> str:
        """The ABI of 64-bit programs: "x64" or "arm64"."""

    @property
    def features(self) -> frozenset[str]:
        """The names in tetragon_py/libbpf/features.py that the kernel has."""

    @property
    def host_namespaces(self) -> Mapping[str, int]:
        """Fields of struct namespaces ("uts", "pid_for_children") -> process 1's inode.

        Kinds that the kernel does not have are missing.
        """

    @property
    def text_bytes_max(self) -> int:
        """Longest text that a hash key of this kernel holds.

        LONG_TEXT_BYTES, or SHORT_TEXT_BYTES where the keys of hashes end at 512 bytes.
        """

    def has_symbol(self, name: str) -> bool:
        """Whether a kernel function of this name can be hooked, also one of a module.

        More than `function` knows: some functions have no BTF.
        """

    def function(self, name: str) -> Signature | None:
        """The signature of a kernel function from BTF, vmlinux's first."""

    def syscall_number(self, name: str, abi: str) -> int | None:
        """The number of "openat" in the table of an ABI.

        ABIs: "x64", "i386", "arm64", "arm32"; None for those that this kernel does
        not run and for calls that it does not have.
        """

    def syscall_names(self, abi: str) -> Collection[str]:
        """All calls of the table of an ABI that the kernel has: "openat"."""

    def tracepoint(
        self, subsystem: str, event: str
    ) -> tuple[TracepointField, ...] | None:
        """The fields in the order of the format file, with the common ones first."""

    def raw_tracepoint(self, name: str) -> Signature | None:
        """The arguments of a raw tracepoint ("sched_switch"), from btf_trace_<name>."""

    def lsm_hook(self, name: str) -> Signature | None:
        """The signature of bpf_lsm_<name>."""

    def names(self, kind: PointKind) -> Collection[str]:
        """All names of a kind, for patterns and for hints; may be empty.

        "function": what `has_symbol` is true for; "tracepoint": "subsystem/event";
        "syscall": those of the native ABI; "raw_tracepoint", "lsm": as looked up.
        """

    def struct(self, name: str, module: str = "") -> CType | None:
        """The struct or union of this tag, or a typedef of one.

        With `module` from that module's BTF (and what it uses of vmlinux's); None also
        if the module is not loaded.
        """

    def members(self, struct: CType) -> tuple[Member, ...]:
        """The members of a struct or union that came from here, in their order."""
