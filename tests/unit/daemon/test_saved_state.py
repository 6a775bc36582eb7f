# SPDX-License-Identifier: Apache-2.0
"""Files for the next agent: replaced in one step, for root only."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from tetragon_py.daemon.saved_state import Header, SavedState

if TYPE_CHECKING:
    from pathlib import Path

HEADER = Header("1.0", "o" * 64, "a" * 64, [1, 2, 3])


@pytest.fixture
def state(tmp_path: Path) -> SavedState:
    return SavedState(tmp_path / "run" / "name", 3)


def test_there_and_back(state: SavedState) -> None:
    """Header, state and what was told; the last one written counts."""
    for value in (1, {"x": (2, b"3")}):
        state.write(HEADER, value)
        state.write_told([value])

    assert state.read_header() == HEADER
    assert state.read() == {"x": (2, b"3")}
    assert state.read_told() == [{"x": (2, b"3")}]
    assert sorted(p.name for p in state.folder.iterdir()) == ["state", "told"]


def test_only_root_may_look(state: SavedState) -> None:
    """Folders and files are private."""
    state.write(HEADER, 1)

    assert state.folder.stat().st_mode & 0o777 == 0o700
    assert state.folder.parent.stat().st_mode & 0o777 == 0o700
    assert (state.folder / "state").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"[]\n", b"{}\n", b"\xff", b'{"version":1,"more":2}\n']
)
def test_no_header(state: SavedState, data: bytes) -> None:
    """What is not readable is as if it were not there."""
    assert state.read_header() is None
    assert state.read() is None
    assert state.read_told() is None
    state.make_folder()
    (state.folder / "state").write_bytes(data)

    assert state.read_header() is None
    assert state.read() is None


def test_another_format(state: SavedState) -> None:
    """A header of another format is none."""
    state.write(dataclasses.replace(HEADER, format=99), 1)

    assert state.read_header() is None


def test_a_cut_state(state: SavedState) -> None:
    """Its header can be read, and nothing else."""
    state.write(HEADER, list(range(100)))
    path = state.folder / "state"
    path.write_bytes(path.read_bytes()[:-1])

    assert state.read_header() == HEADER
    assert state.read() is None


def test_worlds_that_are_gone(state: SavedState) -> None:
    """Their states are removed, and nothing else."""
    parent = state.folder.parent
    for number in (1, 2, 3):
        SavedState(parent, number).make_folder()
    (parent / "other").mkdir()
    SavedState.remove_others(parent, [2])
    SavedState.remove_others(parent / "nobody", [])

    left = sorted(path.name for path in parent.iterdir())
    assert left == ["2", "other"]
    SavedState(parent, 2).remove()
    SavedState(parent, 2).remove()
    assert not (parent / "2").exists()
