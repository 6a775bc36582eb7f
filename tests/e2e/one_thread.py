# SPDX-License-Identifier: Apache-2.0
"""Stops one thread of a process, while its others go on."""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["drain_thread", "is_dead", "stopped"]

_LIBC = ctypes.CDLL(None, use_errno=True)
_SEIZE, _INTERRUPT, _DETACH = 0x4206, 0x4207, 17
_WALL = 0x40000000
_EPOLL_WAIT = {"232", "281"}


def drain_thread(pid: int) -> int:
    """The agent's thread that reads ring buffers; 0 if none waits for them now."""
    for path in Path(f"/proc/{pid}/task").iterdir():
        call = (path / "syscall").read_text().split()[0]
        if path.name != str(pid) and call in _EPOLL_WAIT:
            return int(path.name)
    return 0


@contextlib.contextmanager
def stopped(tid: int) -> Iterator[None]:
    """The thread stands still."""

    def ptrace(request: int) -> None:
        if _LIBC.ptrace(request, tid, None, None):
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))

    ptrace(_SEIZE)
    ptrace(_INTERRUPT)
    os.waitpid(tid, _WALL)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # it has died meanwhile
            ptrace(_DETACH)


def is_dead(tid: int) -> bool:
    """Whether the thread has ended; who stops it has to ask, or its process stays."""
    found, status = os.waitpid(tid, _WALL | os.WNOHANG)
    return found == tid and (os.WIFSIGNALED(status) or os.WIFEXITED(status))
