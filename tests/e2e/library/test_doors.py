# SPDX-License-Identifier: Apache-2.0
"""What is protected is protected against every way to it."""

from __future__ import annotations

import errno
import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.agent import ROOT
from tests.e2e.library.conftest import POLICIES
from tests.e2e.library.doors import DOORS, NET_DOORS, PROGRAMS, TARGETS, VICTIMS
from tests.e2e.library.places import OWN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.library.conftest import Library
    from tests.e2e.library.doors import Door

pytestmark = pytest.mark.kernel(feature="lsm", since="5.7")
_DENIED = {errno.EPERM, errno.EACCES}


def _hook(door: Door, policy: str) -> str:
    hook: str = getattr(door, VICTIMS[policy].use)
    return hook


_TRIED = [(door, policy) for door in DOORS for policy in VICTIMS if _hook(door, policy)]


def _name(value: Door | str) -> str:
    return value if isinstance(value, str) else value.name


@pytest.fixture
def built(triggers: Path) -> Path:
    """The triggers where they were built: a policy denies what is in /tmp."""
    return ROOT / "build" / triggers.name


def _own_folder(place: Path, name: str) -> Path:
    """An empty folder but for the file that a door may put in place."""
    folder = place / OWN / name
    folder.mkdir()
    (folder / "own").write_text("text\n")
    return folder


@pytest.mark.parametrize(("door", "policy"), _TRIED, ids=_name)
def test_file(library: Library, door: Door, policy: str, built: Path) -> None:
    """By each way who reads or writes is told, by the hook in the table."""
    victim = VICTIMS[policy]
    place = library.places[door.name]
    folder = _own_folder(place, policy)
    trigger = [str(built / "doors"), door.name, victim.use]
    command = [*trigger, str(place / victim.file), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        told = json.loads(process.communicate()[0])
    seen_by = library.guard(door.name, policy)
    hook = _hook(door, policy) if seen_by == policy else ""
    library.wait_for(seen_by, process.pid, hook)

    if library.mode == "enforce":
        assert told["errno"] in _DENIED
        assert not told["read"]
    else:
        assert told["errno"] == 0


@pytest.mark.parametrize(
    ("kind", "door"),
    [(kind, door) for kind, doors in PROGRAMS.items() for door in doors],
)
def test_program(library: Library, kind: str, door: str, built: Path) -> None:
    """By each way the execution of a program is told."""
    folder = _own_folder(library.place, f"{kind}-{door}")
    trigger = [str(built / "exec_doors"), door, kind]
    command = [*trigger, str(library.place / "program"), str(folder)]
    with subprocess.Popen(command) as process:
        status = process.wait()
    library.wait_for(library.guard(door, PROGRAMS[kind][door]), process.pid)

    if library.mode == "enforce":
        assert status in _DENIED
    else:
        assert status == 0


@pytest.mark.parametrize("policy", TARGETS)
@pytest.mark.parametrize("door", NET_DOORS)
def test_address(library: Library, door: str, policy: str, built: Path) -> None:
    """By each way who talks to an address is told, by the hook in the table."""
    command = [str(built / "net_doors"), door, TARGETS[policy]]
    with subprocess.Popen(command) as process:
        status = process.wait()
    seen_by = library.guard(door, policy)
    hook = NET_DOORS[door][1] if seen_by == policy else ""
    library.wait_for(seen_by, process.pid, hook)
    is_denied = library.mode == "enforce" and POLICIES[seen_by].effect == "blocks"

    assert (status in _DENIED) is is_denied
