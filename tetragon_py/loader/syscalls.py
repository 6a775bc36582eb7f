# SPDX-License-Identifier: Apache-2.0
"""The system calls of the running kernel: numbers, and the functions behind them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from tetragon_py.abi.syscalls import syscall_numbers

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NATIVE_ABIS", "Syscalls"]

#: uname -m -> the ABI of its 64-bit programs
NATIVE_ABIS = {"x86_64": "x64", "aarch64": "arm64"}

#: What entry functions begin with: of 32-bit programs' calls the first that exists.
_PREFIXES = {
    "x64": ("__x64_sys_",),
    "i386": ("__ia32_compat_sys_", "__ia32_sys_"),
    "arm64": ("__arm64_sys_",),
    "arm32": ("__arm64_compat_sys_", "__arm64_sys_"),
}
#: The ABI of 32-bit programs, and a call that has a function of its own for them
#: wherever they run.
_COMPAT = {"x64": "i386", "arm64": "arm32"}
_COMPAT_CALL = "ioctl"
#: Calls whose function has another name.
_NATIVE_ENTRIES = {
    "x64": {
        "fstat": "newfstat",
        "lstat": "newlstat",
        "sendfile": "sendfile64",
        "stat": "newstat",
        "umount2": "umount",
        "uname": "newuname",
    },
    "arm64": {
        "fadvise64": "fadvise64_64",
        "fstat": "newfstat",
        "personality": "arm64_personality",
        "sendfile": "sendfile64",
        "umount2": "umount",
        "uname": "newuname",
    },
}
#: Calls of 32-bit programs whose function has another name, which changed over time:
#: the dispatcher sees them by number. Some of these names belong to another call's
#: function.
_COMPAT_ELSEWHERE = """
    _llseek _newselect adjtimex chown chown32 clock_adjtime clock_adjtime64 clock_getres
    clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep
    clock_nanosleep_time64 clock_settime clock_settime64 clone fadvise64 fadvise64_64
    fallocate fchown fchown32 fcntl fstat fstat64 fstatat64 ftruncate64 futex
    futex_time64 futimesat getegid getegid32 geteuid geteuid32 getgid getgid32
    getgroups getgroups32 getresgid getresgid32 getresuid getresuid32 getrlimit getuid
    getuid32 io_getevents io_pgetevents lchown lchown32 lstat lstat64 mmap mmap2
    mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 nanosleep
    oldfstat oldlstat oldolduname oldstat olduname ppoll pread64 pselect6 pwrite64
    quotactl readahead readdir recvmmsg rt_sigtimedwait sched_rr_get_interval
    sched_rr_get_interval_time64 select semtimedop semtimedop_time64 setfsgid setfsgid32
    setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setregid setregid32
    setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setuid setuid32
    stat stat64 stime sync_file_range time timer_gettime timer_gettime64 timer_settime
    timer_settime64 timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64
    truncate64 ugetrlimit umount umount2 uname utime utimensat utimensat_time64 utimes
"""
_ARM32_ELSEWHERE = """
    arm_fadvise64_64 arm_sync_file_range fstatfs64 msgctl personality semctl shmctl
    statfs64
"""
_ELSEWHERE = {
    "i386": frozenset(_COMPAT_ELSEWHERE.split()),
    "arm32": frozenset((_COMPAT_ELSEWHERE + _ARM32_ELSEWHERE).split()),
}


class Syscalls:
    """The calls of one machine's kernel.

    Args:
        machine: As `uname -m` tells.
        has_function: Whether the kernel has a function whose name is put together from
            a prefix and the name of a call.
    """

    def __init__(self, machine: str, has_function: Callable[[str, str], bool]) -> None:
        self.native_abi = NATIVE_ABIS.get(machine, "")
        self._has_function = has_function
        self._names: dict[str, tuple[str, ...]] = {}

    @cached_property
    def abis(self) -> tuple[str, ...]:
        """The ABIs that this kernel runs, the native one first."""
        if not self.native_abi:
            return ()
        compat = _COMPAT[self.native_abi]
        has_compat = self._has_function(_PREFIXES[compat][0], _COMPAT_CALL)
        return (self.native_abi, compat) if has_compat else (self.native_abi,)

    def number(self, name: str, abi: str) -> int | None:
        """The number of a call, or None.

        A call that is not configured has a function too, which returns -ENOSYS.
        """
        if abi not in self.abis or name not in (numbers := syscall_numbers(abi)):
            return None
        if not self._can_judge or _is_elsewhere(name, abi) or self.entry(name, abi):
            return numbers[name]
        return None

    def names(self, abi: str) -> tuple[str, ...]:
        """The calls that the kernel has, in the order of their numbers."""
        if abi not in self._names:
            table = syscall_numbers(abi) if abi in self.abis else ()
            self._names[abi] = tuple(
                name for name in table if self.number(name, abi) is not None
            )
        return self._names[abi]

    def entry(self, name: str, abi: str) -> str | None:
        """The kernel function of a call: "__x64_sys_openat".

        None if there is no such call, and for those of 32-bit programs that are to be
        seen by their number only.
        """
        if abi not in self.abis or _is_elsewhere(name, abi):
            return None
        called = _NATIVE_ENTRIES.get(abi, {}).get(name, name)
        for prefix in _PREFIXES[abi]:
            if self._has_function(prefix, called):
                return prefix + called
        return None

    # A kernel that hides its symbols and has no BTF: every call of the table counts.
    @cached_property
    def _can_judge(self) -> bool:
        return self.entry("read", self.native_abi) is not None


def _is_elsewhere(name: str, abi: str) -> bool:
    return name in _ELSEWHERE.get(abi, ())
