# SPDX-License-Identifier: Apache-2.0
"""Backups: names that never come twice, limits that hold, compression that is whole."""

from __future__ import annotations

import gzip
import os
import stat
from typing import TYPE_CHECKING

import pytest

from tetragon_py.errors import SinkError
from tetragon_py.export import backups as module
from tetragon_py.export.backups import BackupLimits, Backups

if TYPE_CHECKING:
    from pathlib import Path

TEXT = b'{"a":1}\n' * 1000


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.jsonl"


def make(path, count: int, text: bytes = TEXT) -> list[Path]:
    """Backups 1 to `count`, and a current file."""
    path.write_bytes(text)
    made = [Backups(path).name(number, number * 60) for number in range(1, count + 1)]
    for backup in made:
        backup.write_bytes(text)
    return made


def names(path) -> list[str]:
    return [backup.path.name for backup in Backups(path).found()]


def test_names(path):
    """Number and time, before the suffix; the current file's own name is kept."""
    backups = Backups(path)

    assert backups.name(17, 1795378091.9).name == (
        "events-00000017-20261122T200811Z.jsonl"
    )
    assert Backups(path.with_name("log")).name(1, 0).name == (
        "log-00000001-19700101T000000Z"
    )
    assert backups.name(123456789, 0).name.startswith("events-123456789-")


@pytest.mark.parametrize("clock", [-5.0, 0.0, 1e18])
def test_clocks_that_are_wrong(path, clock):
    """Whatever the time is: there is a name, and it is found again."""
    backups = Backups(path)
    backups.name(5, clock).touch()

    assert [backup.number for backup in backups.found()] == [5]


def test_only_backups_are_found(path, tmp_path):
    """In the order of their numbers, whatever their times; nothing of others."""
    for name in (
        "events-00000002-20200101T000000Z.jsonl",
        "events-00000010-19990101T000000Z.jsonl.gz",
        "events-00000001-20300101T000000Z.jsonl",
        "events-00000003-20300101T000000Z.jsonl.gz.part",
        "events-2-20300101T000000Z.jsonl",
        "events-00000004-20300101T000000Z.jsonl.bz2",
        "events-00000004-20300101T000000Z.json",
        "event-00000004-20300101T000000Z.jsonl",
        "events.jsonl.1",
    ):
        (tmp_path / name).touch()
    (tmp_path / "events-00000005-20300101T000000Z.jsonl").mkdir()
    (tmp_path / "events-00000006-20300101T000000Z.jsonl").symlink_to("/etc/passwd")

    assert [(b.number, b.is_packed) for b in Backups(path).found()] == [
        (1, False),
        (2, False),
        (10, True),
    ]
    assert Backups(path).next_number() == 11


def test_no_folder(path):
    """Nothing is there, nothing is raised."""
    backups = Backups(path / "no" / "file", BackupLimits(1, 1, 1, compress=True))

    assert (backups.found(), backups.next_number()) == ([], 1)
    backups.tidy()


def test_count(path):
    """The oldest go."""
    made = make(path, 7)
    Backups(path, BackupLimits(count=5)).tidy()

    assert names(path) == [backup.name for backup in made[2:]]
    assert path.exists()


def test_total_size(path):
    """Backups and the file that is being written have room together."""
    make(path, 7)
    size = len(TEXT)
    Backups(path, BackupLimits(total_bytes=4 * size, file_bytes=size)).tidy()
    assert len(names(path)) == 3
    Backups(path, BackupLimits(total_bytes=3 * size)).tidy()  # its own size counts
    assert len(names(path)) == 2
    Backups(path, BackupLimits(total_bytes=1)).tidy()
    assert names(path) == []
    assert path.exists()


def test_no_limits(path):
    """Zero is no limit."""
    make(path, 7)
    Backups(path).tidy()

    assert len(names(path)) == 7


def test_compression(path):
    """All but the newest; nothing of the content, mode, group or time is lost."""
    made = make(path, 3)
    made[0].chmod(0o640)
    os.utime(made[0], (1000, 1000))
    Backups(path, BackupLimits(compress=True)).tidy()

    assert names(path) == [f"{b.name}.gz" for b in made[:2]] + [made[2].name]
    packed = made[0].with_name(f"{made[0].name}.gz")
    with gzip.open(packed) as file:
        assert file.read() == TEXT
    assert packed.stat().st_size < len(TEXT) / 20
    assert stat.S_IMODE(packed.stat().st_mode) == 0o640
    assert not list(path.parent.glob("*.part"))


@pytest.mark.parametrize("leaves", ["part", "both"])
def test_killed_compression_is_done_again(path, leaves):
    """Whatever a kill has left: in the end each backup is there once, and whole."""
    made = make(path, 2)
    if leaves == "part":
        made[0].with_name(f"{made[0].name}.gz.part").write_bytes(b"\x1f\x8b")
    else:
        made[0].with_name(f"{made[0].name}.gz").write_bytes(gzip.compress(TEXT))
    Backups(path, BackupLimits(compress=True)).tidy()

    assert names(path) == [f"{made[0].name}.gz", made[1].name]
    assert gzip.decompress((path.parent / names(path)[0]).read_bytes()) == TEXT
    assert not list(path.parent.glob("*.part"))


def test_stop_leaves_the_rest(path):
    """Asked to stop, it leaves whole files only."""
    made = make(path, 3, os.urandom(3 * module._CHUNK_BYTES))
    answers = iter([False, False, False, True, True])
    limits = BackupLimits(compress=True)
    Backups(path, limits).tidy(lambda: next(answers))

    assert names(path) == [backup.name for backup in made]
    assert not list(path.parent.glob("*.part"))


def test_failure_is_told_and_leaves_the_plain_file(path, monkeypatch):
    """A full disk costs nothing but the compression."""
    made = make(path, 3)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SinkError, match=r"backups of .*events.jsonl: .*No space left"):
        Backups(path, BackupLimits(compress=True)).tidy()

    assert names(path) == [backup.name for backup in made]
    assert not list(path.parent.glob("*.part"))


def test_removed_meanwhile(path, monkeypatch):
    """What somebody else removes is no failure."""
    made = make(path, 3)
    backups = Backups(path, BackupLimits(count=1, compress=True))
    stale = backups._all()
    for backup in made[:2]:
        backup.unlink()
    monkeypatch.setattr(backups, "_all", lambda: stale)
    answers = iter([False, True])
    backups.tidy(lambda: next(answers))

    assert names(path) == [made[2].name]
