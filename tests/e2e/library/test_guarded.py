# SPDX-License-Identifier: Apache-2.0
"""The doors that other policies stand before are closed without these too.

They monitor here: what they tell, they let pass.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from tests.e2e.library.conftest import UNGUARDED, runnable
from tests.e2e.library.doors import (
    DOORS,
    GUARDS,
    NET_DOORS,
    PROGRAMS,
    TARGETS,
    VICTIMS,
)
from tests.e2e.library.passing import pass_to_address, pass_to_file, pass_to_program
from tests.e2e.library.table import CASES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.library.conftest import Library
    from tests.e2e.library.doors import Door

MODE = UNGUARDED
pytestmark = pytest.mark.kernel(feature="lsm", since="5.7")
_DENIED = {errno.EPERM, errno.EACCES}
_FILES = [
    (door, policy)
    for door in DOORS
    for policy, victim in VICTIMS.items()
    if getattr(door, victim.use) and door.name in GUARDS
]


def _name(value: Door | str) -> str:
    return value if isinstance(value, str) else value.name


@pytest.mark.parametrize(("door", "policy"), _FILES, ids=_name)
def test_file(library: Library, door: Door, policy: str, triggers: Path) -> None:
    """The hook in the table denies it, and what stands before it only tells."""
    passed = pass_to_file(library, triggers, door, policy)
    library.wait_for_denial(policy, passed.pid, getattr(door, VICTIMS[policy].use))
    _expect_told(library, door.name, passed.pid)

    assert passed.errno in _DENIED
    assert not passed.effect


@pytest.mark.parametrize("door", [*GUARDS.keys() & PROGRAMS["temporary"].keys()])
def test_program(library: Library, door: str, triggers: Path) -> None:
    """The same of a program."""
    passed = pass_to_program(library, triggers, door, "temporary")
    library.wait_for_denial(PROGRAMS["temporary"][door], passed.pid)
    _expect_told(library, door, passed.pid)

    assert passed.errno in _DENIED


@pytest.mark.parametrize("door", [door for door in NET_DOORS if door in GUARDS])
def test_address(library: Library, door: str, triggers: Path) -> None:
    """The same of an address; one that is only told."""
    hook = NET_DOORS[door][1]
    denied = pass_to_address(triggers, door, TARGETS["cloud-metadata"])
    library.wait_for_denial("cloud-metadata", denied.pid, hook)
    _expect_told(library, door, denied.pid)
    told = pass_to_address(triggers, door, TARGETS["egress"])
    library.wait_for("egress", told.pid, hook)

    assert denied.errno in _DENIED
    assert told.errno not in _DENIED


@pytest.mark.parametrize("policy", [*dict.fromkeys(GUARDS.values())])
def test_monitored(library: Library, policy: str) -> None:
    """What is only monitored is told and done."""
    library.require(policy)
    [case] = (case for case in CASES if case.policy == policy)
    for trigger in case.triggers:
        deed = library.do(trigger)
        library.wait_for(policy, deed.pid)

        assert deed.errno not in _DENIED


def _expect_told(library: Library, door: str, pid: int) -> None:
    if GUARDS[door] in runnable():
        library.wait_for(GUARDS[door], pid)
