# SPDX-License-Identifier: Apache-2.0
"""Harmless calls that hit hooks: whether an attached hook really runs is tried out.

A hook can attach and never run (BPF LSM without bpf in the kernel's lsm= list). So each
hook that this process can hit without doing anything is hit once.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tetragon_py.compiler.plan import AttachPoint

__all__ = ["SyscallNumbers", "trigger"]

#: Descriptor -1, NULL and 0 for all else: refused by each of them, or nothing.
_REFUSED_CALLS = frozenset(
    (
        *("read", "write", "pread64", "pwrite64", "readv", "writev", "close", "lseek"),
        *("open", "openat", "openat2", "creat", "stat", "lstat", "fstat", "newfstatat"),
        *("statx", "access", "faccessat", "readlink", "readlinkat", "getdents64"),
        *("mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat"),
        *("renameat2", "link", "linkat", "symlink", "symlinkat", "mknod", "mknodat"),
        *("chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown", "fchownat"),
        *("truncate", "ftruncate", "fallocate", "dup", "ioctl", "fcntl", "flock"),
        *("connect", "accept", "accept4", "bind", "listen", "sendto", "recvfrom"),
        *("sendmsg", "recvmsg", "getsockname", "getpeername", "shutdown"),
        *("execve", "execveat", "chdir", "fchdir", "chroot", "setns", "mount"),
        *("umount2", "pivot_root", "bpf", "perf_event_open", "init_module"),
        *("finit_module", "delete_module", "memfd_create", "setxattr", "fsetxattr"),
        *("getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getpgid"),
    )
)
_LIBC = ctypes.CDLL(None, use_errno=True)


class SyscallNumbers(Protocol):
    """A part of the compiler's Target."""

    @property
    def native_abi(self) -> str:
        """The ABI of 64-bit programs."""

    def syscall_number(self, name: str, abi: str) -> int | None:
        """The number of a system call in the table of an ABI."""


def trigger(
    points: Iterable[AttachPoint], numbers: SyscallNumbers
) -> frozenset[AttachPoint]:
    """Hit what can be hit; those that must have seen it.

    Of functions and LSM hooks a few that every open file passes.
    """
    wanted = tuple(points)
    hit = {point for point in wanted if _call(point, numbers)}
    _open_and_connect()
    hit |= {p for p in wanted if (p.kind, p.name) in _ON_EVERY_OPEN}
    return frozenset(hit)


_ON_EVERY_OPEN = frozenset(
    (
        ("function", "security_file_open"),
        ("function", "security_file_permission"),
        ("function", "fd_install"),
        ("function", "security_socket_connect"),
        ("lsm", "file_open"),
        ("lsm", "file_permission"),
        ("lsm", "socket_connect"),
        ("raw_tracepoint", "sys_enter"),
        ("raw_tracepoint", "sys_exit"),
        ("tracepoint", "raw_syscalls/sys_enter"),
        ("tracepoint", "raw_syscalls/sys_exit"),
    )
)


def _call(point: AttachPoint, numbers: SyscallNumbers) -> bool:
    name = point.name
    if point.kind == "tracepoint" and name.startswith("syscalls/sys_enter_"):
        name = name.removeprefix("syscalls/sys_enter_")
    elif point.kind != "syscall" or point.abi != numbers.native_abi:
        return False
    number = numbers.syscall_number(name, numbers.native_abi)
    if name not in _REFUSED_CALLS or number is None:
        return False
    _LIBC.syscall(ctypes.c_long(number), ctypes.c_long(-1), *[ctypes.c_long(0)] * 5)
    return True


def _open_and_connect() -> None:
    with Path("/proc/self/stat").open("rb", buffering=0) as file:
        os.read(file.fileno(), 1)
    with socket.socket(socket.AF_UNIX) as unix, contextlib.suppress(OSError):
        unix.connect("\0tetragon-py, nobody listens")
