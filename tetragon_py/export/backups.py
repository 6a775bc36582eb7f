# SPDX-License-Identifier: Apache-2.0
"""The backups of an export file: their names, how many stay, and their compression.

A backup of `events.jsonl` is `events-00000017-20261121T200811Z.jsonl`: the number of
the file and when it was full. Numbers only grow, so names sort by age and never come
twice, whatever is done to the clock. What `tidy` does can be interrupted anywhere and
is done by the next call.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tetragon_py.errors import SinkError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Backup", "BackupLimits", "Backups"]

_CHUNK_BYTES = 1 << 18
_PACKED = ".gz"
_UNFINISHED = ".gz.part"


class Backup(NamedTuple):
    """One of them, maybe compressed."""

    number: int
    path: Path
    size_bytes: int
    is_packed: bool


@dataclass(frozen=True, slots=True)
class BackupLimits:
    """What stays: 0 is no limit."""

    count: int = 0
    total_bytes: int = 0  # with the current file
    file_bytes: int = 0  # what the current file grows to
    compress: bool = False


class Backups:
    """Those of one export file. Has no state: what counts is in the folder.

    Args:
        path: Of the export file.
        limits: What stays.
    """

    def __init__(self, path: Path, limits: BackupLimits | None = None) -> None:
        self._path = path
        self._limits = limits or BackupLimits()
        self._pattern = re.compile(
            rf"{re.escape(path.stem)}-(\d{{8,}})-\d{{8}}T\d{{6}}Z"
            rf"{re.escape(path.suffix)}({re.escape(_PACKED)}|{re.escape(_UNFINISHED)})?"
        )

    def found(self) -> list[Backup]:
        """All of them, oldest first; without what a compression has left unfinished."""
        return [b for b in self._all() if not b.path.name.endswith(_UNFINISHED)]

    def name(self, number: int, wall_seconds: float) -> Path:
        """The name of a backup that is made at this time."""
        moment = time.gmtime(min(max(wall_seconds, 0), 253402300799))  # year 9999
        text = time.strftime("%Y%m%dT%H%M%SZ", moment)
        name = f"{self._path.stem}-{number:08}-{text}{self._path.suffix}"
        return self._path.with_name(name)

    def next_number(self) -> int:
        """One that none of them has."""
        return max((backup.number for backup in self._all()), default=0) + 1

    def tidy(self, is_stopping: Callable[[], bool] = bool) -> None:
        """Remove what is too much, oldest first, then compress.

        The newest stays as it is, for whoever still reads it.

        Args:
            is_stopping: Asked now and then: leave the rest for the next time.

        Raises:
            SinkError: something cannot be removed or compressed; the rest is done.
        """
        failures: list[str] = []
        self._remove_leftovers(failures)
        self._limit(failures)
        while self._limits.compress and not (failures or is_stopping()):
            plain = [b for b in self.found()[:-1] if not b.is_packed]
            if not plain:
                break
            self._try(failures, _compress, plain[0].path, is_stopping)
            self._limit(failures)
        if failures:
            raise SinkError(f"backups of {self._path}", "; ".join(failures))

    def _all(self) -> list[Backup]:
        found = []
        with contextlib.suppress(OSError), os.scandir(self._path.parent) as entries:
            for entry in entries:
                match = self._pattern.fullmatch(entry.name)
                if match and entry.is_file(follow_symlinks=False):
                    with contextlib.suppress(FileNotFoundError):
                        size = entry.stat(follow_symlinks=False).st_size
                        path = self._path.with_name(entry.name)
                        number = int(match[1])
                        found.append(Backup(number, path, size, bool(match[2])))
        return sorted(found, key=lambda backup: (backup.number, backup.path.name))

    def _remove_leftovers(self, failures: list[str]) -> None:
        """What a kill in the middle of a compression leaves."""
        found = {backup.path.name: backup.path for backup in self._all()}
        for name, path in found.items():
            if name.endswith(_UNFINISHED) or f"{name}{_PACKED}" in found:
                self._try(failures, path.unlink)

    def _limit(self, failures: list[str]) -> None:
        limits, backups = self._limits, self.found()
        current = limits.file_bytes
        if limits.total_bytes and not current:
            with contextlib.suppress(OSError):
                current = self._path.stat().st_size
        total = current + sum(backup.size_bytes for backup in backups)
        for done, backup in enumerate(backups):
            is_surplus = limits.count and len(backups) - done > limits.count
            if not is_surplus and not 0 < limits.total_bytes < total:
                return
            self._try(failures, backup.path.unlink)
            total -= backup.size_bytes

    @staticmethod
    def _try(failures: list[str], do: Callable[..., None], *args: object) -> None:
        try:
            do(*args)
        except FileNotFoundError:
            pass  # somebody else's doing
        except OSError as error:
            failures.append(str(error))


def _compress(path: Path, is_stopping: Callable[[], bool]) -> None:
    """Replace a file by its compressed form, whole or not at all."""
    unfinished = path.with_name(f"{path.name}{_UNFINISHED}")
    try:
        with path.open("rb") as plain:
            status = os.fstat(plain.fileno())
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(unfinished, flags, 0o600)
            with (
                os.fdopen(fd, "wb") as out,
                gzip.GzipFile("", "wb", 6, out, status.st_mtime) as packed,
            ):
                os.fchown(fd, status.st_uid, status.st_gid)
                os.fchmod(fd, status.st_mode & 0o777)
                while chunk := plain.read(_CHUNK_BYTES):
                    _go_on_unless(is_stopping())
                    packed.write(chunk)
                packed.close()
                out.flush()
                os.fsync(fd)  # the plain file goes now
        unfinished.rename(path.with_name(f"{path.name}{_PACKED}"))
    except BaseException as error:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        if isinstance(error, InterruptedError):
            return
        raise
    path.unlink()


def _go_on_unless(is_stopping: bool) -> None:  # noqa: FBT001 - of one caller
    if is_stopping:
        raise InterruptedError
