# SPDX-License-Identifier: Apache-2.0
"""The export file: full ones make room, none is overwritten, no line is cut."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.export.lines import start_line
from tests.unit.export.sinks import HEAD, lines, put
from tetragon_py.export.backups import Backups


def test_first_line(world):
    """A file begins with its start record, as soon as there is a line for it."""
    sink = world.open()
    assert world.path.read_bytes() == b""
    put(sink, 1)
    put(sink, 2)

    assert world.path.read_bytes() == start_line(1) + lines(1, 2)
    assert world.told == []


def test_one_write_per_batch(world):
    """The head costs a write once, the batches one each."""
    sink = world.open(max_bytes=10_000, interval=100)
    calls = []

    def write(fd: int, data: memoryview) -> int:
        calls.append(len(data))
        return os.write(fd, data)

    sink._write_fd = write
    for number in range(5):
        put(sink, number, number)

    assert calls == [HEAD, 10, 10, 10, 10, 10]


def test_new_start_in_the_same_file(world):
    """A new agent goes on in the file: with a start record of its own, same number."""
    put(world.open(), 1)
    put(world.open(), 2)

    assert world.path.read_bytes() == (start_line(1) + lines(1)) + (
        start_line(1) + lines(2)
    )


def test_cut_line_is_ended(world):
    """What a crash has cut stays by itself."""
    world.path.write_bytes(start_line(4) + b'{"cut')
    put(world.open(), 1)

    assert world.path.read_bytes() == (
        start_line(4) + b'{"cut\n' + start_line(4) + lines(1)
    )


def test_full_file_is_rotated(world):
    """No file is larger than its limit, no line is cut, all are there in order."""
    sink = world.open(max_bytes=HEAD + 20)
    for number in range(34):
        put(sink, number)
    files = [*world.backups(), world.path.read_bytes()]

    assert [len(file) for file in files] == [HEAD + 20] * 8 + [HEAD + 10]
    assert b"".join(files) == b"".join(
        start_line(n + 1) + lines(*range(34)[4 * n : 4 * n + 4]) for n in range(9)
    )
    assert world.rotations == 8
    assert sink.take_dropped() == 0


def test_batch_over_several_files(world):
    """A batch is divided between lines; a line that is too long has its own file."""
    sink = world.open(max_bytes=HEAD + 22)
    long = b"x" * 100 + b"\n"
    sink.write(lines(*range(10)) + long + lines(10), 12)
    files = [*world.backups(), world.path.read_bytes()]

    assert [file[file.index(b"\n") + 1 :] for file in files] == [
        lines(0, 1, 2, 3),
        lines(4, 5, 6, 7),
        lines(8, 9),
        long,
        lines(10),
    ]
    assert [file.partition(b"\n")[0] + b"\n" for file in files] == [
        start_line(number) for number in range(1, 6)
    ]


def test_old_file_is_rotated(world):
    """By time, on the clock that nobody sets, and only if there is something in it."""
    sink = world.open(interval=60)
    world.now += 1000
    put(sink, 1)  # an empty file does not age
    world.now += 59
    put(sink, 2)
    assert world.backups() == []
    world.wall -= 1e8
    world.now += 1
    put(sink, 3)

    assert world.backups() == [start_line(1) + lines(1, 2)]
    world.now += 1000
    sink.flush()
    assert world.rotations == 1  # nothing to write, nothing to do


def test_age_of_an_earlier_run_counts(world):
    """An agent that is restarted each hour still has a new file each day."""
    world.path.write_bytes(
        start_line(3, time="2026-11-22T18:00:00Z") + lines(1)
    )  # 2 h 8 min before
    early = world.open(interval=3 * 3600)
    put(early, 2)
    assert world.rotations == 0
    world.now += 3600
    put(early, 3)

    assert world.rotations == 1
    assert world.path.read_bytes() == start_line(4) + lines(3)


@pytest.mark.parametrize("time", ["2099-01-01T00:00:00Z", "1970-01-01T00:00:00Z"])
def test_age_by_a_clock_that_was_wrong(world, time):
    """It costs one rotation at most."""
    world.path.write_bytes(start_line(3, time=time) + lines(1))
    sink = world.open(interval=3600)
    for number in range(10):
        put(sink, number)

    assert world.rotations <= 1


def test_clock_that_jumps(world):
    """Backups come in the order of their numbers and none is overwritten."""
    sink = world.open(max_bytes=HEAD + 5)
    for number, wall in enumerate([1e9, 5e9, -1e9, 0, 1e18, 1e9, 1e9]):
        world.wall = wall
        put(sink, number)
    files = [*world.backups(), world.path.read_bytes()]

    assert [file[HEAD:] for file in files] == [lines(n) for n in range(7)]


def test_names_that_are_taken(world):
    """A backup that somebody put there stays as it is."""
    sink = world.open(max_bytes=HEAD + 5)
    taken = Backups(world.path).name(1, world.wall)
    taken.with_name(f"{taken.name}.gz").write_bytes(b"packed")
    Backups(world.path).name(2, world.wall).write_bytes(b"other")
    put(sink, 1)
    put(sink, 2)

    assert world.backups()[:2] == [b"packed", b"other"]
    assert world.backups()[2] == start_line(1) + lines(1)
    assert world.path.read_bytes() == start_line(4) + lines(2)


def test_numbers_go_on_after_a_restart(world):
    """Also if only the backups are left, or only the file."""
    sink = world.open(max_bytes=HEAD + 5)
    put(sink, 1)
    put(sink, 2)
    sink.close()
    put(world.open(), 3)
    assert start_line(2) + lines(2) + start_line(2) + lines(3) == (
        world.path.read_bytes()
    )
    world.path.unlink()
    put(world.open(), 4)
    assert world.path.read_bytes() == start_line(2) + lines(4)


def test_fifo(world):
    """A FIFO is written to and never rotated."""
    os.mkfifo(world.path)
    reader = os.open(world.path, os.O_RDONLY | os.O_NONBLOCK)
    sink = world.open(max_bytes=5, interval=1)
    for number in range(3):
        put(sink, number)
        world.now += 10
        sink.reopen()

    assert os.read(reader, 10_000) == start_line(1) + lines(0, 1, 2)
    os.close(reader)


def test_descriptors(world):
    """None is left, whatever happened, and closing twice does nothing."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    sink = world.open(max_bytes=HEAD + 5)
    for number in range(20):
        put(sink, number)
        if number % 3 == 0:
            world.path.unlink()
        world.later()
    sink.close()
    world.later()
    sink.close()
    sink.flush()

    assert len(list(Path("/proc/self/fd").iterdir())) == before
