# SPDX-License-Identifier: Apache-2.0
"""Override by other doors than the 64-bit system call: io_uring and 32-bit calls.

What a policy overrides of a system call is overridden through io_uring too, whichever
thread does the work. A 32-bit call is another system call, i386/sys_X; LSM hooks do not
care which one it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.agent import Agent
from tests.e2e.attempts import (
    REFUSAL,
    Attempt,
    attempt,
    expected_elsewhere,
    listed,
)
from tests.e2e.enforcement import needs_denial, write_policy

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from tests.e2e.events import Event

    #: Index and type of an argument, operator and value.
    Filter = tuple[int, str, str, str]

_MODES = ("inline", "async", "sqpoll", "polled")
_REFUSED = Attempt("refused", REFUSAL, has_happened=False)

pytestmark = needs_denial


def _path(index: int, kind: str = "string") -> tuple[Filter, ...]:
    return ((index, kind, "Postfix", "/forbidden"),)


_PORT: tuple[Filter, ...] = ((1, "sockaddr", "SPort", "4118"),)
_INET: tuple[Filter, ...] = ((0, "int", "Equal", "2"),)
#: System call -> what an operation of io_uring is known by; all are rows but for modes.
RINGS: dict[str, tuple[Filter, ...]] = {
    "openat": _path(1),
    "openat2": _path(1),
    "connect": _PORT,
    "unlinkat": _path(1),
    "renameat": _path(3),
    "mkdirat": _path(1),
    "symlinkat": _path(2),
    "linkat": _path(3),
    "write": _path(0, "fd"),
    "sendmsg": (),
    "socket": (),
}
#: The same for 32-bit calls: those that can be overridden.
CALLS: dict[str, tuple[Filter, ...]] = {
    "open": _path(0),
    "creat": _path(0),
    "openat": _path(1),
    "mkdir": _path(0),
    "mkdirat": _path(1),
    "rmdir": _path(0),
    "unlink": _path(0),
    "unlinkat": _path(1),
    "link": _path(1),
    "symlink": _path(1),
    "rename": _path(1),
    "renameat": _path(3),
    "chmod": _path(0),
    "truncate": _path(0),
    "write": _path(0, "fd"),
    "connect": _PORT,
    "execve": _path(0),
    "kill": (),
}
_NEW = ("path_mknod", _path(1, "dentry"))
_FOLDER = ("path_mkdir", _path(1, "dentry"))
_GONE = ("path_unlink", _path(1, "dentry"))
_RENAMED = ("path_rename", _path(3, "dentry"))
_CONNECTED = ("socket_connect", _PORT)
#: 32-bit call -> an LSM hook that it passes; these are all rows.
LSM: dict[str, tuple[str, tuple[Filter, ...]]] = {
    "open": _NEW,
    "creat": _NEW,
    "openat": _NEW,
    "mkdir": _FOLDER,
    "mkdirat": _FOLDER,
    "rmdir": ("path_rmdir", _path(1, "dentry")),
    "unlink": _GONE,
    "unlinkat": _GONE,
    "link": ("path_link", _path(2, "dentry")),
    "symlink": ("path_symlink", _path(1, "dentry")),
    "rename": _RENAMED,
    "renameat": _RENAMED,
    "chmod": ("path_chmod", _path(0, "path")),
    "truncate": ("path_truncate", _path(0, "path")),
    # MAY_WRITE: whether it has happened is read
    "write": ("file_permission", (*_path(0, "file"), (1, "int", "Equal", "2"))),
    "connect": _CONNECTED,
    "socketcall": _CONNECTED,
    "execve": ("file_open", _path(0, "file")),
    "setuid32": ("task_fix_setuid", ()),
    "kill": ("task_kill", ()),
}


def _entry(hook: dict[str, Any], filters: tuple[Filter, ...], binary: Path) -> Event:
    """A hook that denies, to one program, what all filters match."""
    selector: dict[str, Any] = {
        "matchBinaries": [{"operator": "In", "values": [str(binary)]}],
        "matchActions": [{"action": "Override", "argError": -REFUSAL}],
    }
    if filters:
        hook["args"] = [{"index": index, "type": kind} for index, kind, *_ in filters]
        selector["matchArgs"] = [
            {"index": index, "operator": operator, "values": [value]}
            for index, _, operator, value in filters
        ]
    return {**hook, "selectors": [selector]}


def _call(name: str) -> dict[str, Any]:
    return {"call": f"sys_{name}", "syscall": True}


def _binary(triggers: Path, program: str, row: str) -> Path:
    """A name of the program for a row alone: others may prepare with its call."""
    path = triggers / f"{program}-{row}"
    path.unlink(missing_ok=True)
    path.hardlink_to(triggers / program)
    return path


def _try(
    folder: Path,
    scratch: Path,
    spec: Mapping[str, Any],
    binaries: Mapping[str, Path],
) -> tuple[dict[str, Attempt], dict[str, set[str]]]:
    """How each row ends with this policy, and with which effects each was told."""
    policy = write_policy(folder, "doors", dict(spec))
    ended = {}
    with Agent(folder, "--tracing-policy", str(policy), "--fields=extended") as agent:
        for row, binary in binaries.items():
            (scratch / row).mkdir()
            ended[row] = attempt(row, binary.parent, scratch / row, program=binary.name)
        assert agent.stop() == 0
        told = _effects(agent.events())
    return ended, {row: told.get(str(one), set()) for row, one in binaries.items()}


def _effects(events: Collection[Event]) -> dict[str, set[str]]:
    """Binary -> effects."""
    found: dict[str, set[str]] = {}
    for kind in ("process_kprobe", "process_lsm"):
        for body in (event[kind] for event in events if kind in event):
            binary = body["process"]["binary"]
            found.setdefault(binary, set()).add(body["hit"]["effect"])
    return found


def _wanted(program: str, row: str) -> Attempt:
    """Refused, where the kernel knows the row at all."""
    before = expected_elsewhere(program, row)
    return before if before.result == "absent" else _REFUSED


def _told(program: str, row: str) -> set[str]:
    return set() if _wanted(program, row).result == "absent" else {"denied"}


@pytest.mark.parametrize("mode", _MODES)
def test_io_uring_is_stopped(
    tmp_path: Path, triggers: Path, scratch: Path, mode: str
) -> None:
    """By policies on the system calls, whoever does the operation, and told."""
    program = "attempt_uring"
    names = {call: f"{call}-{mode}" for call in RINGS}
    assert {f"{call}-{m}" for call in RINGS for m in _MODES} == set(
        listed(program, triggers)
    )
    binaries = {row: _binary(triggers, program, row) for row in names.values()}
    hooks = [
        _entry(_call(call), filters, binaries[names[call]])
        for call, filters in RINGS.items()
    ]
    ended, told = _try(tmp_path, scratch, {"kprobes": hooks}, binaries)

    assert ended == {row: _wanted(program, row) for row in binaries}
    assert told == {row: _told(program, row) for row in binaries}


@pytest.mark.parametrize("on_read_error", ["ignore", "deny"])
def test_numbers_of_io_uring(
    tmp_path: Path, triggers: Path, scratch: Path, on_read_error: str
) -> None:
    """It has none to compare: they match only if the policy asks for that."""
    program = "attempt_uring"
    rows = [f"socket-{mode}" for mode in _MODES]
    binaries = {row: _binary(triggers, program, row) for row in rows}
    spec = {
        "options": [{"name": "on-read-error", "value": on_read_error}],
        "kprobes": [_entry(_call("socket"), _INET, binaries[row]) for row in rows],
    }
    ended, told = _try(tmp_path, scratch, spec, binaries)

    if on_read_error == "deny":
        assert ended == {row: _wanted(program, row) for row in rows}
        assert told == {row: _told(program, row) for row in rows}
    else:
        assert ended == {row: expected_elsewhere(program, row) for row in rows}
        assert told == {row: set() for row in rows}


def test_lsm_hooks_stop_32_bit_calls(
    tmp_path: Path, triggers: Path, scratch: Path
) -> None:
    """Every row, by the LSM hook that it passes."""
    program = "attempt_compat"
    assert set(LSM) == set(listed(program, triggers))
    binaries = {row: _binary(triggers, program, row) for row in LSM}
    hooks = [
        _entry({"hook": hook}, filters, binaries[row])
        for row, (hook, filters) in LSM.items()
    ]
    ended, told = _try(tmp_path, scratch, {"lsmhooks": hooks}, binaries)

    assert ended == {row: _wanted(program, row) for row in LSM}
    assert told == {row: _told(program, row) for row in LSM}


def test_64_bit_policies_do_not_stop_32_bit_calls(
    tmp_path: Path, triggers: Path, scratch: Path
) -> None:
    """Nor do they tell that they did."""
    program = "attempt_compat"
    binaries = {row: _binary(triggers, program, row) for row in CALLS}
    hooks = [
        _entry(_call(row), filters, binaries[row]) for row, filters in CALLS.items()
    ]
    ended, told = _try(tmp_path, scratch, {"kprobes": hooks}, binaries)

    assert ended == {row: expected_elsewhere(program, row) for row in CALLS}
    assert told == {row: set() for row in CALLS}


def test_32_bit_policies_stop_32_bit_calls(
    tmp_path: Path, triggers: Path, scratch: Path
) -> None:
    """By a list, which says i386/sys_X."""
    program = "attempt_compat"
    if expected_elsewhere(program, "open").result == "absent":
        return  # there is nothing that a policy could name
    binaries = {row: _binary(triggers, program, row) for row in CALLS}
    lists = [
        {"name": row, "type": "syscalls", "values": [f"i386/sys_{row}"]}
        for row in CALLS
    ]
    hooks = [
        _entry({"call": f"list:{row}", "syscall": True}, filters, binaries[row])
        for row, filters in CALLS.items()
    ]
    spec = {"lists": lists, "kprobes": hooks}
    ended, told = _try(tmp_path, scratch, spec, binaries)

    assert ended == {row: _wanted(program, row) for row in CALLS}
    assert told == {row: _told(program, row) for row in CALLS}
