# SPDX-License-Identifier: Apache-2.0
"""System calls that attempt_*.c try, one per row, and how each ends without a policy.

A row is done (the thing happened), or refused with an errno of its own: what would hurt
the machine asks for what no kernel does. A kernel that is built without a call answers
ENOSYS; its own symbol table says so, so that no row fails in silence.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ALONE",
    "OTHER_DOORS",
    "PROGRAMS",
    "RACES",
    "REFUSAL",
    "Attempt",
    "attempt",
    "attempt_all",
    "expected",
    "expected_elsewhere",
    "listed",
    "program_of",
    "race",
]

#: ENOTNAM: what the tests' policies refuse with; the kernel itself never does.
REFUSAL = 118

#: Program -> its rows.
PROGRAMS = {
    "attempt_names": (
        *("open", "creat", "openat", "openat2", "open_by_handle_at", "mkdir"),
        *("mkdirat", "rmdir", "unlink", "unlinkat", "link", "linkat", "symlink"),
        *("symlinkat", "rename", "renameat", "renameat2", "mknod", "mknodat"),
        *("readlink", "readlinkat", "access", "faccessat", "faccessat2", "chdir"),
        "fchdir",
    ),
    "attempt_inodes": (
        *("chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchown"),
        *("fchownat", "truncate", "ftruncate", "fallocate", "setxattr", "lsetxattr"),
        *("fsetxattr", "setxattrat", "getxattr", "lgetxattr", "fgetxattr"),
        *("getxattrat", "listxattr", "llistxattr", "flistxattr", "listxattrat"),
        *("removexattr", "lremovexattr", "fremovexattr", "removexattrat", "utime"),
        *("utimes", "futimesat", "utimensat", "stat", "lstat", "fstat", "newfstatat"),
        *("statx", "statfs", "fstatfs", "file_getattr", "file_setattr"),
    ),
    "attempt_data": (
        *("read", "pread64", "readv", "preadv", "write", "pwrite64", "writev"),
        *("preadv2", "pwritev", "pwritev2", "sendfile", "copy_file_range", "splice"),
        *("tee", "getdents", "getdents64", "ioctl", "fcntl", "flock"),
    ),
    "attempt_sockets": (
        *("connect", "bind", "listen", "accept", "accept4", "sendto", "sendmsg"),
        *("recvfrom", "recvmsg", "socket", "socketpair", "setsockopt", "getsockopt"),
        *("shutdown", "getsockname", "getpeername", "sendmmsg", "recvmmsg"),
    ),
    "attempt_births": (
        *("fork", "vfork", "clone", "clone3", "execve", "execveat", "unshare", "setns"),
    ),
    "attempt_tasks": (
        *("ptrace", "process_vm_readv", "process_vm_writev", "kill", "tkill"),
        *("tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal"),
        *("pidfd_getfd", "process_madvise", "kcmp", "get_robust_list", "move_pages"),
        *("migrate_pages", "sched_setattr", "sched_getattr", "sched_getscheduler"),
        *("sched_getparam", "sched_rr_get_interval", "ioprio_get", "getpgid", "getsid"),
        *("getpriority", "setpriority", "sched_setscheduler", "sched_setparam"),
        *("sched_setaffinity", "ioprio_set", "prlimit64", "setrlimit", "setpgid"),
        "prctl",
    ),
    "attempt_credentials": (
        *("setuid", "setreuid", "setresuid", "setfsuid", "setgid", "setregid"),
        *("setresgid", "setfsgid", "setgroups", "capset", "capget", "add_key"),
        *("request_key", "keyctl"),
    ),
    "attempt_memory": (
        *("mmap", "mprotect", "pkey_mprotect", "msgget", "msgsnd", "msgrcv"),
        *("msgctl", "semget", "semop", "semtimedop", "semctl", "shmget", "shmat"),
        *("shmctl", "eventfd", "epoll_create", "signalfd", "inotify_init", "pipe"),
        *("io_setup", "fsopen", "fspick", "open_tree", "inotify_add_watch"),
        *("fanotify_mark", "memfd_create", "userfaultfd", "io_uring_setup"),
        *("perf_event_open", "eventfd2", "epoll_create1", "timerfd_create"),
        *("signalfd4", "inotify_init1", "fanotify_init", "pidfd_open", "pipe2"),
    ),
    "attempt_machine": (
        *("adjtimex", "clock_adjtime", "mount_setattr", "fsmount", "kexec_file_load"),
        *(
            "swapoff",
            "mount",
            "umount2",
            "move_mount",
            "pivot_root",
            "chroot",
            "sethostname",
        ),
        *("setdomainname", "settimeofday", "clock_settime", "iopl", "ioperm", "bpf"),
        *("syslog", "init_module", "finit_module", "delete_module", "kexec_load"),
        *("swapon", "reboot", "acct", "quotactl"),
    ),
}
#: The same things by other entries than the 64-bit system calls; rows of their own.
OTHER_DOORS = ("attempt_compat", "attempt_uring")
#: What races against a check: see triggers/race.h.
RACES = (
    *("race_path", "race_cold", "race_connect", "race_exec", "race_setuid"),
    "race_write",
)
#: Rows whose only process makes the call: what kills it leaves nobody to tell.
ALONE = frozenset(("fork", "vfork", "clone", "clone3", "mmap"))
#: What fails without a policy, on purpose, after the kernel has asked its LSM hooks.
_FAILING = {
    "init_module": errno.ENOEXEC,  # the image is zeros
    "finit_module": errno.ENOEXEC,
    "delete_module": errno.ENOENT,
    "kexec_load": errno.EINVAL,  # flags that are none
    "kexec_file_load": errno.ENOEXEC,
    "swapon": errno.EINVAL,  # a file without a swap header
    "swapoff": errno.EINVAL,
    "reboot": errno.EINVAL,  # wrong magic numbers
    "acct": errno.EACCES,  # a device
}
#: Calls that only x86 has.
_X86_ONLY = frozenset(
    (
        *("access", "chmod", "chown", "creat", "epoll_create", "eventfd", "fork"),
        *("futimesat", "getdents", "inotify_init", "ioperm", "iopl", "lchown", "link"),
        *("lstat", "mkdir", "mknod", "open", "pipe", "readlink", "rename", "rmdir"),
        *("signalfd", "stat", "symlink", "unlink", "utime", "utimes", "vfork"),
    )
)
#: These are there in any case; without CONFIG_X86_IOPL_IOPERM this function is not.
_PORT_CALLS = frozenset(("iopl", "ioperm"))
_PORT_FUNCTION = "io_bitmap_exit"
#: Since Linux 5.12, 6.6, 6.13, 6.17; the other calls are in 5.10.
_NEW = frozenset(
    (
        *("mount_setattr", "fchmodat2", "setxattrat", "getxattrat", "listxattrat"),
        *("removexattrat", "file_getattr", "file_setattr"),
    )
)
#: Operations of io_uring since Linux 5.15.
_NEW_IN_RINGS = ("mkdirat-", "symlinkat-", "linkat-")
_PREFIXES = {"x86_64": "__x64_sys_", "aarch64": "__arm64_sys_"}
_RING_CALL = f"{_PREFIXES[os.uname().machine]}io_uring_setup"
_COMPAT_PREFIX = "__ia32_compat_sys_"


class Attempt(NamedTuple):
    """How one ended: see triggers/attempt.h."""

    result: str  # done, refused, killed, absent, setup
    number: int  # errno or signal
    has_happened: bool


def program_of(row: str) -> str:
    """The trigger that has the row."""
    return next(name for name, rows in PROGRAMS.items() if row in rows)


def listed(program: str, triggers: Path) -> dict[str, int]:
    """The rows that a program says it has, and the numbers of their calls."""
    command = [str(triggers / program), "--list"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = (line.split() for line in done.stdout.splitlines())
    return {row: int(number) for row, number in rows}


def attempt(
    row: str,
    triggers: Path,
    folder: Path,
    *,
    program: str | None = None,
    **options: Any,
) -> Attempt:
    """Try one row in an empty folder.

    Args:
        row: Which.
        triggers: Where the programs are.
        folder: An empty one, which is not emptied afterwards.
        program: One of OTHER_DOORS; by default the one of the table.
        options: Of subprocess.run.

    Raises:
        AssertionError: It could not even be tried, or the exit status tells another
            story than the text.
    """
    command = [str(triggers / (program or program_of(row))), row, str(folder)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, **options
    )
    if not done.stdout and done.returncode < 0 and row in ALONE:
        return Attempt("killed", -done.returncode, has_happened=False)
    found = _parse(done.stdout.splitlines()).get(row)
    assert found, (row, done)
    assert found.result != "setup", (row, done.stdout)
    if found.result != "absent":
        assert done.returncode == (0 if found.has_happened else 1), (row, done)
    return found


def attempt_all(program: str, triggers: Path, folder: Path) -> dict[str, Attempt]:
    """Try all rows of a program, each in a process and a folder of its own."""
    done = subprocess.run(
        [triggers / program, "--all", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done
    return _parse(done.stdout.splitlines())


def race(
    program: str, triggers: Path, folder: Path, tries: int, **options: Any
) -> tuple[int, dict[str, Any]]:
    """Run a race: the exit status, and what it told."""
    command = [str(triggers / program), str(folder), str(tries), str(REFUSAL)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, **options
    )
    assert done.stdout, done
    told: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, told


def expected(row: str) -> Attempt:
    """How it ends on this kernel without a policy."""
    if row in _X86_ONLY and os.uname().machine != "x86_64":
        return Attempt("absent", errno.ENOSYS, has_happened=False)
    if not _is_built(row):
        return Attempt("refused", errno.ENOSYS, has_happened=False)
    if row == "io_uring_setup" and _io_uring_disabled() == 2:
        return Attempt("refused", errno.EPERM, has_happened=False)
    if row in _FAILING:
        return Attempt("refused", _FAILING[row], has_happened=False)
    return Attempt("done", 0, has_happened=True)


def expected_elsewhere(program: str, row: str) -> Attempt:
    """The same for a row of one of OTHER_DOORS."""
    symbols = _symbols()
    if program == "attempt_compat":
        is_known = any(name.startswith(_COMPAT_PREFIX) for name in symbols)
    elif _io_uring_disabled() == 2 or symbols.get(_RING_CALL) == "W":
        is_known = False
    else:
        # since Linux 5.19; all others are in 5.15, and but for some in 5.10.162
        is_known = not row.startswith("socket-") or "io_socket" in symbols
        is_known &= _release() >= (5, 15) or not row.startswith(_NEW_IN_RINGS)
    if not is_known:
        return Attempt("absent", errno.ENOSYS, has_happened=False)
    return Attempt("done", 0, has_happened=True)


def _parse(lines: Iterable[str]) -> dict[str, Attempt]:
    found = {}
    for line in lines:
        row, result, number, effect = line.split(" ", 3)
        found[row] = Attempt(result, int(number), effect == "yes")
    return found


def _is_built(row: str) -> bool:
    symbols = _symbols()
    if row in _PORT_CALLS:
        return _PORT_FUNCTION in symbols
    kind = symbols.get(_PREFIXES[os.uname().machine] + row)
    return kind != "W" and (kind is not None or row not in _NEW)


@cache
def _symbols() -> dict[str, str]:
    """Kernel symbol -> its kind; weak ones (W) are calls that are configured away."""
    lines = Path("/proc/kallsyms").read_text().splitlines()
    return {name: kind for _, kind, name, *_ in map(str.split, lines)}


def _release() -> tuple[int, int]:
    major, minor, *_ = os.uname().release.split(".")
    return int(major), int(minor)


def _io_uring_disabled() -> int:
    path = Path("/proc/sys/kernel/io_uring_disabled")  # since Linux 6.6
    return int(path.read_text()) if path.exists() else 0
