# SPDX-License-Identifier: Apache-2.0
"""A kernel of two functions and a tracepoint, for the compiler: it is never hooked."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.target import CType, Member, TracepointField
from tetragon_py.policy.model.kernel_names import Namespace

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tetragon_py.compiler.plan import PointKind
    from tetragon_py.compiler.target import Signature

__all__ = [
    "EVENT",
    "FIELDS",
    "FUNCTION",
    "OTHER_FUNCTION",
    "SUBSYSTEM",
    "SYSCALLS",
    "TASK_MEMBERS",
    "Field",
    "FuzzTarget",
]

#: The one whose hits are compared, and one that only adds to the classes of processes.
FUNCTION = "fuzzed"
OTHER_FUNCTION = "other"
SUBSYSTEM, EVENT = "fuzz", "hits"
#: ABI -> system calls: numbers that are far apart and next to each other.
SYSCALLS = {
    "x64": {"read": 0, "write": 1, "open": 2, "kill": 62, "openat": 257, "bpf": 321},
    "i386": {"read": 3, "write": 4, "kill": 37, "openat": 295},
}
#: Member of struct task_struct -> offset, bytes, signed.
TASK_MEMBERS = {
    "flags": (44, 4, False),
    "exit_code": (64, 4, True),
    "utime": (128, 8, False),
}


class Field(NamedTuple):
    """A field of the tracepoint's record."""

    offset: int
    size: int
    type: str
    is_data_loc: bool = False


#: Its fields by their number; 0 to 3 are those that all tracepoints have.
FIELDS = {
    4: Field(8, 8, "long"),
    5: Field(16, 4, "__data_loc char[]", is_data_loc=True),
    6: Field(20, 16, "char[16]"),
    7: Field(36, 4, "unsigned int"),
    8: Field(40, 4, "__data_loc char[]", is_data_loc=True),
    9: Field(44, 2, "short"),
    10: Field(46, 1, "u8"),
}
_COMMON = (
    *(Field(0, 2, "unsigned short"), Field(2, 1, "unsigned char")),
    *(Field(3, 1, "unsigned char"), Field(4, 4, "int")),
)
_TASK = CType("struct", "task_struct", size=4096, id=1)


class FuzzTarget:
    """A `Target`. Functions have no BTF: arguments are what policies say."""

    native_abi = "x64"
    features: frozenset[str] = frozenset()

    def __init__(
        self, host_namespaces: Mapping[Namespace, int], text_bytes_max: int
    ) -> None:
        fields = (name for name in Namespace)
        self.host_namespaces = {
            _field(name): host_namespaces[name]
            for name in fields
            if name in host_namespaces
        }
        self.text_bytes_max = text_bytes_max

    def has_symbol(self, name: str) -> bool:
        return name in {FUNCTION, OTHER_FUNCTION}

    def function(self, name: str) -> Signature | None:
        return None

    def syscall_number(self, name: str, abi: str) -> int | None:
        return SYSCALLS.get(abi, {}).get(name)

    def syscall_names(self, abi: str) -> Collection[str]:
        return SYSCALLS.get(abi, {})

    def tracepoint(
        self, subsystem: str, event: str
    ) -> tuple[TracepointField, ...] | None:
        if (subsystem, event) != (SUBSYSTEM, EVENT):
            return None
        return tuple(
            TracepointField(
                f"field_{number}", f.type, f.offset, f.size, is_data_loc=f.is_data_loc
            )
            for number, f in enumerate((*_COMMON, *FIELDS.values()))
        )

    def raw_tracepoint(self, name: str) -> Signature | None:
        return None

    def lsm_hook(self, name: str) -> Signature | None:
        return None

    def names(self, kind: PointKind) -> Collection[str]:
        return (FUNCTION, OTHER_FUNCTION) if kind == "function" else ()

    def struct(self, name: str, module: str = "") -> CType | None:
        return _TASK if name == _TASK.name else None

    def members(self, struct: CType) -> tuple[Member, ...]:
        return tuple(
            Member(name, offset, _integer(size, is_signed=is_signed))
            for name, (offset, size, is_signed) in TASK_MEMBERS.items()
        )


def _integer(size: int, *, is_signed: bool) -> CType:
    name = {4: "int", 8: "long"}[size]
    if not is_signed:
        name = f"unsigned {name}"
    return CType("integer", name, size=size, is_signed=is_signed)


# As the fields of struct namespaces are called.
def _field(namespace: Namespace) -> str:
    fields = {name.replace("_", ""): name for name in c.NAMESPACES_FIELDS}
    return fields[namespace.value.lower()]
