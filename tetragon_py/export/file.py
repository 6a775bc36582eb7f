# SPDX-License-Identifier: Apache-2.0
"""Opens the export file: appended to, created private, its last line whole."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from tetragon_py.errors import SinkError
from tetragon_py.export.line_sink import LineSink

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["open_file"]

_MODE = 0o600
#: Non-blocking matters for a FIFO, where opening and writing could wait for a reader.
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
_HINTS = {
    errno.ENOENT: "its directory does not exist",
    errno.EACCES: "permission denied",
    errno.EISDIR: "it is a directory",
    errno.ENXIO: "it is a FIFO that nobody reads",
    errno.EROFS: "its file system is read-only",
}


def open_file(path: Path) -> LineSink:
    """Open or create `path` for lines to be appended.

    Raises:
        SinkError: it cannot be written to.
    """
    try:
        fd = os.open(path, _FLAGS, _MODE)
    except OSError as error:
        reason = _HINTS.get(error.errno or 0, error.strerror or str(error))
        raise SinkError(
            f"export file {path}", f"cannot be written: {reason}"
        ) from error
    try:
        _end_last_line(path, fd)
    except OSError as error:
        os.close(fd)
        raise SinkError(f"export file {path}", f"{error.strerror}") from error
    return LineSink(fd, str(path))


def _end_last_line(path: Path, fd: int) -> None:
    """A crash can have cut the last line: the next one must not be glued to it."""
    size = os.fstat(fd).st_size
    if not size:
        return
    with path.open("rb") as file:
        file.seek(size - 1)
        if file.read(1) != b"\n":
            os.write(fd, b"\n")
