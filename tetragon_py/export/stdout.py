# SPDX-License-Identifier: Apache-2.0
"""Standard output as a sink that never blocks the agent."""

from __future__ import annotations

import os
import stat

from tetragon_py.export.line_sink import LineSink

__all__ = ["open_stdout"]


def open_stdout(fd: int = 1) -> LineSink:
    """A sink for `fd`, which stays as it is.

    Setting O_NONBLOCK on a terminal or pipe would change it for the shell and for all
    others that hold it. Opening it again through /proc gives a description of our own.
    A regular file keeps its description, with its offset, and does not block anyway.
    """
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        try:
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
            return LineSink(os.open(f"/proc/self/fd/{fd}", flags), "standard output")
        except OSError:  # a socket, or a terminal of another user
            pass
    return LineSink(os.dup(fd), "standard output")
