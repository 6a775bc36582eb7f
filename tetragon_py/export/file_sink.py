# SPDX-License-Identifier: Apache-2.0
"""The export file as a sink: rotated, found again, and whole, whatever happens to it.

A file is full when it has its size or its age: it is renamed, and a new one is begun.
The path is looked at now and then and on demand; if it leads elsewhere (logrotate has
renamed the file, somebody has removed it) the file of that name is opened or made. As
long as it cannot be, lines go to the old file if that still has a name, else they wait
in the backlog. The first line of each file comes from `head`.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tetragon_py.errors import SinkError
from tetragon_py.export.backups import Backups
from tetragon_py.export.file import ends_in_line, open_file
from tetragon_py.export.line_sink import LineSink
from tetragon_py.export.start_record import read_start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tetragon_py.export.file import ExportFile, FileOptions

__all__ = ["FileSink", "Rotation", "Surroundings"]

#: Between two looks at where the path leads.
_LOOK_SECONDS = 0.25
#: After a rotation that failed, lines go on into the same file for so long.
_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a file is full: 0 is never."""

    max_bytes: int = 0
    interval_seconds: float = 0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the sink needs of the daemon.

    Attributes:
        monotonic: Seconds of a clock that nobody sets.
        wall: Seconds since 1970; only for names and for the age of an older file.
        rotated: Called when there is one backup more; must not wait.
        tell: Gets what has gone wrong and what is well again, once each.
    """

    monotonic: Callable[[], float]
    wall: Callable[[], float]
    rotated: Callable[[], None]
    tell: Callable[[str], None]


class FileSink(LineSink):
    """One export file. For one thread, but for `reopen`.

    Args:
        path: Of the file.
        options: Of files that are made.
        rotation: When they are full.
        head: Makes the first line of a file of this number.
        around: What the sink needs of the daemon.

    Raises:
        SinkError: the file cannot be written to.
    """

    def __init__(
        self,
        path: Path,
        options: FileOptions,
        rotation: Rotation,
        head: Callable[[int], bytes],
        around: Surroundings,
    ) -> None:
        file = open_file(path, options)
        super().__init__(file.fd, str(path))
        self._path = path
        self._options = options
        self._rotation = rotation
        self._head = head
        self._around = around
        self._backups = Backups(path)
        # all keys from the start: another thread may look
        self._troubles = {"path": "", "rotation": "", "writing": ""}
        self._is_asked = False
        self._next_rotation = 0.0
        self._place: tuple[int, int] | None = None  # device and inode of a regular file
        start = read_start(path) if file.size_bytes else None
        self._number = max(self._backups.next_number(), start.file if start else 0)
        self._take(file)
        if start and rotation.interval_seconds:
            age = around.wall() - start.wall_seconds
            self._full_at -= min(max(age, 0), rotation.interval_seconds)

    @property
    def error(self) -> str:
        """As of every sink."""
        return next(filter(None, self._troubles.values()), "")

    def flush(self) -> bool:
        """As of every sink; an idle file is looked after too."""
        self._look()
        return super().flush()

    def reopen(self) -> None:
        """Look at the path soon: it may lead elsewhere; safe in any thread."""
        self._is_asked = True

    def close(self) -> None:
        """As of every sink."""
        self._is_asked = True
        super().close()
        self._place = None

    def _take(self, file: ExportFile) -> None:
        """Go on with this file."""
        now = self._around.monotonic()
        self.fd = file.fd
        self._place = file.place
        self._size = file.size_bytes
        self._has_lines = file.size_bytes > 0
        self._is_cut = file.is_cut
        self._owed: bytes | None = None  # what comes before the next line; None: ask
        self._full_at = now + self._rotation.interval_seconds
        self._next_look = now + _LOOK_SECONDS
        self._seen_lines = self.written_lines  # with the path leading to them

    def _write(self, data: memoryview) -> int:
        done = 0
        while done < len(data):
            self._look()
            if self._is_old() and not self._line_start:
                self._rotate()
            if self.fd < 0 or not self._pay():
                break
            part = self._fitting(data[done:])
            if not part:
                self._rotate()
                continue
            count = super()._write(part)
            done += count
            self._size += count
            self._has_lines |= count > 0
            if count < len(part):
                break
        self._judge("writing", self._write_error)
        return done

    def _fitting(self, data: memoryview) -> memoryview:
        """The lines that the file has room for; none: it is full."""
        room = self._rotation.max_bytes - self._size
        if len(data) <= room or not self._may_rotate():
            return data
        text = bytes(data)
        end = text.rfind(b"\n", 0, max(room, 0)) + 1
        if not end and (self._line_start or not self._has_lines):
            end = text.find(b"\n") + 1  # it has to be here, however long it is
        return data[:end]

    def _may_rotate(self) -> bool:
        return (
            self._rotation.max_bytes > 0
            and self._place is not None
            and self._around.monotonic() >= self._next_rotation
        )

    def _is_old(self) -> bool:
        return (
            self._rotation.interval_seconds > 0
            and self._has_lines
            and self._place is not None
            and self._around.monotonic() >= max(self._full_at, self._next_rotation)
        )

    def _pay(self) -> bool:
        """Write what has to stand before the next line; False: not whole yet.

        That is the end of a line that a crash has cut, the head, and of a line that was
        begun in another file what stands there.
        """
        if self._owed is None:
            if not self._has_lines:  # its age is that of its head
                interval = self._rotation.interval_seconds
                self._full_at = self._around.monotonic() + interval
            cut = b"\n" if self._is_cut else b""
            self._owed = cut + self._head(self._number) + self._line_start
        if self._owed:
            count = self._put(memoryview(self._owed))
            self._owed = self._owed[count:]
            self._size += count
        return not self._owed

    def _look(self) -> None:
        """If it is time, see where the path leads."""
        now = self._around.monotonic()
        if (now >= self._next_look or self._is_asked) and self._place is not None:
            self._is_asked = False
            self._next_look = now + _LOOK_SECONDS
            self._find()

    def _find(self) -> bool:
        """Go on with the file that the path leads to; True: it is the same one."""
        try:
            status = self._path.stat(follow_symlinks=False)
        except OSError:
            status = None
        is_same = status and (status.st_dev, status.st_ino) == self._place
        if status and is_same and self.fd >= 0:
            if status.st_size < self._size:  # truncated by somebody
                self._has_lines, self._is_cut = False, ends_in_line(self.fd)
                self._owed = None
            self._size = status.st_size
            self._seen_lines = self.written_lines
            self._judge("path", "")
            return True
        self._open_other()
        return False

    def _open_other(self) -> None:
        """Open what the path leads to, and only then let go of the old file."""
        try:
            file = open_file(self._path, self._options, only_regular=True)
        except SinkError as error:
            if self.fd >= 0 and not os.fstat(self.fd).st_nlink:
                self._let_go()
            self._judge("path", str(error))
            return
        self._let_go()
        self._number += 1
        self._take(file)
        self._judge("path", "")

    def _let_go(self) -> None:
        """Close the file; what was written to it after its end is lost."""
        if self.fd < 0:
            return
        if not os.fstat(self.fd).st_nlink:
            self._dropped_lines += self.written_lines - self._seen_lines
        with contextlib.suppress(OSError):  # of a network's file system
            os.close(self.fd)
        self.fd = -1

    def _rotate(self) -> None:
        """Give the file its backup's name, unless it is another one already."""
        self._next_rotation = self._around.monotonic() + _RETRY_SECONDS
        if not self._find():
            return
        while True:
            backup = self._backups.name(self._number, self._around.wall())
            if not os.path.lexists(backup) and not os.path.lexists(f"{backup}.gz"):
                break
            self._number += 1
        try:
            self._path.rename(backup)
        except OSError as error:
            self._judge("rotation", f"cannot be rotated: {error.strerror}")
            return
        self._judge("rotation", "")
        place = self._place
        self._open_other()
        if self._place != place:
            self._next_rotation = 0.0
        self._around.rotated()

    def _judge(self, what: str, trouble: str) -> None:
        """Tell what is wrong when it begins, and when all of it is over."""
        if trouble == self._troubles[what]:
            return
        self._troubles[what] = trouble
        name = f"export file {self._path}: "
        if trouble:
            self._around.tell(name + trouble.removeprefix(name))
        elif not any(self._troubles.values()):
            self._around.tell(f"{name}is written again")
