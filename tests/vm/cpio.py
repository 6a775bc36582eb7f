# SPDX-License-Identifier: Apache-2.0
"""Writes initramfs archives: the kernel's "newc" form of cpio, uncompressed.

The kernel accepts several archives in a row; later entries overwrite earlier ones.
"""

from __future__ import annotations

import stat
from typing import NamedTuple

__all__ = ["Entry", "directory", "file", "pack", "symlink"]


class Entry(NamedTuple):
    """One file, folder, link or device; `mode` has the type too."""

    name: str
    content: bytes
    mode: int
    device: tuple[int, int] = (0, 0)


def directory(name: str) -> Entry:
    """A folder that all may read."""
    return Entry(name, b"", stat.S_IFDIR | 0o755)


def file(name: str, content: bytes, permissions: int = 0o644) -> Entry:
    """A regular file."""
    return Entry(name, content, stat.S_IFREG | permissions)


def symlink(name: str, target: str) -> Entry:
    """A symbolic link."""
    return Entry(name, target.encode(), stat.S_IFLNK | 0o777)


def pack(entries: list[Entry]) -> bytes:
    """The archive, with its trailer."""
    trailer = Entry("TRAILER!!!", b"", 0)
    return b"".join(
        _pack_one(number, entry) for number, entry in enumerate([*entries, trailer], 1)
    )


def _pack_one(number: int, entry: Entry) -> bytes:
    name = entry.name.encode() + b"\0"
    fields = (
        *(number, entry.mode, 0, 0, 1, 0, len(entry.content), 0, 0),
        *(*entry.device, len(name), 0),
    )
    header = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    return _padded(header) + _padded(entry.content)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
