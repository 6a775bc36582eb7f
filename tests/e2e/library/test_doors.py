# SPDX-License-Identifier: Apache-2.0
"""What is protected is protected against every way to it."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from tests.e2e.library.conftest import POLICIES
from tests.e2e.library.doors import (
    DOORS,
    GUARDS,
    NET_DOORS,
    PROGRAMS,
    TARGETS,
    UNLINKED,
    VICTIMS,
)
from tests.e2e.library.passing import pass_to_address, pass_to_file, pass_to_program

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.library.conftest import Library
    from tests.e2e.library.doors import Door

pytestmark = pytest.mark.kernel(feature="lsm", since="5.7")
_DENIED = {errno.EPERM, errno.EACCES}
#: Of ld.so, which does not tell why.
_LOADER_FAILED = 127
_FILES = [
    (door, policy)
    for door in DOORS
    for policy, victim in VICTIMS.items()
    if getattr(door, victim.use) and door.name not in GUARDS
]
_PROGRAMS = [
    (kind, door)
    for kind, doors in PROGRAMS.items()
    for door in doors
    if door not in GUARDS
]
_GUARDED = [door for door in DOORS if door.name in GUARDS]


def _name(value: Door | str) -> str:
    return value if isinstance(value, str) else value.name


@pytest.mark.parametrize(("door", "policy"), _FILES, ids=_name)
def test_file(library: Library, door: Door, policy: str, triggers: Path) -> None:
    """By no way it is read or written; the hook in the table denies it."""
    passed = pass_to_file(library, triggers, door, policy)
    hook = getattr(door, VICTIMS[policy].use)
    denial = UNLINKED.get((door.name, policy), (policy, hook))
    library.wait_for_denial(denial[0], passed.pid, denial[1])

    assert passed.errno in _DENIED
    assert not passed.effect


@pytest.mark.parametrize("door", _GUARDED, ids=_name)
def test_guarded_file(library: Library, door: Door, triggers: Path) -> None:
    """Some ways end before the file; without that: test_guarded.py."""
    guard = GUARDS[door.name]
    library.require(guard)
    passed = pass_to_file(library, triggers, door, "shadow-read")
    library.wait_for_denial(guard, passed.pid)

    assert passed.errno in _DENIED
    assert not passed.effect


@pytest.mark.parametrize(("kind", "door"), _PROGRAMS)
def test_program(library: Library, kind: str, door: str, triggers: Path) -> None:
    """By no way a program is executed."""
    passed = pass_to_program(library, triggers, door, kind)
    library.wait_for_denial(PROGRAMS[kind][door], passed.pid)

    assert passed.errno in ({_LOADER_FAILED} if door == "loader" else _DENIED)


@pytest.mark.parametrize("policy", TARGETS)
@pytest.mark.parametrize("door", [door for door in NET_DOORS if door not in GUARDS])
def test_address(library: Library, door: str, policy: str, triggers: Path) -> None:
    """By no way an address is talked to, or without being told; by the same hook."""
    passed = pass_to_address(triggers, door, TARGETS[policy])
    hook = NET_DOORS[door][1]
    if POLICIES[policy].effect == "blocks":
        library.wait_for_denial(policy, passed.pid, hook)
        assert passed.errno in _DENIED
    else:
        library.wait_for(policy, passed.pid, hook)
        assert passed.errno not in _DENIED
