# SPDX-License-Identifier: Apache-2.0
"""Without a policy every attempt succeeds, so that a refusal proves something.

And each attempt tells a refusal as such, and prepares and proves without the call that
it tries: a seccomp filter stands in for the policy.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.e2e.agent import scaled
from tests.e2e.attempts import (
    PROGRAMS,
    REFUSAL,
    Attempt,
    attempt,
    attempt_all,
    expected,
    listed,
)
from tests.e2e.seccomp import deny

if TYPE_CHECKING:
    from pathlib import Path

#: What any program calls before its main function.
_NEEDED_TO_START = frozenset(("execve", "mprotect", "prlimit64", "readlink"))


@pytest.mark.parametrize("program", PROGRAMS)
def test_table_has_all_rows(triggers: Path, program: str) -> None:
    """The table names the rows that the program has."""
    assert set(PROGRAMS[program]) == set(listed(program, triggers))


@pytest.mark.parametrize("program", PROGRAMS)
def test_nothing_is_refused(triggers: Path, scratch: Path, program: str) -> None:
    """Each row ends as the table says; what is there happens."""
    assert {row: expected(row) for row in PROGRAMS[program]} == attempt_all(
        program, triggers, scratch
    )


@pytest.mark.parametrize("program", PROGRAMS)
def test_refusal_is_told(triggers: Path, scratch: Path, program: str) -> None:
    """A refused call is told with its errno, has no effect, and was not needed else."""
    assert {
        row: Attempt("refused", REFUSAL, has_happened=False)
        for row in _deniable(program)
    } == _denied(program, triggers, scratch, REFUSAL)


@pytest.mark.parametrize("program", PROGRAMS)
def test_death_is_told(triggers: Path, scratch: Path, program: str) -> None:
    """So is a call that its process does not survive."""
    assert {
        row: Attempt("killed", signal.SIGSYS, has_happened=False)
        for row in _deniable(program)
    } == _denied(program, triggers, scratch, None)


def _deniable(program: str) -> list[str]:
    rows = [
        row
        for row in PROGRAMS[program]
        if row not in _NEEDED_TO_START and expected(row).result != "absent"
    ]
    return rows[:: scaled(1, 5)]


def _denied(
    program: str, triggers: Path, scratch: Path, refusal: int | None
) -> dict[str, Attempt]:
    numbers = listed(program, triggers)
    found = {}
    for row in _deniable(program):
        (scratch / row).mkdir()
        found[row] = attempt(
            row, triggers, scratch / row, preexec_fn=deny(numbers[row], refusal)
        )
    return found
