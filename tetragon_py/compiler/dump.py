# SPDX-License-Identifier: Apache-2.0
"""A plan as text, for people and for golden tests: stable, one fact per line.

Vectors are shown as the selectors in them, by policy and number.
"""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address
from typing import TYPE_CHECKING

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.capture.surface import REGISTERS
from tetragon_py.compiler.plan import AddressRow, AutomatonRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tetragon_py.compiler.plan import (
        ArgumentPlan,
        ClassPlan,
        DimensionPlan,
        HookPlan,
        Plan,
        SelectorPlan,
        Vector,
    )

__all__ = ["dump_plan"]

_SIGN_BIT = 1 << 63


def _names(prefix: str, *names: str) -> dict[int, str]:
    return {
        getattr(c, f"{prefix}_{name}"): name.lower().replace("_", " ") for name in names
    }


_TYPES = _names(
    "ARGUMENT",
    *("INT32", "INT16", "INT8", "UINT32", "UINT16", "UINT8", "INT64", "UINT64"),
    *("SYSCALL64", "CAPABILITY", "KERNEL_CAP", "CAP_INHERITABLE", "CAP_PERMITTED"),
    *("CAP_EFFECTIVE", "BPF_CMD", "STRING", "NET_DEVICE", "CHAR_BUF", "CONST_BUF"),
    *("FILE", "PATH", "DENTRY", "LINUX_BINPRM", "SOCK", "SKB", "SOCKADDR"),
    *("SOCKADDR_UN", "CRED", "USER_NAMESPACE", "MODULE", "LOAD_INFO", "BPF_ATTR"),
    *("BPF_PROG", "BPF_MAP", "PERF_EVENT"),
)
_SOURCES = _names("FROM", "REGISTER", "FIELD", "DATA_LOC", "TASK", "RETURN", "SYSCALL")
_FORMS = _names(
    "FORM",
    *("PLAIN", "MEMORY", "USER", "KERNEL", "FD", "KIOCB", "FILENAME", "SOCKET"),
    *("IOVEC", "IOV_ITER", "INLINE", "CHILD"),
)
_KINDS = _names(
    "DIMENSION",
    *("RANGE", "BITS", "NO_BITS", "CLASS", "TEXT", "TEXT_END", "TEXT_WHOLE"),
    *("SUBSTRING", "NO_SUBSTRING", "ADDRESS"),
)
_VALUES = _names(
    "SOURCE",
    *("ARGUMENT", "RETURN", "PID", "NAMESPACE_PID", "BINARY", "FOLLOWED", "NAMESPACE"),
    *("NAMESPACES_CHANGED", "CAPABILITIES", "CAPABILITIES_CHANGED"),
    *("CAPABILITIES_GAINED", "ENFORCER"),
)
_ARGUMENT_FLAGS = _names("ARGUMENT", "FILTERED", "AT_RETURN", "SIZE_RETURNED")
_DIMENSION_FLAGS = _names("DIMENSION", "SIGNED", "AT_RETURN")
_ACTIONS = _names(
    "ACTION",
    *("POST", "NO_POST", "TRACK_SOCK", "UNTRACK_SOCK", "SIGNAL", "OVERRIDE"),
    *("NOTIFY_ENFORCER", "CLEANUP_ENFORCER", "SET", "ENFORCE"),
)
_SCOPES = _names("RATE", "THREAD", "PROCESS", "GLOBAL")
_BINARIES = _names("BINARY", "BEGIN", "END", "PARENT_BEGIN", "PARENT_END")
_SETS = _names("CAPABILITIES", "EFFECTIVE", "INHERITABLE", "PERMITTED")


def dump_plan(plan: Plan) -> str:
    """Return the plan as text, one paragraph per hook, ending with a newline."""
    paragraphs = [_hook(hook) for hook in plan.hooks]
    if classes := list(_classes(plan.classes)):
        paragraphs.append(classes)
    return "\n".join("\n".join(lines) + "\n" for lines in paragraphs)


def _hook(hook: HookPlan) -> list[str]:
    point = hook.point
    abi = f" {point.abi}" if point.abi else ""
    through = f" in {point.through}" if point.through else ""
    wants = ", wants return" if hook.wants_return else ""
    if point.kind == "function" and hook.wants_denial:
        wants += ", wants denial"
    labels = _Labels(hook.selectors)
    lines = [f"{point.kind} {point.name}{abi}{through}{wants}"]
    lines += (f"  slot {n}: {_argument(a)}" for n, a in enumerate(hook.arguments))
    for bit, selector in enumerate(hook.selectors):
        lines.append(f"  selector {labels.names[bit]}: {_selector(selector)}")
    for dimension in hook.dimensions:
        lines.append(f"  {_dimension(dimension)}")
        lines += (f"    {line}" for line in _rows(dimension, labels))
        lines.append(f"    miss: {labels.show(dimension.miss)}")
        lines.append(f"    error: {labels.show(dimension.error)}")
    return lines


class _Labels:
    def __init__(self, selectors: Sequence[SelectorPlan]) -> None:
        places = {(s.policy, s.hook_entry) for s in selectors}
        count = Counter(policy for policy, _ in places)
        self.names = []
        for selector in selectors:
            # A policy may have several entries for one point.
            entry = selector.hook_entry.removeprefix("spec.")
            which = f"@{entry}" if count[selector.policy] > 1 else ""
            self.names.append(f"{selector.policy}{which}#{selector.number}")

    def show(self, vector: Vector) -> str:
        inside = [name for n, name in enumerate(self.names) if vector >> n & 1]
        if len(inside) == len(self.names):
            return "all"
        if len(inside) > len(self.names) / 2 and len(self.names) > 2:
            outside = [n for n in self.names if n not in inside]
            return f"all but {' '.join(outside)}"
        return " ".join(inside) or "none"


def _flags(value: int, names: dict[int, str]) -> str:
    return ", ".join(name for bit, name in names.items() if value & bit)


def _argument(plan: ArgumentPlan) -> str:
    words = [_TYPES[plan.type], "from", _SOURCES[plan.source]]
    if plan.source in {c.FROM_REGISTER, c.FROM_SYSCALL}:
        words.append(f"{plan.index}")
    if plan.source in {c.FROM_FIELD, c.FROM_DATA_LOC}:
        words.append(f"+{plan.offset}")
    for offset, follow in plan.steps:
        words.append(f"-> *{offset}" if follow else f"-> {offset}")
    if plan.form:
        words.append(f"as {_FORMS[plan.form]}")
    if plan.size:
        words.append(f"of {plan.size} bytes")
    if plan.size_register and plan.form == c.FORM_CHILD:
        words.append(f"of the folder in register {plan.size_register - 1}")
    elif plan.size_register > REGISTERS:
        words.append(f"with size in syscall {plan.size_register - 1 - REGISTERS}")
    elif plan.size_register:
        words.append(f"with size in register {plan.size_register - 1}")
    flags = _flags(plan.flags, _ARGUMENT_FLAGS)
    return " ".join(words) + (f" ({flags})" if flags else "")


def _selector(plan: SelectorPlan) -> str:
    parts = [_flags(plan.actions, _ACTIONS) or "nothing"]
    if plan.monitored:
        parts.append(f"only counted: {_flags(plan.monitored, _ACTIONS)}")
    for name, slots in (("arguments", plan.arguments), ("data", plan.data)):
        if slots:
            parts.append(f"{name} {' '.join(map(str, slots))}")
    if plan.tells_return:
        slot = "" if plan.return_slot is None else f" {plan.return_slot}"
        parts.append(f"return{slot}")
    parts += _enforcement(plan)
    if plan.actions & (c.ACTION_TRACK_SOCK | c.ACTION_UNTRACK_SOCK):
        parts.append(f"sock {plan.sock_slot}")
    if plan.rate_ms:
        parts.append(f"once in {plan.rate_ms} ms per {_SCOPES[plan.rate_scope]}")
    if plan.label:
        parts.append(f"label {plan.label!r}")
    return f"{'; '.join(parts)}; up to {plan.last}"


def _enforcement(plan: SelectorPlan) -> Iterator[str]:
    if plan.signal:
        yield f"signal {plan.signal}"
    if plan.error:
        yield f"error {plan.error}"
    if plan.enforcer:
        yield f"enforcer {plan.enforcer:#010x}"
    if plan.failure_signal:
        yield f"signal {plan.failure_signal} on failure"


def _dimension(plan: DimensionPlan) -> str:
    words = [_KINDS[plan.kind], "of", _VALUES[plan.source]]
    if plan.source == c.SOURCE_ARGUMENT:
        words.append(f"{plan.slot}+{plan.offset}")
        if plan.kind in {c.DIMENSION_RANGE, c.DIMENSION_BITS}:
            words.append(f"of {plan.width} bytes")
    elif plan.source == c.SOURCE_CAPABILITIES_GAINED:
        words.append(f"in {plan.slot}, not in {plan.width}")
    elif plan.source == c.SOURCE_BINARY:
        words.append(_BINARIES[plan.slot])
    elif plan.source == c.SOURCE_NAMESPACE:
        words.append(c.NAMESPACES_FIELDS[plan.slot])
    elif plan.source in {c.SOURCE_CAPABILITIES, c.SOURCE_CAPABILITIES_CHANGED}:
        words.append(_SETS[plan.slot])
    flags = _flags(plan.flags, _DIMENSION_FLAGS)
    return " ".join(words) + (f" ({flags})" if flags else "")


def _rows(plan: DimensionPlan, labels: _Labels) -> Iterator[str]:
    rows: tuple[tuple[int | bytes, Vector] | AutomatonRow | AddressRow, ...] = plan.rows
    for number, row in enumerate(rows):
        if isinstance(row, AutomatonRow):
            yield f"state {number}: {_state(row)}; found {labels.show(row.found)}"
        elif isinstance(row, AddressRow):
            yield f"{ip_address(row.address)}/{row.bits}: {labels.show(row.vector)}"
        else:
            key, vector = row
            shown = _text(key, plan) if isinstance(key, bytes) else _key(key, plan)
            yield f"{shown}: {labels.show(vector)}"


def _key(key: int, plan: DimensionPlan) -> str:
    if plan.kind != c.DIMENSION_RANGE:
        return f"{key}"
    return f"from {key - _SIGN_BIT if plan.flags & c.DIMENSION_SIGNED else key}"


def _text(text: bytes, plan: DimensionPlan) -> str:
    if plan.kind == c.DIMENSION_TEXT_END:
        return f"...{_quote(text[::-1])}"
    return _quote(text)


def _quote(text: bytes) -> str:
    shown = text.decode("latin-1").encode("unicode_escape").decode()
    return f'"{shown}"'.replace("\\x00", "\\0")


# The default of a state is where most bytes lead: the rest is what one wants to see.
def _state(row: AutomatonRow) -> str:
    [(usual, _)] = Counter(row.following).most_common(1)
    others = [
        f"{_quote(bytes((byte,)))} {state}"
        for byte, state in enumerate(row.following)
        if state != usual
    ]
    return ", ".join((*others, f"else {usual}"))


def _classes(plan: ClassPlan) -> Iterator[str]:
    if not (plan.begins or plan.ends or plan.pids or plan.namespace_pids):
        return
    yield "classes"
    for text, number in plan.begins:
        yield f"  begin {number}: {_quote(text)}{_follows(plan.begin_follows[number])}"
    for text, number in plan.ends:
        shown = _quote(text[::-1])
        yield f"  end {number}: ...{shown}{_follows(plan.end_follows[number])}"
    for pid, bits in plan.pids:
        yield f"  pid {pid}{_follows(bits)}"
    for pid, bits in plan.namespace_pids:
        yield f"  namespace pid {pid}{_follows(bits)}"


def _follows(bits: Vector) -> str:
    if not bits:
        return ""
    return f" follows {' '.join(map(str, _bits(bits)))}"


def _bits(vector: Vector) -> Iterable[int]:
    return (n for n in range(vector.bit_length()) if vector >> n & 1)
