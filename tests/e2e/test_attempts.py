# SPDX-License-Identifier: Apache-2.0
"""Without a policy every attempt succeeds, so that a refusal proves something.

And each attempt tells a refusal as such, and prepares and proves without the call that
it tries: a seccomp filter stands in for the policy.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.agent import scaled
from tests.e2e.attempts import (
    OTHER_DOORS,
    PROGRAMS,
    RACES,
    REFUSAL,
    Attempt,
    attempt,
    attempt_all,
    expected,
    expected_elsewhere,
    listed,
    program_of,
    race,
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


@pytest.mark.parametrize("program", OTHER_DOORS)
def test_other_doors_are_open(triggers: Path, scratch: Path, program: str) -> None:
    """What a kernel has of 32-bit calls and io_uring gets the same things done."""
    assert {
        row: expected_elsewhere(program, row) for row in listed(program, triggers)
    } == attempt_all(program, triggers, scratch)


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


@pytest.mark.parametrize("program", RACES)
def test_race_gets_through(triggers: Path, scratch: Path, program: str) -> None:
    """Without a policy both sides of a swap are reached, and nothing fails."""
    tries = scaled(3001, 499)
    status, told = race(program, triggers, scratch, tries)

    assert (status, told["refused"], told["other_errors"]) == (1, 0, {})
    assert told["got_through"] + told.get("allowed", 0) == tries
    assert told["got_through"] > 0
    assert (told["swaps"] > 0) is ("allowed" in told)
    assert told.get("cold", tries) == tries


@pytest.mark.parametrize(
    ("program", "call"), [("race_setuid", "setuid"), ("race_connect", "connect")]
)
def test_refused_race_is_told(
    triggers: Path, scratch: Path, program: str, call: str
) -> None:
    """A race that is held back says so, by its counts and by its exit status."""
    number = listed(program_of(call), triggers)[call]
    status, told = race(
        program, triggers, scratch, 499, preexec_fn=deny(number, REFUSAL)
    )

    assert (status, told["refused"], told["got_through"]) == (0, 499, 0)


@pytest.mark.parametrize("refusal", [None, REFUSAL])
def test_flood_counts_exactly(triggers: Path, refusal: int | None) -> None:
    """A flood tells for each process how many calls were made and how many failed."""
    number = listed("attempt_tasks", triggers)["setpriority"]
    done = subprocess.run(
        [triggers / "attempt_flood", "0.1"],
        capture_output=True,
        check=True,
        preexec_fn=deny(number, refusal) if refusal else None,
    )

    processes = json.loads(done.stdout)["processes"]
    assert len(processes) == os.cpu_count()
    for process in processes:
        refused = {str(refusal): process["calls"]} if refusal else {}
        assert process["errors"] == refused
        assert process["calls"] > 0


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
