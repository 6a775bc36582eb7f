# SPDX-License-Identifier: Apache-2.0
"""A captured file as texts: its path as the kernel shows it, its permissions."""

from __future__ import annotations

import stat
from functools import lru_cache
from typing import TYPE_CHECKING

from tetragon_py.abi._generated import PATH_PSEUDO
from tetragon_py.encode.text import marked_path

if TYPE_CHECKING:
    from tetragon_py.events.hook import PathValue

__all__ = ["device_text", "permission_text", "shown_path"]


def shown_path(value: PathValue) -> bytes:
    """The path as /proc/PID/fd shows it; no names at all are the root."""
    if value.flags & PATH_PSEUDO:
        return _pseudo_path(value)
    return marked_path(value.path or b"/", value.flags)


@lru_cache(maxsize=1024)
def permission_text(mode: int) -> bytes:
    """As `ls -l` shows it; without the first letter if there is no file yet."""
    return stat.filemode(mode).removeprefix("?").encode()


def device_text(device: int) -> str:
    """The major and the minor number."""
    return f"{device >> 20}:{device & 0xFFFFF}"


def _pseudo_path(value: PathValue) -> bytes:
    """Of a file without directory, whose text is "/" and the kernel's name for it."""
    name = value.path[1:]
    if stat.S_ISFIFO(value.mode):
        return b"pipe:[%d]" % value.inode
    if stat.S_ISSOCK(value.mode):
        return b"socket:[%d]" % value.inode
    if name.startswith(b"["):
        return b"anon_inode:" + name
    if name:  # a memfd, System V memory and the like
        return b"/%b (deleted)" % name
    return b"inode:[%d]" % value.inode  # of a namespace, or a process
