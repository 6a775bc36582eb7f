# SPDX-License-Identifier: Apache-2.0
"""A file that a command puts in place: written whole, or not at all.

It begins with a comment that has the digest of the rest, by which it is seen later
whether somebody has changed it.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path

from tetragon_py.errors import TetragonError

__all__ = ["is_changed", "remove_file", "write_file"]

_MARK = re.compile(r"# From `.*`\. sha256 of what follows: ([0-9a-f]{64})")
_MODE = 0o644


def is_changed(path: Path) -> bool:
    """Whether a file is not what write_file wrote, of whatever release.

    Raises:
        TetragonError: It cannot be read.
    """
    try:
        first, _, rest = path.read_bytes().partition(b"\n")
    except OSError as error:
        raise TetragonError(f"{path} cannot be read: {error.strerror}") from error
    found = _MARK.fullmatch(first.decode(errors="replace"))
    return found is None or found[1] != hashlib.sha256(rest).hexdigest()


def write_file(path: Path, text: str, command: str) -> None:
    """Put the whole file in place at once: nobody ever reads a part of it.

    Args:
        path: Its folder is made if there is none.
        text: What follows the first line.
        command: Whose file it is, for that line.

    Raises:
        TetragonError: It cannot be written; the one that was there stays.
    """
    data = text.encode()
    digest = hashlib.sha256(data).hexdigest()
    mark = f"# From `{command}`. sha256 of what follows: {digest}\n"
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _replace(path, mark.encode() + data)
    except OSError as error:
        raise TetragonError(f"{path} cannot be written: {error.strerror}") from error


def remove_file(path: Path) -> None:
    """Remove the file.

    Raises:
        TetragonError: It cannot be removed.
    """
    try:
        path.unlink()
    except OSError as error:
        raise TetragonError(f"{path} cannot be removed: {error.strerror}") from error


def _replace(path: Path, data: bytes) -> None:
    # Hidden files are neither policies nor units.
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            os.fchmod(number, _MODE)
            file.write(data)
            file.flush()
            os.fsync(number)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
