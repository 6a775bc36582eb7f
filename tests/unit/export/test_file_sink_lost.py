# SPDX-License-Identifier: Apache-2.0
"""The export file is renamed, removed, truncated, replaced: the sink finds its way."""

from __future__ import annotations

import errno
import os
import shutil

import pytest

from tests.unit.export.lines import start_line
from tests.unit.export.sinks import HEAD, lines, put
from tetragon_py.errors import SinkError
from tetragon_py.export import file_sink, line_sink


@pytest.mark.parametrize("how", ["signal", "by itself", "idle"])
def test_renamed_file(world, how):
    """Logrotate renames: there is a new file soon, and nothing is lost."""
    sink = world.open()
    put(sink, 1)
    world.path.rename(world.folder / "old")
    put(sink, 2)
    if how == "signal":
        sink.reopen()
    else:
        world.later()
    if how == "idle":
        assert sink.flush()
        assert world.path.exists()
    put(sink, 3)

    assert (world.folder / "old").read_bytes() == start_line(1) + lines(1, 2)
    assert world.path.read_bytes() == start_line(2) + lines(3)
    assert sink.take_dropped() == 0
    assert world.rotations == 0


def test_signal_without_a_reason(world):
    """The same file is gone on with, without a second head."""
    sink = world.open()
    put(sink, 1)
    sink.reopen()
    put(sink, 2)

    assert world.path.read_bytes() == start_line(1) + lines(1, 2)


def test_file_that_logrotate_has_made(world):
    """With `create` the new file is there already, with the mode that was asked for."""
    sink = world.open()
    put(sink, 1)
    world.path.rename(world.folder / "old")
    world.path.touch(0o640)
    world.path.chmod(0o640)
    sink.reopen()
    put(sink, 2)

    assert world.path.read_bytes() == start_line(2) + lines(2)
    assert world.path.stat().st_mode & 0o777 == 0o640


def test_truncated_file(world):
    """After copytruncate the file has a head again."""
    sink = world.open(max_bytes=HEAD + 20)
    put(sink, 1, 2, 3)
    os.truncate(world.path, 0)
    world.later()
    put(sink, 4, 5)

    assert world.path.read_bytes() == start_line(1) + lines(4, 5)


def test_truncated_within_a_line(world):
    """What is left of a line stays by itself."""
    sink = world.open()
    put(sink, 1, 2)
    os.truncate(world.path, HEAD + 7)
    world.later()
    put(sink, 4)

    assert world.path.read_bytes() == (
        start_line(1) + lines(1) + b"00\n" + start_line(1) + lines(4)
    )


def test_removed_file(world):
    """What was written after the last look is told as lost, the rest is not."""
    sink = world.open()
    put(sink, 1, 2)
    world.later()
    put(sink, 3)
    put(sink, 4)
    world.path.unlink()
    put(sink, 5)
    world.later()
    put(sink, 6)

    assert world.path.read_bytes() == start_line(2) + lines(6)
    assert sink.take_dropped() == 3
    assert sink.written_lines - 3 == 3


def test_removed_before_the_end(world):
    """Also those that nobody looked for any more."""
    sink = world.open()
    put(sink, 1, 2)
    world.path.unlink()
    sink.close()

    assert sink.take_dropped() == 2


def test_removed_folder(world):
    """Lines wait for it to come back; the descriptor is not held."""
    sink = world.open(max_bytes=HEAD + 20, interval=60)
    put(sink, 1)
    world.later()
    sink.flush()
    fd = sink.fd
    shutil.rmtree(world.folder)
    world.later()
    put(sink, 2)
    put(sink, 3)
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(fd)
    assert not sink.flush()
    assert sink.take_dropped() == 0
    world.folder.mkdir()
    world.later()
    assert sink.flush()

    assert world.path.read_bytes() == start_line(2) + lines(2, 3)
    assert world.told == [
        f"export file {world.path}: cannot be written: its directory does not exist",
        f"export file {world.path}: is written again",
    ]


def test_removed_folder_and_full_backlog(world, monkeypatch):
    """What finds no room meanwhile is counted: written + dropped = given."""
    monkeypatch.setattr(line_sink, "BACKLOG_MAX_BYTES", 50)
    sink = world.open()
    shutil.rmtree(world.folder)
    world.later()
    for number in range(30):
        put(sink, number)
    world.folder.mkdir()
    world.later()
    sink.flush()

    assert world.path.read_bytes() == start_line(2) + lines(*range(20, 30))
    assert sink.take_dropped() == 20


@pytest.mark.parametrize("other", ["directory", "link", "fifo"])
@pytest.mark.parametrize("moved", [True, False])
def test_replaced_by_something_else(world, other, moved):
    """Nothing is written there; what has been moved away is gone on with meanwhile."""
    sink = world.open()
    put(sink, 1)
    world.later()
    sink.flush()
    old = world.folder / "old"
    world.path.rename(old) if moved else world.path.unlink()
    target = world.folder / "target"
    target.touch()
    if other == "directory":
        world.path.mkdir()
    elif other == "link":
        world.path.symlink_to(target)
    else:
        os.mkfifo(world.path)
    reader = os.open(world.path, os.O_RDONLY | os.O_NONBLOCK) if other == "fifo" else -1
    for number in (2, 3):
        world.later()
        put(sink, number)
    assert len(world.told) == 1
    assert "cannot be written: it is" in world.told[0]
    assert "cannot be written: it is" in sink.error
    if other == "directory":
        world.path.rmdir()
    else:
        world.path.unlink()
    world.later()
    put(sink, 4)

    assert target.read_bytes() == b""
    assert sink.error == ""
    assert world.told[1:] == [f"export file {world.path}: is written again"]
    if moved:
        assert old.read_bytes() == start_line(1) + lines(1, 2, 3)
        assert world.path.read_bytes() == start_line(2) + lines(4)
    else:
        assert world.path.read_bytes() == start_line(2) + lines(2, 3, 4)
    assert sink.take_dropped() == 0
    if reader >= 0:
        os.close(reader)


def test_nobody_elses_file_is_renamed(world):
    """A file that took the place is not taken for a backup."""
    sink = world.open(max_bytes=HEAD + 5)
    put(sink, 1)
    world.path.rename(world.folder / "old")
    world.path.write_bytes(b"of somebody\n")
    put(sink, 2)

    assert world.path.read_bytes() == b"of somebody\n" + start_line(2) + lines(2)
    assert world.backups() == []


def test_rotation_that_fails(world, monkeypatch):
    """Lines go on into the same file, and it is tried again."""
    sink = world.open(max_bytes=HEAD + 5)
    put(sink, 1)
    with monkeypatch.context() as patch:

        def refuse(*_):
            raise OSError(errno.EACCES, "Permission denied")

        patch.setattr(type(world.path), "rename", refuse)
        for number in (2, 3):
            put(sink, number)
            world.now += file_sink._RETRY_SECONDS
    put(sink, 4)

    assert world.backups() == [start_line(1) + lines(1, 2, 3)]
    assert world.path.read_bytes() == start_line(2) + lines(4)
    name = f"export file {world.path}"
    assert world.told == [
        f"{name}: cannot be rotated: Permission denied",
        f"{name}: is written again",
    ]


def test_no_new_file_after_the_rename(world, monkeypatch):
    """A disk without room for a new file: lines go on into the backup."""
    sink = world.open(max_bytes=HEAD + 5)
    put(sink, 1)
    with monkeypatch.context() as patch:

        def refuse(*_, **__):
            raise SinkError("x", "No space left on device")

        patch.setattr(file_sink, "open_file", refuse)
        put(sink, 2)
        put(sink, 3)
    world.later()
    put(sink, 4)

    assert world.backups() == [start_line(1) + lines(1, 2, 3)]
    assert world.path.read_bytes() == start_line(2) + lines(4)
    assert sink.take_dropped() == 0
