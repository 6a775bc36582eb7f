# SPDX-License-Identifier: Apache-2.0
"""Opens the file of an export: appended to, private, and what its name says it is."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tetragon_py.errors import SinkError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ExportFile", "FileOptions", "ends_in_line", "open_file"]

#: Non-blocking matters for a FIFO, where opening and writing could wait for a reader.
#: A link would be followed to wherever it leads, and a rotation would rename the link.
_FLAGS = (
    os.O_WRONLY
    | os.O_APPEND
    | os.O_CREAT
    | os.O_CLOEXEC
    | os.O_NONBLOCK
    | os.O_NOFOLLOW
    | os.O_NOCTTY
)
_HINTS = {
    errno.ENOENT: "its directory does not exist",
    errno.ENOTDIR: "its directory does not exist",
    errno.EACCES: "permission denied",
    errno.EISDIR: "it is a directory",
    errno.ELOOP: "it is a symbolic link, name the file that it leads to",
    errno.ENXIO: "it is a FIFO that nobody reads",
    errno.EROFS: "its file system is read-only",
}


@dataclass(frozen=True, slots=True)
class FileOptions:
    """Of the files that the agent makes; those that are there keep what they have."""

    mode: int = 0o600
    group: int = -1  # its number; -1: the agent's


@dataclass(frozen=True, slots=True)
class ExportFile:
    """An open one.

    `place` is its device and inode; None: it is a FIFO or a device, no regular file.
    `is_cut`: its last line is not whole.
    """

    fd: int
    place: tuple[int, int] | None
    size_bytes: int
    is_cut: bool


def open_file(
    path: Path, options: FileOptions, *, only_regular: bool = False
) -> ExportFile:
    """Open or create `path` for lines to be appended.

    Args:
        path: Of the file.
        options: If it has to be made.
        only_regular: Refuse FIFOs and devices.

    Raises:
        SinkError: it cannot be written to.
    """
    fd = -1
    try:
        fd = _open(path, options)
        status = os.fstat(fd)
        if stat.S_ISREG(status.st_mode):
            place = status.st_dev, status.st_ino
            return ExportFile(fd, place, status.st_size, ends_in_line(fd))
        _refuse(only_regular)
        return ExportFile(fd, None, 0, is_cut=False)
    except OSError as error:
        if fd >= 0:
            os.close(fd)
        reason = _HINTS.get(error.errno or 0, error.strerror or str(error))
        raise SinkError(
            f"export file {path}", f"cannot be written: {reason}"
        ) from error


def _refuse(only_regular: bool) -> None:  # noqa: FBT001 - of one caller
    if only_regular:
        raise OSError(0, "it is not a regular file any more")


def _open(path: Path, options: FileOptions) -> int:
    try:
        # with no bit for others until it has its group
        fd = os.open(path, _FLAGS | os.O_EXCL, options.mode & 0o600)
    except FileExistsError:
        return os.open(path, _FLAGS & ~os.O_CREAT)
    try:
        if options.group >= 0:
            os.fchown(fd, -1, options.group)
        os.fchmod(fd, options.mode)
    except OSError:
        os.close(fd)
        raise
    return fd


def ends_in_line(fd: int) -> bool:
    """Whether the last line of a file is cut. An empty file has none."""
    size = os.fstat(fd).st_size
    if not size:
        return False
    # through /proc: it is open for writing only, and the path may lead elsewhere by now
    reader = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(reader, 1, size - 1) != b"\n"
    finally:
        os.close(reader)
