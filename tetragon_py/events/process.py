# SPDX-License-Identifier: Apache-2.0
"""Processes and what happens to them: fork, exec, exit.

Texts from the kernel stay bytes here (they are hostile, and not always UTF-8); encode
decides how they are shown. Times are CLOCK_BOOTTIME in nanoseconds. Events are tuples:
decode makes them without a Python frame, which slots dataclasses cannot.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = [
    "NO_CREDENTIALS",
    "NO_NAMESPACES",
    "CgroupInfo",
    "Credentials",
    "ExecEvent",
    "ExitEvent",
    "ForkEvent",
    "Image",
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


NO_CREDENTIALS = Credentials(*[0] * len(Credentials._fields))
NO_NAMESPACES = Namespaces(*[0] * len(Namespaces._fields))


class CgroupInfo(NamedTuple):
    """What the cgroup path of a process says about it; "" where it says nothing."""

    path: str
    unit: str
    user_unit: str
    slice: str
    session: str
    container_id: str
    container_runtime: str


class ForkEvent(NamedTuple):
    """A process forked: `process` starts as a copy of `parent`."""

    boottime_ns: int
    process: ProcessKey
    parent: ProcessKey
    nspid: int
    namespaces: Namespaces | None  # None: the parent's
    cpu: int
    sequence: int


@dataclass(slots=True, eq=False)
class Image:
    """What runs, where and as whom, whatever its arguments.

    Processes that run the same share one object. The error of a field that could not
    be read is in `errors`: field name -> errno.
    """

    filename: bytes = b""  # as passed to execve; of kernel threads the name
    interpreter: bytes = b""
    executable: bytes = b""
    executable_flags: int = 0  # abi PATH_*
    cwd: bytes = b""
    cwd_flags: int = 0  # abi PATH_*
    tty: bytes = b""
    cgroup_path: bytes = b""
    cgroup_id: int = 0
    inode: int = 0
    links: int = 0
    device: int = 0
    mode: int = 0
    credentials: Credentials = NO_CREDENTIALS
    namespaces: Namespaces = NO_NAMESPACES
    errors: dict[str, int] | None = None
    is_kernel: bool = False  # `filename` is no path but a name that the kernel gave
    is_shared: bool = False  # short enough to be remembered for the next process


class ExecEvent(NamedTuple):
    """A process runs a new image; also made from the scan at start."""

    boottime_ns: int
    process: ProcessKey
    parent: ProcessKey
    flags: int  # abi EXEC_*
    nspid: int
    tid_before: int
    image: Image
    arguments: bytes = b""  # argv, each ended by NUL
    arguments_bytes: int = 0  # as long as the kernel had it
    environment: bytes = b""
    environment_bytes: int = 0
    cpu: int = 0
    sequence: int = 0
    errors: dict[str, int] | None = None  # of arguments and environment
    from_procfs: bool = False


class ExitEvent(NamedTuple):
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

    A forked process that has not called exec shares its parent's `exec`.
    """

    key: ProcessKey
    exec_id: bytes
    exec: ExecEvent
    parent: Process | None
    parent_exec_id: bytes
    cgroup: CgroupInfo
    namespaces: Namespaces
    in_init_tree: bool
    forked: bool  # True: no exec since the fork, so `exec` is the parent's
    known: bool = True  # False: the agent has only its key
    exited: bool = False
    depth: int = 0  # ancestors that `parent` leads to
    #: encode's texts of the constant part, made at first use
    fragment: bytes = field(default=b"", repr=False)
    parent_fragment: bytes = field(default=b"", repr=False)
