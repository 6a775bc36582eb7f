# SPDX-License-Identifier: Apache-2.0
"""System calls that Python has no function for, and where triggers work."""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from tetragon_py.abi.syscalls import syscall_numbers
from tetragon_py.loader.syscalls import NATIVE_ABIS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = [
    "CLONE_NEWNET",
    "CLONE_NEWNS",
    "CLONE_NEWUSER",
    "NOBODY",
    "Place",
    "call",
    "enter_pid_namespace",
    "in_child",
    "in_pid_namespace",
    "limit_capabilities",
    "run",
    "syscall",
]

NOBODY = 65534
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
_NUMBERS = syscall_numbers(NATIVE_ABIS[platform.machine()])
#: A trigger that hangs is ended.
_SECONDS_MAX = 60
_CAPABILITY_VERSION_3 = 0x20080522
_CAPABILITIES = struct.Struct("<6I")  # effective, permitted, inheritable; twice


@dataclass(frozen=True, slots=True)
class Place:
    """Where a trigger may leave things: `scratch` is empty and on a file system alone.

    Attributes:
        mount: Where that file system is mounted.
    """

    scratch: Path
    mount: Path


def syscall(name: str, *arguments: int | bytes | ctypes.Array[ctypes.c_char]) -> int:
    """Call it; its result, or -errno."""
    words = [
        ctypes.c_long(word) if isinstance(word, int) else word for word in arguments
    ]
    result: int = _LIBC.syscall(ctypes.c_long(_NUMBERS[name]), *words)
    return -ctypes.get_errno() if result == -1 else result


def call(name: str, *arguments: int | bytes | ctypes.Array[ctypes.c_char]) -> int:
    """The same, but it has to succeed."""
    result = syscall(name, *arguments)
    if result < 0:
        raise OSError(-result, f"{name}: {os.strerror(-result)}")
    return result


def limit_capabilities(*, effective: int, permitted: int) -> None:
    """Have only these, of the first 32."""
    header = struct.pack("<Ii", _CAPABILITY_VERSION_3, 0)
    call("capset", header, _CAPABILITIES.pack(effective, permitted, 0, 0, 0, 0))


def in_child(action: Callable[[], object]) -> int:
    """Do it in a process of its own; its pid as this process sees it."""
    child = os.fork()
    if not child:
        _end(action)
    _, status = os.waitpid(child, 0)
    if status:
        raise OSError(f"the child ended with {status}")
    return child


def in_pid_namespace(action: Callable[[], object]) -> int:
    """The same, as process 1 of a pid namespace."""
    call("unshare", CLONE_NEWPID)
    return in_child(action)


def enter_pid_namespace(
    inside: Callable[[], object], other: Callable[[], object]
) -> int:
    """Do one thing as child of process 1 of a pid namespace, and another one there too.

    The other one's parent is outside, as if somebody had entered a container; its pid.
    """
    call("unshare", CLONE_NEWPID)
    end, start = os.pipe()
    first = os.fork()
    if not first:
        os.close(start)
        _end(lambda: (in_child(inside), os.read(end, 1)))
    child = in_child(other)
    os.close(start)
    _, status = os.waitpid(first, 0)
    if status:
        raise OSError(f"process 1 ended with {status}")
    return child


def run(*command: str | Path) -> None:
    """Run a program, without output."""
    child = os.fork()
    if not child:
        _end(lambda: _execute(*command))
    os.waitpid(child, 0)


def _execute(*command: str | Path) -> NoReturn:
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    os.execv(command[0], [str(word) for word in command])


def _end(action: Callable[[], object]) -> NoReturn:
    signal.alarm(_SECONDS_MAX)
    try:
        action()
    except BaseException as error:  # noqa: BLE001 - nothing may return from here
        os.write(2, f"trigger: {error!r}\n".encode())
        os._exit(1)
    os._exit(0)
