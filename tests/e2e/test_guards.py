# SPDX-License-Identifier: Apache-2.0
"""Override of system calls: each row of the table of LSM hooks is stopped."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from tests.e2e.agent import Agent
from tests.e2e.attempts import PROGRAMS, REFUSAL, Attempt, attempt_all, expected
from tests.e2e.enforcement import needs_denial, override, write_policy
from tetragon_py.compiler.enforcement.calls import guards_of

if TYPE_CHECKING:
    from pathlib import Path

#: They return the old id, whatever happens.
_SILENT = frozenset(("setfsuid", "setfsgid"))
#: The start of each program needs it with other arguments: PROT_READ | PROT_EXEC.
_FILTERS = {"mprotect": {"index": 2, "operator": "Equal", "values": ["5"]}}

pytestmark = needs_denial


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_call_is_stopped(
    tmp_path: Path, triggers: Path, scratch: Path, program: str
) -> None:
    """With an error that no kernel returns; and nothing has happened."""
    rows = [row for row in PROGRAMS[program] if guards_of(row)]
    hooks = [
        override(row, -REFUSAL, triggers / program, _FILTERS.get(row)) for row in rows
    ]
    policy = write_policy(tmp_path, "stop", {"kprobes": hooks})
    with Agent(tmp_path, "--tracing-policy", str(policy)) as agent:
        found = attempt_all(program, triggers, scratch)
        assert agent.stop() == 0

    assert found == {row: _stopped(row) for row in PROGRAMS[program]}


def _stopped(row: str) -> Attempt:
    before = expected(row)
    guards = guards_of(row)
    if before.result == "absent" or before.number == errno.ENOSYS or not guards:
        return before
    if row in _SILENT:
        return Attempt("done", 0, has_happened=False)
    number = REFUSAL if guards[0].keeps_error else errno.EPERM
    return Attempt("refused", number, has_happened=False)
