# SPDX-License-Identifier: Apache-2.0
"""How a hook is attached on this kernel: its guarantee, its cost, or why it cannot be.

Comes in: the plan of a hook. Goes out: the back end, the features that it lacks, and
the bytes that the hook's tables take (keys and values, without what maps add to them).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.plan import AddressRow, AutomatonRow
from tetragon_py.libbpf.btf import has_preemptible_tracepoints

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tetragon_py.compiler.plan import (
        AttachPoint,
        ClassPlan,
        DimensionPlan,
        HookPlan,
        PointKind,
        Vector,
    )
    from tetragon_py.libbpf.features import ProbeResult

__all__ = [
    "Attachment",
    "Backend",
    "choose_backend",
    "class_bytes",
    "hook_bytes",
    "list_points",
    "point_name",
    "point_words",
]


class Backend(NamedTuple):
    """A way to attach a hook.

    Attributes:
        title: For people.
        features: All of which the kernel has to have (names of libbpf.features).
        guarantee: What may be missed, in one sentence.
    """

    title: str
    features: tuple[str, ...]
    guarantee: str


class Attachment(NamedTuple):
    """The best way that there is for a hook; `lack`: why even that cannot be had."""

    backend: Backend
    lack: str = ""


_DISPATCHER = Backend(
    "system call dispatcher (tp_btf/sys_enter)",
    ("sys_enter",),
    "sees every call through the system call table; not what io_uring does",
)
_TRAMPOLINE = Backend(
    "trampoline (fentry)",
    ("fentry", "fexit", "get_func_arg"),
    "a hit inside of itself on the same CPU is skipped, and counted",
)
_KPROBE = Backend(
    "kprobe",
    ("kprobe",),
    "a hit inside of another probe on the same CPU is skipped, and counted",
)
_KRETPROBE = Backend(
    "kprobe and kretprobe",
    ("kprobe", "kretprobe"),
    "as a kprobe; returns are missed, and counted, when too many calls are pending",
)
_TRACEPOINT = Backend(
    "perf tracepoint",
    ("tracepoint",),
    "a hit inside of another probe on the same CPU is skipped, and counted",
)
_RAW_TRACEPOINT = Backend(
    "raw tracepoint",
    ("raw_tracepoint",),
    "a hit inside of itself on the same CPU is skipped, and counted",
)
_LSM = Backend("BPF LSM", ("lsm",), "sees and can deny every call of the hook")
_FMOD_RET = Backend(
    "changed return value (fmod_ret)",
    ("fmod_ret",),
    "can deny; a hit inside of itself on the same CPU is let through, and counted",
)
_OVERRIDE_RETURN = Backend(
    "error injection (bpf_override_return)",
    ("kprobe", "override_return"),
    "can deny; a hit inside of another probe on the CPU is let through, and counted",
)
_GUARD = Backend(
    "the LSM hooks that it passes (BPF LSM)",
    ("lsm",),
    "denies by what the kernel has read, so that no other thread can change it",
)
_FMOD_GUARD = Backend(
    "the LSM hooks that it passes (fmod_ret)",
    ("fmod_ret",),
    "denies by what the kernel has read; a hit inside of itself is let through, and "
    "counted",
)
_CALL = Backend(
    "changed return value of the system call (fmod_ret)",
    ("fmod_ret_syscall",),
    "can deny; not what io_uring does, and not against a thread that changes memory",
)
#: Where these act, the call that caused them goes on until it returns.
_SIGNALS = "signals are delivered before the process goes on; the call itself goes on"
#: Who is preempted in one of these keeps it from running for others on that CPU.
_DENYING = frozenset((_FMOD_RET, _FMOD_GUARD, _CALL))
_PREEMPTIBLE = _DENYING | {_DISPATCHER, _TRAMPOLINE, _RAW_TRACEPOINT}
_WORDS: dict[PointKind, str] = {
    "function": "function",
    "syscall": "system call",
    "tracepoint": "tracepoint",
    "raw_tracepoint": "raw tracepoint",
    "lsm": "LSM hook",
    "guard": "denied system call",
    "call": "denied system call",
}
#: ABIs of 32-bit programs: their calls are named with them.
_COMPAT_ABIS = frozenset({"i386", "arm32"})
_NUMBER_BYTES = 4
_BITS_BYTES = 8
_NUMBER_KINDS = frozenset({c.DIMENSION_RANGE, c.DIMENSION_BITS, c.DIMENSION_NO_BITS})


def choose_backend(
    plan: HookPlan, probe: Callable[[str], ProbeResult], *, is_typed: bool
) -> Attachment:
    """The best way for this hook that the kernel has, else the least demanding one.

    Args:
        plan: The hook.
        probe: Tries a feature of the kernel.
        is_typed: The kernel tells the parameters of a function.
    """
    ways = _ways(plan, is_typed=is_typed)
    if has_preemptible_tracepoints():
        ways = [_preempted(way) if way in _PREEMPTIBLE else way for way in ways]
    if any(s.actions & ~s.monitored & c.ACTION_SIGNAL for s in plan.selectors):
        ways = [way._replace(guarantee=f"{way.guarantee}; {_SIGNALS}") for way in ways]
    attachments = [Attachment(way, _explain_lack(way, probe)) for way in ways]
    return next((one for one in attachments if not one.lack), attachments[-1])


# As loader/hooks.py tries them.
def _ways(plan: HookPlan, *, is_typed: bool) -> list[Backend]:
    kind = plan.point.kind
    if kind == "function" and plan.wants_denial:
        has_hook = plan.point.name.startswith("security_") and not plan.wants_return
        lsm = [_LSM] if has_hook and not plan.prefers_fmod else []
        return [*lsm, _FMOD_RET, _OVERRIDE_RETURN]
    if kind == "function":
        by_probe = _KRETPROBE if plan.wants_return else _KPROBE
        return [_TRAMPOLINE, by_probe] if is_typed else [by_probe]
    return {
        "syscall": [_DISPATCHER],
        "tracepoint": [_TRACEPOINT],
        "raw_tracepoint": [_RAW_TRACEPOINT],
        "lsm": [_LSM, _FMOD_RET],
        "guard": [_GUARD, _FMOD_GUARD],
        "call": [_CALL],
    }[kind]


def _preempted(way: Backend) -> Backend:
    end = "let through: a racing thread can win" if way in _DENYING else "missed"
    text = (
        f"{way.guarantee}; while a preempted task is in it, others on its CPU are {end}"
    )
    return way._replace(guarantee=text)


def _explain_lack(backend: Backend, probe: Callable[[str], ProbeResult]) -> str:
    """Which features the kernel lacks for it, and why; empty: it has all."""
    by_reason: dict[str, list[ProbeResult]] = {}
    for result in map(probe, backend.features):
        if not result.available:
            by_reason.setdefault(result.reason, []).append(result)
    lacks = []
    for reason, results in by_reason.items():
        named = " and ".join(f"{one.name} ({one.title})" for one in results)
        lacks.append(f"this kernel has no {named}: {reason}")
    return "; ".join(lacks)


# ---- in words ----


def point_name(point: AttachPoint) -> str:
    """A hook's name as a policy spells it: "openat", "i386/openat"."""
    return f"{point.abi}/{point.name}" if point.abi in _COMPAT_ABIS else point.name


def point_words(kind: PointKind, count: int) -> str:
    """What hooks of a kind are called: "1 function", "350 system calls"."""
    return f"{count} {_WORDS[kind]}{'' if count == 1 else 's'}"


def list_points(points: Sequence[AttachPoint], shown: int = 4) -> str:
    """Hooks of one kind by name, the first ones: "functions a, b and 3 more"."""
    names = ", ".join(map(point_name, points[:shown]))
    rest = len(points) - shown
    word = point_words(points[0].kind, len(points)).split(" ", 1)[1]
    return f"{word} {names}" + (f" and {rest} more" if rest > 0 else "")


# ---- what it takes: the counterpart of loader/tables.py ----


def hook_bytes(plan: HookPlan) -> int:
    """Bytes of the tables of a hook."""
    vectors = {vector for d in plan.dimensions for vector in _vectors(d)} - {0}
    steps = sum(len(argument.steps) for argument in plan.arguments)
    return (
        c.HOOK_CONFIG_SIZE
        + c.SELECTOR_SIZE * len(plan.selectors)
        + c.VECTOR_SIZE * len(vectors)
        + c.RESOLVE_STEP_SIZE * steps
        + sum(map(_row_bytes, plan.dimensions))
    )


def class_bytes(plan: ClassPlan) -> int:
    """Bytes of the tables that classify processes."""
    texts = len(plan.begins) + len(plan.ends)
    follows = len(plan.begin_follows) + len(plan.end_follows)
    return (
        c.CLASS_CONFIG_SIZE
        + (c.TEXT_KEY_SIZE + _NUMBER_BYTES) * texts
        + _BITS_BYTES * follows
        + (c.PID_KEY_SIZE + _BITS_BYTES) * len(plan.pids)
    )


def _vectors(plan: DimensionPlan) -> Iterator[Vector]:
    yield plan.miss
    yield plan.error
    for row in plan.rows:
        if isinstance(row, AddressRow):
            yield row.vector
        else:
            yield row.found if isinstance(row, AutomatonRow) else row[1]


def _row_bytes(plan: DimensionPlan) -> int:
    if plan.kind in _NUMBER_KINDS:
        return c.BOUND_SIZE * len(plan.rows)
    if plan.kind == c.DIMENSION_CLASS:
        return _NUMBER_BYTES * len(plan.rows)
    if plan.kind in {c.DIMENSION_SUBSTRING, c.DIMENSION_NO_SUBSTRING}:
        return c.AUTOMATON_STATE_SIZE * len(plan.rows)
    if plan.kind == c.DIMENSION_ADDRESS:
        return (c.ADDRESS_KEY_SIZE + _NUMBER_BYTES) * len(plan.rows)
    if plan.kind == c.DIMENSION_TEXT_WHOLE:
        rows = cast("Sequence[tuple[bytes, Vector]]", plan.rows)
        return sum(_whole_bytes(text) for text, _ in rows)
    return (c.TEXT_KEY_SIZE + _NUMBER_BYTES) * len(plan.rows)


def _whole_bytes(text: bytes) -> int:
    is_short = len(text) <= c.SHORT_TEXT_BYTES
    key = c.SHORT_TEXT_KEY_SIZE if is_short else c.LONG_TEXT_KEY_SIZE
    return key + _NUMBER_BYTES
