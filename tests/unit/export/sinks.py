# SPDX-License-Identifier: Apache-2.0
"""A file sink in a world that stands still: folder, clocks, disk."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from tests.unit.export.lines import start_line
from tetragon_py.export import file_sink
from tetragon_py.export.backups import Backups
from tetragon_py.export.file import FileOptions
from tetragon_py.export.file_sink import FileSink, Rotation, Surroundings

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["HEAD", "Disk", "World", "lines", "put"]

HEAD = len(start_line(1))


class World:
    """A folder, clocks that stand still, and what the sink says."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.path = folder / "events.jsonl"
        self.now = 1000.0
        self.wall = 1795378091.0
        self.rotations = 0
        self.told: list[str] = []
        self.sinks: list[FileSink] = []

    def open(self, max_bytes: int = 0, interval: float = 0) -> FileSink:
        around = Surroundings(
            lambda: self.now, lambda: self.wall, self.rotated, self.told.append
        )
        options, rotation = FileOptions(), Rotation(max_bytes, interval)
        sink = FileSink(self.path, options, rotation, start_line, around)
        self.sinks.append(sink)
        return sink

    def rotated(self) -> None:
        self.rotations += 1

    def later(self) -> None:
        """So much later that the path is looked at again."""
        self.now += file_sink._LOOK_SECONDS

    def backups(self) -> list[bytes]:
        return [backup.path.read_bytes() for backup in Backups(self.path).found()]

    def close(self) -> None:
        for sink in self.sinks:
            sink.close()


def lines(*numbers: int) -> bytes:
    return b"".join(b"%04d\n" % number for number in numbers)


def put(sink: FileSink, *numbers: int) -> None:
    sink.write(lines(*numbers), len(numbers))


class Disk:
    """Stands for os.write: so much room, then an error."""

    def __init__(self, sink: FileSink, room: int, error: int = errno.ENOSPC) -> None:
        self.room = room
        self.error = error
        sink._write_fd = self.write

    def write(self, fd: int, data: memoryview) -> int:
        count = os.write(fd, data[: self.room]) if self.room else 0
        if not count:
            raise OSError(self.error, os.strerror(self.error))
        self.room -= count
        return count
