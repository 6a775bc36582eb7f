# SPDX-License-Identifier: Apache-2.0
"""Which BPF programs, maps and links a process holds, and which exist."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
from pathlib import Path

__all__ = ["exists", "held_by"]

_NUMBERS = {"x86_64": 321, "aarch64": 280}
#: BPF_PROG_GET_FD_BY_ID and so on, by the key in /proc/PID/fdinfo
_COMMANDS = {"prog_id": 13, "map_id": 14, "link_id": 30}


def held_by(pid: int) -> set[tuple[str, int]]:
    """(kind, id) of each that `pid` has open."""
    found = set()
    for path in Path(f"/proc/{pid}/fdinfo").iterdir():
        for line in path.read_text().splitlines():
            key, _, value = line.partition(":")
            if key in _COMMANDS:
                found.add((key, int(value)))
    return found


def exists(kind: str, number: int) -> bool:
    """Whether the kernel still has it."""
    libc = ctypes.CDLL(None, use_errno=True)
    attributes = (ctypes.c_uint32 * 32)(number)
    call = _NUMBERS[platform.machine()]
    fd = libc.syscall(call, _COMMANDS[kind], attributes, ctypes.sizeof(attributes))
    if fd >= 0:
        os.close(fd)
        return True
    if ctypes.get_errno() != errno.ENOENT:
        raise OSError(ctypes.get_errno(), "bpf", kind)
    return False
