# SPDX-License-Identifier: Apache-2.0
"""Files are shown as the kernel and `ls` show them."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from tetragon_py.abi import _generated as c
from tetragon_py.encode.file_text import device_text, permission_text, shown_path
from tetragon_py.events.hook import PathValue


def value(path: bytes, flags: int = 0, mode: int = 0o100644) -> PathValue:
    return PathValue(77, 0, mode, 0, flags, path)


@pytest.mark.parametrize(
    ("path", "flags", "shown"),
    [
        (b"/etc/passwd", 0, b"/etc/passwd"),
        (b"", 0, b"/"),
        (b"/tmp/x", c.PATH_DELETED, b"/tmp/x (deleted)"),
        (b"/a/b", c.PATH_CUT, b"/a/b"),
        (b"/a/b", c.PATH_UNREACHABLE, b"/a/b"),
        (b"/memfd:x\xff", c.PATH_PSEUDO, b"/memfd:x\xff (deleted)"),
        (b"/[eventfd]", c.PATH_PSEUDO, b"anon_inode:[eventfd]"),
        (b"/", c.PATH_PSEUDO, b"inode:[77]"),
        (b"", c.PATH_PSEUDO, b"inode:[77]"),
    ],
)
def test_paths(path, flags, shown):
    """A deleted file says so; one without a directory has the kernel's name for it."""
    assert shown_path(value(path, flags)) == shown


def test_pseudo_files_are_shown_as_proc_shows_them():
    """Pipes, sockets, memfds and the like, with what the kernel walks as their path."""
    read_end, write_end = os.pipe()
    memory = os.memfd_create("a b")
    event = os.eventfd(0)
    with socket.socket() as tcp:
        for fd, walked in (
            (read_end, b"/"),
            (tcp.fileno(), b"/TCP"),
            (memory, b"/memfd:a b"),
            (event, b"/[eventfd]"),
        ):
            status = os.fstat(fd)
            found = PathValue(
                status.st_ino, 0, status.st_mode, 0, c.PATH_PSEUDO, walked
            )

            link = Path(f"/proc/self/fd/{fd}").readlink()
            assert shown_path(found).decode() == str(link)
    for fd in (read_end, write_end, memory, event):
        os.close(fd)


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        (0o100755, b"-rwxr-xr-x"),
        (0o100640, b"-rw-r-----"),
        (0o040755, b"drwxr-xr-x"),
        (0o104711, b"-rws--x--x"),
        (0o041777, b"drwxrwxrwt"),
        (0o120777, b"lrwxrwxrwx"),
        (0o140600, b"srw-------"),
        (0, b"---------"),
    ],
)
def test_permissions(mode, text):
    """Like `ls -l`; what has no type yet has no letter for it."""
    assert permission_text(mode) == text


def test_devices():
    """Major and minor number, as in the kernel's dev_t."""
    device = Path("/dev/null").stat().st_rdev

    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    assert device_text(os.major(device) << 20 | os.minor(device)) == "1:3"
