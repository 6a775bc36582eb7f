# SPDX-License-Identifier: Apache-2.0
"""A hit of a hook in a few words: its symbol, its word, and what else is shown.

In come an event and the texts of its hook and policy. Details that are bytes come from
the workload and are still to be escaped; those that are str are our own words.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

from tetragon_py.encode.argument_objects import address_text
from tetragon_py.encode.file_text import shown_path
from tetragon_py.encode.kernel_names import (
    FAMILIES,
    MAP_TYPES,
    NAMESPACE_TYPES,
    PERF_TYPES,
    PROGRAM_TYPES,
    PROTOCOLS,
    name_of,
)
from tetragon_py.encode.syscall_names import split_syscall, syscall_name
from tetragon_py.events.hook import (
    BpfValue,
    PathValue,
    PerfEventValue,
    SockValue,
    WordsValue,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tetragon_py.events.hook import HookEvent, HookTexts, PolicyTexts, Value

__all__ = ["HookWords", "hook_words", "shown_values"]

_Details: TypeAlias = list[str | bytes]
#: Symbol, word, details.
HookWords: TypeAlias = tuple[str, str, _Details]
_Values: TypeAlias = "list[Value]"
_Form: TypeAlias = "Callable[[_Values], HookWords | None]"

#: What architectures put before the name of a system call.
_SYSCALL: Final = re.compile(r"__(?:x64|ia32|arm64|arm64_compat)_sys_|sys_")
_MAY_WRITE, _MAY_READ = 2, 4
_U64: Final = (1 << 64) - 1
_PROTECTIONS: Final = ((1, "r"), (2, "w"), (4, "x"))


def hook_words(hook: HookTexts, values: _Values) -> HookWords:
    """What a line shows before and after the node and the binary."""
    function = hook.function_name
    name = function.encode("utf-8", "replace")
    if hook.kind == "lsm":
        return "🔒", "LSM", [name]
    if hook.kind == "tracepoint":
        if name == b"raw_syscalls/sys_enter":
            return "☎ ", "syscall", _system_call(values)
        subsystem, _, event_name = name.rpartition(b"/")
        return "⁉️", "tracepoint", [subsystem, event_name]
    form = _FORMS.get(_SYSCALL.sub("sys_", function, count=1))
    words = form(values) if form else None
    return words or ("❓", "syscall", [name])


def shown_values(event: HookEvent, policy: PolicyTexts) -> _Values:
    """The arguments that the policy lists, in its order."""
    if policy.args is None:
        return list(event.values)
    by_slot = {
        head & 0xFF: value
        for head, value in zip(event.heads, event.values, strict=True)
    }
    return [by_slot[slot] for slot, _, _ in policy.args if slot in by_slot]


# ---- details ----


def _texts(values: _Values, most: int = 1) -> _Details:
    """Paths and strings."""
    texts: _Details = []
    for value in values:
        if isinstance(value, PathValue):
            texts.append(shown_path(value))
        elif isinstance(value, bytes):
            texts.append(value)
    return texts[:most]


def _last(values: _Values) -> int | None:
    """The last number: descriptors and addresses come before it."""
    numbers = [value for value in values if isinstance(value, int)]
    return numbers[-1] if numbers else None


def _last_as(form: str, values: _Values) -> _Details:
    number = _last(values)
    return [] if number is None else [form.format(number)]


def _endpoints(values: _Values) -> _Details:
    for value in values:
        if isinstance(value, SockValue):
            source = address_text(value.family, value.source_address)
            destination = address_text(value.family, value.destination_address)
            if not source:
                return [name_of(value.family, FAMILIES)]
            protocol = name_of(value.protocol, PROTOCOLS).removeprefix("IPPROTO_")
            return [
                f"{protocol.lower()} {source}:{value.source_port} -> "
                f"{destination}:{value.destination_port}"
            ]
    return []


def _system_call(values: _Values) -> _Details:
    """Its name and, in hexadecimal, what arguments there are."""
    numbers = [value for value in values if isinstance(value, int)]
    words = [value.words for value in values if isinstance(value, WordsValue)]
    if not numbers:
        return []
    shown = ", ".join(f"{word:#x}" for word in (words[0] if words else numbers[1:]))
    return [f"{syscall_name(*split_syscall(numbers[0] & _U64))}({shown})"]


# ---- one form per function, None: it is shown like any other ----


def _word(symbol: str, word: str, details: Callable[[_Values], _Details]) -> _Form:
    def form(values: _Values) -> HookWords:
        return symbol, word, details(values)

    return form


def _nothing(values: _Values) -> _Details:
    return []


def _path_and_size(values: _Values) -> _Details:
    return _texts(values) + _last_as("{} bytes", values)


def _file_permission(values: _Values) -> HookWords | None:
    form = {_MAY_WRITE: ("📝", "write"), _MAY_READ: ("📚", "read")}
    found = form.get(_last(values) or 0)
    return (*found, _texts(values)) if found else None


def _mmap(values: _Values) -> HookWords:
    # File, protection, and perhaps how it is mapped.
    numbers = [value for value in values if isinstance(value, int)]
    bits = numbers[0] if numbers else 0
    letters = "".join(letter for bit, letter in _PROTECTIONS if bits & bit)
    return "📝", f"mmap-{letters}" if letters else "mmap", _texts(values)


def _setns(values: _Values) -> HookWords:
    kind = _last(values)
    name = [] if kind is None else [name_of(kind, NAMESPACE_TYPES)]
    return "🔧", "setns", [*name]


def _bpf_program(values: _Values) -> HookWords | None:
    for value in values:
        if isinstance(value, BpfValue):
            kind = name_of(value.type, PROGRAM_TYPES)
            count = f"instruction count {value.instructions}"
            return "🐝", "bpf_load", [kind, *_name(value.name), count]
    return None


def _bpf_map(values: _Values) -> HookWords | None:
    for value in values:
        if isinstance(value, BpfValue):
            kind = name_of(value.type, MAP_TYPES)
            sizes = f"key size {value.key_size} value size {value.value_size}"
            sizes += f" max entries {value.max_entries}"
            return "🗺", "bpf_map_create", [kind, *_name(value.name), sizes]
    return None


def _perf_event(values: _Values) -> HookWords | None:
    for value in values:
        if isinstance(value, PerfEventValue):
            kind = name_of(value.type, PERF_TYPES)
            return "🐝", "perf_event_alloc", [kind, *_name(value.function)]
    return None


def _name(name: bytes) -> _Details:
    return [name] if name else []


_OPENED: Final = _word(
    "📬️", "open", _texts
)  # another form of the symbol than fd_install
_TRUNCATED: Final = _word("📝", "truncate", _texts)
_FORMS: Final[dict[str, _Form]] = {
    "fd_install": _word("📬", "open", _texts),
    "sys_open": _OPENED,
    "sys_openat": _OPENED,
    "sys_openat2": _OPENED,
    "do_sys_openat2": _OPENED,
    "sys_write": _word("📝", "write", _path_and_size),
    "sys_read": _word("📚", "read", _path_and_size),
    "sys_close": _word("📪", "close", _texts),
    "security_file_permission": _file_permission,
    "security_mmap_file": _mmap,
    "security_path_truncate": _TRUNCATED,
    "security_file_truncate": _TRUNCATED,
    "sys_mount": _word("💾", "mount", lambda values: _texts(values, 2)),
    "sys_pivot_root": _word("💾", "pivot_root", lambda values: _texts(values, 2)),
    "sys_setuid": _word("🔑", "setuid", lambda values: _last_as("{}", values)),
    "sys_setns": _setns,
    "sys_clock_settime": _word("⏰", "clock_settime", _nothing),
    "tcp_connect": _word("🔌", "connect", _endpoints),
    "tcp_close": _word("🧹", "close", _endpoints),
    "tcp_sendmsg": _word(
        "📤",
        "sendmsg",
        lambda values: _endpoints(values) + _last_as("bytes {}", values),
    ),
    "bpf_check": _bpf_program,
    "security_perf_event_alloc": _perf_event,
    "security_bpf_map_alloc": _bpf_map,
    "security_bpf_map_create": _bpf_map,
    "proc_exec_connector": _word("🔧", "proc_exec_connector", _nothing),
}
