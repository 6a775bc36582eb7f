# SPDX-License-Identifier: Apache-2.0
"""Goes through a door with the triggers, and tells how that ended."""

from __future__ import annotations

import json
import stat
import subprocess
import tempfile
from typing import TYPE_CHECKING, NamedTuple

from tests.e2e.agent import ROOT
from tests.e2e.library.doors import VICTIMS
from tests.e2e.library.places import OWN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.library.conftest import Library
    from tests.e2e.library.doors import Door

__all__ = ["Passed", "pass_to_address", "pass_to_file", "pass_to_program", "state"]


class Passed(NamedTuple):
    """The pid of who tried, the errno or 0, and whether there was an effect."""

    pid: int
    errno: int
    effect: bool


def pass_to_file(library: Library, built: Path, door: Door, policy: str) -> Passed:
    """Read or write what a policy protects. The effect: read, or not as it was."""
    victim = VICTIMS[policy]
    place = library.places[door.name]
    file = place / victim.file
    folder = _own_folder(place, policy)
    before = state(file)
    trigger = [str(_unmoved(built) / "doors"), door.name, victim.use]
    command = [*trigger, str(file), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        told = json.loads(process.communicate()[0])
    # to have removed it is no way to have it say something else
    is_changed = file.is_symlink() or (file.exists() and state(file) != before)
    return Passed(process.pid, told["errno"], bool(told["read"]) or is_changed)


def pass_to_program(library: Library, built: Path, door: str, kind: str) -> Passed:
    """Execute a program; the errno is the exit status."""
    trigger = [str(_unmoved(built) / "exec_doors"), door, kind]
    command = [*trigger, str(library.place / "program")]
    # not in the place: a script there would be denied for itself
    with tempfile.TemporaryDirectory(dir=_unmoved(built)) as other:
        is_script = door == "script"
        folder = other if is_script else _own_folder(library.place, f"{kind}-{door}")
        with subprocess.Popen([*command, str(folder)]) as process:
            status = process.wait()
    return Passed(process.pid, status, status == 0)


def pass_to_address(built: Path, door: str, address: str) -> Passed:
    """Talk to it; nobody answers."""
    with subprocess.Popen(
        [str(_unmoved(built) / "net_doors"), door, address]
    ) as process:
        status = process.wait()
    return Passed(process.pid, status, status == 0)


def state(file: Path) -> tuple[int, ...]:
    """What a file is, as far as it can be seen without opening it."""
    got = file.lstat()
    written = got.st_mtime_ns if stat.S_ISREG(got.st_mode) else 0
    return (got.st_ino, got.st_nlink, got.st_size, got.st_mode, written)


# A policy denies what is in /tmp, where the tests get a copy.
def _unmoved(built: Path) -> Path:
    return ROOT / "build" / built.name


def _own_folder(place: Path, name: str) -> Path:
    """An empty folder but for the file that a door may put in place."""
    folder = place / OWN / name
    folder.mkdir()
    (folder / "own").write_text("text\n")
    return folder
