# SPDX-License-Identifier: Apache-2.0
"""A policy's file in the agent's directory: written whole, or not at all.

It begins with a line that has the digest of the rest, by which it is seen later whether
somebody has changed it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from tetragon_py.errors import TetragonError

__all__ = ["is_changed", "remove_policy", "write_policy"]

_FIRST_LINE = "# From `tetragon-py policy library`. sha256 of what follows: "
_MODE = 0o644


def is_changed(path: Path) -> bool:
    """Whether a file is not what write_policy wrote, of whatever release.

    Raises:
        TetragonError: It cannot be read.
    """
    try:
        first, _, rest = path.read_bytes().partition(b"\n")
    except OSError as error:
        raise TetragonError(f"{path} cannot be read: {error.strerror}") from error
    return first.decode(errors="replace") != _first_line(rest)


def write_policy(path: Path, text: str) -> None:
    """Put the whole file in place at once: the agent never reads a part of it.

    Raises:
        TetragonError: It cannot be written; the one that was there stays.
    """
    data = text.encode()
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _replace(path, f"{_first_line(data)}\n".encode() + data)
    except OSError as error:
        raise TetragonError(f"{path} cannot be written: {error.strerror}") from error


def remove_policy(path: Path) -> None:
    """Remove the file.

    Raises:
        TetragonError: It cannot be removed.
    """
    try:
        path.unlink()
    except OSError as error:
        raise TetragonError(f"{path} cannot be removed: {error.strerror}") from error


def _first_line(rest: bytes) -> str:
    return f"{_FIRST_LINE}{hashlib.sha256(rest).hexdigest()}"


def _replace(path: Path, data: bytes) -> None:
    # Hidden files are no policies.
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
