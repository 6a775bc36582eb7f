# SPDX-License-Identifier: Apache-2.0
"""The compiler's result: what the kernel side is to hold, without numbers of maps.

The shapes are those of bpf/abi/policy.h, where their meaning is explained. Here a
vector is a Python integer (bit n: selector n of the hook), and a table is its rows; the
loader gives both their places in the maps. All values are frozen and compare by
content, so that a hook whose plan is equal needs no new tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from tetragon_py.abi import _generated as c

__all__ = [
    "AddressRow",
    "ArgumentPlan",
    "AttachPoint",
    "AutomatonRow",
    "ClassPlan",
    "DimensionPlan",
    "HookPlan",
    "Plan",
    "PointKind",
    "Rows",
    "SelectorPlan",
    "Vector",
]

Vector: TypeAlias = int

PointKind: TypeAlias = Literal[
    "function",  # kernel function: kprobes and fentries with syscall: false
    "syscall",  # a system call by name
    "tracepoint",  # perf tracepoint "subsystem/event"
    "raw_tracepoint",
    "lsm",
    "guard",  # a system call that is decided in an LSM hook
    "call",  # a system call whose function is replaced
]


@dataclass(frozen=True, slots=True)
class AttachPoint:
    """Where a hook attaches. One hook per point serves all policies.

    Attributes:
        kind: Section of the policy, without what the kernel chooses.
        name: Symbol without "__x64_" and the like for a system call ("openat"),
            "subsystem/event" for a tracepoint, hook name without "bpf_lsm_" for lsm.
            Of guard and call that of the system call.
        abi: Of a system call: "x64", "i386", "arm64" or "arm32"; else "".
        through: Of a guard: the LSM hook.
    """

    kind: PointKind
    name: str
    abi: str = ""
    through: str = ""


@dataclass(frozen=True, slots=True)
class ArgumentPlan:
    """struct argument_config: one thing to capture, in its slot."""

    type: int  # ARGUMENT_*
    source: int  # FROM_*
    form: int = 0  # FORM_*
    index: int = 0
    offset: int = 0
    size: int = 0
    size_register: int = 0
    flags: int = 0
    steps: tuple[tuple[int, bool], ...] = ()  # offset, dereference


@dataclass(frozen=True, slots=True)
class AutomatonRow:
    """A state: 256 next states by byte, and the vector of what ends here."""

    following: tuple[int, ...]
    found: Vector


@dataclass(frozen=True, slots=True)
class AddressRow:
    """`bits` leading bits of `address` (4 or 16 bytes) -> vector."""

    address: bytes
    bits: int
    vector: Vector


#: By kind of dimension:
#: RANGE (low, vector), ascending, the first low is 0 (signed: the sign bit is flipped);
#: BITS and NO_BITS (bit, vector); CLASS (class, vector), from 0 on without gaps;
#: TEXT (pattern, vector): Equal's patterns end with a NUL; TEXT_END (reversed pattern,
#: vector); both hold in each row the bits of all shorter patterns that it begins with;
#: TEXT_WHOLE (text, vector); SUBSTRING and NO_SUBSTRING automaton rows; ADDRESS rows.
Rows: TypeAlias = (
    tuple[tuple[int, Vector], ...]
    | tuple[tuple[bytes, Vector], ...]
    | tuple[AutomatonRow, ...]
    | tuple[AddressRow, ...]
)


@dataclass(frozen=True, slots=True)
class DimensionPlan:
    """struct dimension: one look-up. See Rows."""

    kind: int  # DIMENSION_*
    source: int  # SOURCE_*
    rows: Rows
    miss: Vector  # readable, in no row
    error: Vector  # could not be read
    slot: int = 0
    offset: int = 0
    width: int = 8
    flags: int = 0  # DIMENSION_SIGNED, DIMENSION_AT_RETURN


@dataclass(frozen=True, slots=True)
class SelectorPlan:
    """struct selector: one selector of one policy on this hook.

    Attributes:
        policy: The policy's key: its name.
        hook_entry: Path of the hook in the policy: "spec.kprobes[0]".
        number: Position in that entry's selectors; 0 for a hook without selectors.
        label: Of the selector, for counters.
        last: The policy's last selector on this hook, as a bit number.
        actions: ACTION_* that are asked for.
        monitored: Of these, what is only counted.
        tells_return: It acts when the function returns.
        enforcer: Number of the policy's enforcers, which NotifyEnforcer means.
        failure_signal: Sent if an action cannot be carried out.
        arguments: Slots that the event shows, in the order of the policy's args.
        data: The same of `data`.
    """

    policy: str
    hook_entry: str
    number: int
    last: int
    actions: int
    arguments: tuple[int, ...] = ()
    data: tuple[int, ...] = ()
    return_slot: int | None = None
    tells_return: bool = False
    monitored: int = 0
    label: str = ""
    signal: int = 0
    error: int = 0
    sock_slot: int = 0
    rate_ms: int = 0
    rate_scope: int = 0
    enforcer: int = 0
    failure_signal: int = 0


@dataclass(frozen=True, slots=True)
class HookPlan:
    """All that all policies want of one attach point."""

    point: AttachPoint
    arguments: tuple[ArgumentPlan, ...]
    dimensions: tuple[DimensionPlan, ...]  # those at return last
    selectors: tuple[SelectorPlan, ...]
    wants_return: bool = False
    prefers_fmod: bool = False  # to deny, where there is a choice

    @property
    def wants_denial(self) -> bool:
        """Whether some selector has to replace what the function returns."""
        bits = c.ACTION_OVERRIDE | c.ACTION_ENFORCE
        return any(one.actions & ~one.monitored & bits for one in self.selectors)


@dataclass(frozen=True, slots=True)
class ClassPlan:
    """How processes are classified: the binary patterns of the whole set.

    Attributes:
        begins: (pattern, class) by the beginning of the path; a whole path ends with a
            NUL. Longest wins: a row's class stands for all sets it satisfies.
        ends: The same by the end, patterns reversed.
        begin_follows: class -> bits of "followed" (followChildren); class 0 is none.
        end_follows: The same for `ends`.
        pids: tgid -> bits of "followed" (followForks).
        namespace_pids: The same by the tgid in the process's own pid namespace.
    """

    begins: tuple[tuple[bytes, int], ...] = ()
    ends: tuple[tuple[bytes, int], ...] = ()
    begin_follows: tuple[int, ...] = (0,)
    end_follows: tuple[int, ...] = (0,)
    pids: tuple[tuple[int, int], ...] = ()
    namespace_pids: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The policy set for one kernel."""

    hooks: tuple[HookPlan, ...] = ()
    classes: ClassPlan = field(default_factory=ClassPlan)
