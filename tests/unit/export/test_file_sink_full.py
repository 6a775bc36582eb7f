# SPDX-License-Identifier: Apache-2.0
"""Disks that are full at any byte: in the end all lines are there and whole."""

from __future__ import annotations

import errno
import os

import pytest

from tests.unit.export.lines import start_line
from tests.unit.export.sinks import HEAD, Disk, lines, put


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("room", range(HEAD + 10))
def test_full_disk_at_any_byte(world, room, error):
    """Wherever it was full, in the end the file is as if it never had been."""
    sink = world.open()
    disk = Disk(sink, room, error)
    put(sink, 1)
    put(sink, 2)
    assert sink.error == os.strerror(error)
    disk.room = 1000
    put(sink, 3)

    assert world.path.read_bytes() == start_line(1) + lines(1, 2, 3)
    assert sink.take_dropped() == 0
    assert world.told == [
        f"export file {world.path}: {os.strerror(error)}",
        f"export file {world.path}: is written again",
    ]


@pytest.mark.parametrize("room", range(HEAD, HEAD + 10))
@pytest.mark.parametrize("other", ["renamed", "removed", "truncated"])
def test_full_disk_and_another_file(world, room, other):
    """A line that is begun in one file is whole in the next one."""
    sink = world.open()
    disk = Disk(sink, room)
    put(sink, 1, 2)
    if other == "renamed":
        world.path.rename(world.folder / "old")
    elif other == "removed":
        world.path.unlink()
    else:
        os.truncate(world.path, 0)
    world.later()
    disk.room = 1000
    put(sink, 3)
    whole = (room - HEAD) // 5
    number = 1 if other == "truncated" else 2
    rest = [1, 2, 3][whole:]

    if other == "truncated" and room == HEAD:
        assert world.path.read_bytes() == start_line(1) + lines(1, 2, 3)
    else:
        assert world.path.read_bytes() == start_line(number) + lines(*rest)
    assert sink.take_dropped() == (whole if other == "removed" else 0)
    if other == "renamed":
        old = (world.folder / "old").read_bytes()
        assert old == (start_line(1) + lines(1, 2))[:room]


def test_full_disk_within_the_repeated_start(world):
    """Full once more while the begun line is repeated: it is whole all the same."""
    for room in range(HEAD + 14):
        world.path.unlink(missing_ok=True)
        sink = world.open()
        disk = Disk(sink, HEAD + 3)
        put(sink, 1)
        world.path.unlink()
        world.later()
        disk.room = room
        put(sink, 2)
        disk.room = 1000
        put(sink, 3)

        assert world.path.read_bytes() == start_line(2) + lines(1, 2, 3)
        sink.close()
        assert sink.take_dropped() == 0


def test_no_rotation_within_a_line(world):
    """A begun line is completed before the file is full."""
    sink = world.open(max_bytes=HEAD + 7, interval=10)
    disk = Disk(sink, HEAD + 3)
    put(sink, 1)
    world.now += 100
    disk.room = 1000
    put(sink, 2)

    assert world.backups() == [start_line(1) + lines(1)]
    assert world.path.read_bytes() == start_line(2) + lines(2)
