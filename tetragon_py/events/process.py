# SPDX-License-Identifier: Apache-2.0
"""Processes and what happens to them: fork, exec, exit.

Texts from the kernel stay bytes here (they are hostile, and not always UTF-8); encode
decides how they are shown. Times are CLOCK_BOOTTIME in nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = [
    "CgroupInfo",
    "Credentials",
    "ExecEvent",
    "ExitEvent",
    "ForkEvent",
    "Namespaces",
    "Process",
    "ProcessKey",
]


class ProcessKey(NamedTuple):
    """One image of one process: unique since boot, also across execs and pid reuse."""

    start_boottime_ns: int
    tgid: int


class Credentials(NamedTuple):
    """Identities and capability sets (bit n is capability n) at one moment."""

    uid: int
    gid: int
    euid: int
    egid: int
    suid: int
    sgid: int
    fsuid: int
    fsgid: int
    securebits: int
    login_uid: int
    permitted: int
    effective: int
    inheritable: int
    ambient: int
    bounding: int


class Namespaces(NamedTuple):
    """Inode numbers of the namespaces; 0 where the kernel has none of that kind."""

    uts: int
    ipc: int
    mnt: int
    pid: int
    pid_for_children: int
    net: int
    time: int
    time_for_children: int
    cgroup: int
    user: int


class CgroupInfo(NamedTuple):
    """What the cgroup path of a process says about it; "" where it says nothing."""

    path: str
    unit: str
    user_unit: str
    slice: str
    session: str
    container_id: str
    container_runtime: str


@dataclass(slots=True)
class ForkEvent:
    """A process forked: `process` starts as a copy of `parent`."""

    boottime_ns: int
    process: ProcessKey
    parent: ProcessKey
    nspid: int
    namespaces: Namespaces | None  # None: the parent's
    cpu: int
    sequence: int


@dataclass(slots=True)
class ExecEvent:
    """A process runs a new program; also made from the scan of /proc at start.

    The error of a field that could not be read is in `errors`: field name -> errno.
    """

    boottime_ns: int
    process: ProcessKey
    parent: ProcessKey
    flags: int  # abi EXEC_*
    nspid: int
    tid_before: int
    filename: bytes
    interpreter: bytes
    executable: bytes
    executable_flags: int  # abi PATH_*
    cwd: bytes
    cwd_flags: int  # abi PATH_*
    tty: bytes
    cgroup_path: bytes
    cgroup_id: int
    arguments: bytes  # argv, each ended by NUL
    arguments_bytes: int  # as long as the kernel had it
    environment: bytes
    environment_bytes: int
    inode: int
    links: int
    device: int
    mode: int
    credentials: Credentials
    namespaces: Namespaces
    cpu: int
    sequence: int
    errors: dict[str, int] | None = None
    from_procfs: bool = False


@dataclass(slots=True)
class ExitEvent:
    """A process has ended. `status` is that of wait(2)."""

    boottime_ns: int
    process: ProcessKey
    status: int
    tid: int
    cpu: int
    sequence: int


@dataclass(slots=True, eq=False)
class Process:
    """A process as all later stages see it: one image, with its parent.

    A forked process that has not called exec shares its parent's `image`.
    """

    key: ProcessKey
    exec_id: bytes
    image: ExecEvent
    parent: Process | None
    parent_exec_id: bytes
    cgroup: CgroupInfo
    namespaces: Namespaces
    in_init_tree: bool
    forked: bool  # True: no exec since the fork, so `image` is the parent's
    known: bool = True  # False: the agent has only its key
    exited: bool = False
    depth: int = 0  # ancestors that `parent` leads to
    #: encode's text of the constant part, made at first use
    fragment: bytes = field(default=b"", repr=False)
