# SPDX-License-Identifier: Apache-2.0
"""Processes: programs that start, ids, capabilities and namespaces that change."""

from __future__ import annotations

import base64
import ctypes
import os
import shutil
import socket
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.corpus.triggers.system import (
    CLONE_NEWNS,
    CLONE_NEWUSER,
    NOBODY,
    call,
    enter_pid_namespace,
    in_child,
    in_pid_namespace,
    limit_capabilities,
    run,
    syscall,
)

if TYPE_CHECKING:
    from tests.corpus.told import Told
    from tests.corpus.triggers.system import Place

_PR_SET_NAME = 15
_CHOWN, _KILL = 1 << 0, 1 << 5
#: A process id that nobody has.
_NOBODYS_PID = 0x3FFFFFF


def set_user(place: Place) -> Told:
    """setuid to a user without name."""
    in_child(lambda: call("setuid", 4711))
    return {}


def commit_credentials(place: Place) -> Told:
    """Three different user ids, and three groups."""

    def change() -> None:
        os.setresgid(2001, 2002, 2003)
        os.setresuid(1001, 1002, 1003)

    in_child(change)
    return {}


def set_root(place: Place) -> Told:
    """All calls that set ids, to root's; and one that sets root's real id only."""
    os.setresuid(0, -1, -1)
    _set_all(0)
    return {}


def set_capabilities(place: Place) -> Told:
    """Capset; then all that `set_root` does, and a user namespace of nobody."""

    in_child(lambda: limit_capabilities(effective=_KILL, permitted=_KILL | _CHOWN))
    set_root(place)
    in_child(_unshare_user_as_nobody)
    return {"effective": f"{_KILL:016x}", "permitted": f"{_KILL | _CHOWN:016x}"}


def set_ids_in_namespace(place: Place) -> Told:
    """All calls that set ids, here and in a pid namespace."""
    in_child(lambda: _set_all(4711))
    in_pid_namespace(lambda: _set_all(4712))
    return {}


def commit_in_namespace(place: Place) -> Told:
    """New credentials, here and in a pid namespace; what access() needs."""
    in_child(lambda: os.setresuid(1001, 1001, 1001))

    def change() -> None:
        os.setresuid(1011, 1012, 1013)
        os.access("/etc/passwd", os.R_OK)

    in_pid_namespace(change)
    return {}


def use_capability(place: Place) -> Told:
    """Set the clock as nobody and the host's name as root, in a pid namespace."""

    def use() -> None:
        socket.sethostname(socket.gethostname())
        os.setresuid(NOBODY, NOBODY, NOBODY)
        try:
            time.clock_settime(time.CLOCK_REALTIME, time.time())
        except PermissionError:
            return
        raise AssertionError

    in_pid_namespace(use)
    return {"user_namespace": Path("/proc/self/ns/user").stat().st_ino}


def unshare_user(place: Place) -> Told:
    """A user namespace, as root and as nobody."""
    in_child(lambda: call("unshare", CLONE_NEWUSER))
    return {"pid": in_child(_unshare_user_as_nobody)}


def unshare_user_in_namespace(place: Place) -> Told:
    """A user namespace of nobody, here and in a pid namespace."""
    here = in_child(_unshare_user_as_nobody)
    return {"here": here, "pid": in_pid_namespace(_unshare_user_as_nobody)}


def execute(place: Place) -> Told:
    """Run a program."""
    run("/usr/bin/true")
    return {}


def execute_sample(place: Place) -> Told:
    """Run the program that the policy names, and another one."""
    run("/usr/bin/true")
    run("/usr/bin/sample-exec")
    return {}


def execute_nop(place: Place) -> Told:
    """Bash runs contrib/tester-progs/nop, and so does this process."""
    path = place.scratch / "contrib/tester-progs/nop"
    path.parent.mkdir(parents=True)
    shutil.copy("/usr/bin/true", path)
    run(path)
    run("/usr/bin/bash", "-c", f"{path}; :")
    return {"path": str(path)}


def execute_as_grandchild(place: Place) -> Told:
    """A program whose grandparent has a name."""

    def be_parent() -> None:
        _name(b"parent")
        run("/usr/bin/true")

    def be_grandparent() -> None:
        _name(b"grandparent")
        in_child(be_parent)

    in_child(be_grandparent)
    return {}


def kill(place: Place) -> Told:
    """The program kill sends signal 0 to this process."""
    run("/usr/bin/kill", "-0", str(os.getpid()))
    return {"pid": os.getpid()}


def duplicate(place: Place) -> Told:
    """Dup and dup2."""
    syscall("dup", 1)  # os.dup() is fcntl
    syscall("dup2", 1, 1)
    return {}


def duplicate_in_bash(place: Place) -> Told:
    """Bash redirects, which is dup2; so does this process."""
    syscall("dup2", 1, 1)
    run("/usr/bin/bash", "-c", "true >/dev/null")
    return {}


def raw_calls(place: Place) -> Told:
    """Calls with known numbers."""
    syscall("getpgid", 0)
    return {}


def mount(place: Place) -> Told:
    """Mount onto nothing."""
    call("unshare", CLONE_NEWNS)
    syscall("mount", b"corpus-source\0", b"/corpus/no/target\0", b"tmpfs\0", 0, 0)
    return {}


def pivot_root(place: Place) -> Told:
    """pivot_root to nothing, in a pid namespace and by who entered it."""

    def pivot() -> None:
        syscall("pivot_root", b"/corpus/new\0", b"/corpus/old\0")

    return {"pid": enter_pid_namespace(pivot, pivot)}


def set_clock(place: Place) -> Told:
    """clock_settime of a clock that cannot be set, in the same way."""
    moment = struct.pack("<qq", 1, 0)

    def set_it() -> None:
        syscall("clock_settime", time.CLOCK_MONOTONIC, moment)

    pid = enter_pid_namespace(set_it, set_it)
    return {"pid": pid, "clock": time.CLOCK_MONOTONIC}


def write_output(place: Place) -> Told:
    """Write to standard output and to another file, in the same way."""
    data = b"corpus says \0 so\n"

    def write() -> None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.write(null, data)
        os.dup2(null, 1)
        os.write(1, data)

    pid = enter_pid_namespace(write, write)
    shown = base64.b64encode(data).decode()
    return {"pid": pid, "data": shown, "size": len(data)}


def trace(place: Place) -> Told:
    """Ptrace of nobody."""
    syscall("ptrace", 16, _NOBODYS_PID, 4242, 0)
    return {}


# ---- parts ----


def _set_all(number: int) -> None:
    # effective ids last: they decide what the rest may do
    call("setfsgid", number)
    call("setgid", number)
    call("setregid", -1, number)
    call("setresgid", -1, number, -1)
    call("setfsuid", number)
    call("setresuid", -1, -1, number)
    call("setreuid", number, -1)
    call("setuid", number)


def _unshare_user_as_nobody() -> None:
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    call("unshare", CLONE_NEWUSER)


def _name(name: bytes) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name, 0, 0, 0)


def as_program(program: Path, *arguments: str) -> None:
    """Run a copy of Python under another name, isolated."""
    run(program, "-I", "-S", "-E", *arguments)
