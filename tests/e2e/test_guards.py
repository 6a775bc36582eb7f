# SPDX-License-Identifier: Apache-2.0
"""Override of system calls: each row of the table of LSM hooks is stopped."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from tests.e2e.agent import Agent
from tests.e2e.attempts import (
    PROGRAMS,
    REFUSAL,
    Attempt,
    attempt,
    expected,
    program_of,
)
from tests.e2e.enforcement import needs_denial, override, write_policy
from tetragon_py.compiler.enforcement.calls import guards_of

if TYPE_CHECKING:
    from pathlib import Path

#: They return the old id, whatever happens.
_SILENT = frozenset(("setfsuid", "setfsgid"))
#: Where not the first guard refuses, or the kernel has an error of its own.
_OTHER_ERRORS = {
    "unshare": errno.EPERM,
    "setgroups": errno.EPERM,
    "keyctl": errno.ENOKEY,
    "msgrcv": errno.ENOMSG,
    "process_madvise": errno.EACCES,
    "semctl": errno.EACCES,
    "io_setup": errno.ENOMEM,
}
#: The start of each program needs it with other arguments: PROT_READ | PROT_EXEC.
_FILTERS = {"mprotect": {"index": 2, "operator": "Equal", "values": ["5"]}}

pytestmark = needs_denial


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_call_is_stopped(
    tmp_path: Path, triggers: Path, scratch: Path, program: str
) -> None:
    """With an error that no kernel returns; and nothing has happened."""
    rows = [row for row in PROGRAMS[program] if guards_of(row)]

    assert {row: _stopped(row) for row in rows} == _refuse(
        rows, tmp_path, triggers, scratch
    )


@pytest.mark.kernel(feature="fmod_ret_syscall", since="7.0")
def test_calls_without_hooks_are_stopped(
    tmp_path: Path, triggers: Path, scratch: Path
) -> None:
    """Where the kernel lets what system calls return be replaced."""
    rows = [row for some in PROGRAMS.values() for row in some if not guards_of(row)]
    assert rows

    refused = Attempt("refused", REFUSAL, has_happened=False)
    assert dict.fromkeys(rows, refused) == _refuse(rows, tmp_path, triggers, scratch)


def _refuse(
    rows: list[str], tmp_path: Path, triggers: Path, scratch: Path
) -> dict[str, Attempt]:
    """Each row has a program name for itself: others may prepare with its call."""
    names = {row: f"{program_of(row)}-{row}" for row in rows}
    for row, name in names.items():
        (triggers / name).unlink(missing_ok=True)
        (triggers / name).hardlink_to(triggers / program_of(row))
    hooks = [
        override(row, -REFUSAL, triggers / name, _FILTERS.get(row))
        for row, name in names.items()
    ]
    policy = write_policy(tmp_path, "stop", {"kprobes": hooks})
    found = {}
    with Agent(tmp_path, "--tracing-policy", str(policy)) as agent:
        for row, name in names.items():
            folder = scratch / row
            folder.mkdir()
            found[row] = attempt(row, triggers, folder, program=name)
        assert agent.stop() == 0
    return found


def _stopped(row: str) -> Attempt:
    before = expected(row)
    guards = guards_of(row)
    if before.result == "absent" or before.number == errno.ENOSYS or not guards:
        return before
    if row in _SILENT:
        return Attempt("done", 0, has_happened=False)
    number = REFUSAL if guards[0].keeps_error else errno.EPERM
    number = _OTHER_ERRORS.get(row, number)
    return Attempt("refused", number, has_happened=False)
