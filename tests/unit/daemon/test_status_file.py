# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.daemon.status_file: whole or not at all; stale is known."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys

import pytest

from tetragon_py.daemon.status_file import STATUS_NAME, StatusFile, read_status
from tetragon_py.errors import TetragonError


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run"


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_written_is_read(folder):
    """With the process that wrote it, which lives; only its group may read along."""
    before = os.umask(0o077)
    try:
        StatusFile(folder).write({"state": "running", "text": "ü\0"})
    finally:
        os.umask(before)
    found = read_status(folder)

    assert found is not None
    assert (found.state["state"], found.state["text"]) == ("running", "ü\0")
    assert found.state["pid"] == os.getpid()
    assert found.is_alive
    assert 0 <= found.age_seconds < 60
    assert (mode(folder), mode(folder / STATUS_NAME)) == (0o750, 0o640)
    assert [path.name for path in folder.iterdir()] == [STATUS_NAME]


def test_it_is_replaced_as_a_whole(folder):
    """Who has it open goes on reading the one before; a failure leaves it there."""
    file = StatusFile(folder)
    file.write({"number": 1})
    with (folder / STATUS_NAME).open() as old:
        (folder / f".{STATUS_NAME}.new").write_text("left by a crash")
        file.write({"number": 2})
        assert json.load(old)["number"] == 1
    with pytest.raises(TypeError):
        file.write({"number": object()})
    found = read_status(folder)

    assert found is not None
    assert found.state["number"] == 2


def test_a_link_in_its_place_is_not_followed(folder, tmp_path):
    """Nobody has another file overwritten by it."""
    folder.mkdir()
    victim = tmp_path / "victim"
    victim.write_text("x")
    (folder / f".{STATUS_NAME}.new").symlink_to(victim)
    (folder / STATUS_NAME).symlink_to(victim)
    StatusFile(folder).write({})

    assert victim.read_text() == "x"
    assert not (folder / STATUS_NAME).is_symlink()


def test_a_folder_that_cannot_be_made(tmp_path):
    """Whoever writes decides what to do then."""
    with pytest.raises(OSError, match="No such file"):
        StatusFile(tmp_path / "a" / "b").write({})


def test_the_dead_are_known(folder):
    """By their pid and start: another process with the number is not the agent."""
    code = (
        "import sys, pathlib; from tetragon_py.daemon.status_file import StatusFile;"
        "StatusFile(pathlib.Path(sys.argv[1])).write({})"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)
    found = read_status(folder)
    assert found is not None
    assert not found.is_alive

    path = folder / STATUS_NAME
    state = json.loads(path.read_text())
    path.write_text(json.dumps(state | {"pid": os.getpid()}))
    found = read_status(folder)
    assert found is not None
    assert not found.is_alive


def test_no_file(folder):
    """No agent has run."""
    assert read_status(folder) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pid": "x"}', '{"pid":1'])
def test_other_files(folder, text):
    """What is no status is said, with what to do."""
    folder.mkdir()
    (folder / STATUS_NAME).write_text(text)
    with pytest.raises(TetragonError, match="is not a status file: remove it"):
        read_status(folder)


def test_what_cannot_be_read(folder):
    """A line with the reason."""
    (folder / STATUS_NAME).mkdir(parents=True)
    with pytest.raises(TetragonError, match=r"status\.json: Is a directory"):
        read_status(folder)
