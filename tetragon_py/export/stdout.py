# SPDX-License-Identifier: Apache-2.0
"""Standard output as a sink that never blocks the agent."""

from __future__ import annotations

import contextlib
import os
import socket
import stat

from tetragon_py.export.line_sink import LineSink

__all__ = ["open_stdout"]


def open_stdout(fd: int = 1) -> LineSink:
    """A sink for `fd`, which stays as it is.

    Setting O_NONBLOCK on a terminal or pipe would change it for the shell and for all
    others that hold it. Opening it again through /proc gives a description of our own.
    A regular file keeps its description, with its offset, and does not block anyway. A
    socket (the journal's) cannot be opened; it is told with each write not to wait.
    """
    name, mode = "standard output", os.fstat(fd).st_mode
    if stat.S_ISSOCK(mode):
        return LineSink(os.dup(fd), name, _send)
    if not stat.S_ISREG(mode):
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        with contextlib.suppress(OSError):  # a terminal of another user
            return LineSink(os.open(f"/proc/self/fd/{fd}", flags), name)
    return LineSink(os.dup(fd), name)


def _send(fd: int, data: memoryview) -> int:
    with socket.socket(fileno=fd) as connection:
        try:
            return connection.send(data, socket.MSG_DONTWAIT)
        finally:
            connection.detach()
