# SPDX-License-Identifier: Apache-2.0
"""Numbers of the kernel as the words that Tetragon's JSON uses for them."""

from __future__ import annotations

import signal
from functools import lru_cache
from typing import Final

__all__ = ["bit_names", "capability_names", "securebit_names", "signal_name"]

_SIGRTMIN: Final = 34  # as the C library counts: it keeps 32 and 33
_SIGRTMAX: Final = 64
_SIGNAL_NAMES: Final = {
    number.value: number.name for number in signal.Signals if number.value < _SIGRTMIN
}
#: include/uapi/linux/capability.h; number 1 lacks its prefix in Tetragon's API.
_CAPABILITIES: Final = (
    *("CAP_CHOWN", "DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID"),
    *("CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE"),
    *("CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW"),
    *("CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO"),
    *("CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN"),
    *("CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME"),
    *("CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE"),
    *("CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN"),
    *("CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ"),
    *("CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE"),
)
#: include/uapi/linux/securebits.h
_SECUREBITS: Final = (
    "SecBitNoRoot",
    "SecBitNoRootLocked",
    "SecBitNoSetUidFixup",
    "SecBitNoSetUidFixupLocked",
    "SecBitKeepCaps",
    "SecBitKeepCapsLocked",
    "SecBitNoCapAmbientRaise",
    "SecBitNoCapAmbientRaiseLocked",
)


def signal_name(number: int) -> str:
    """The name of a signal: SIGKILL, SIGRTMIN+3, or SIG32 if it has none."""
    if number in _SIGNAL_NAMES:
        return _SIGNAL_NAMES[number]
    if not _SIGRTMIN <= number <= _SIGRTMAX:
        return f"SIG{number}"
    offset = number - _SIGRTMIN
    return f"SIGRTMIN+{offset}" if offset else "SIGRTMIN"


def bit_names(bits: int, names: tuple[str, ...]) -> list[str]:
    """The names of the bits that are set, lowest first; the number if it has none."""
    return [
        names[bit] if bit < len(names) else str(bit)
        for bit in range(bits.bit_length())
        if bits >> bit & 1
    ]


@lru_cache(maxsize=1024)
def capability_names(capabilities: int) -> list[str]:
    """The names of a capability set (bit n is capability n)."""
    return bit_names(capabilities, _CAPABILITIES)


def securebit_names(securebits: int) -> list[str]:
    """The names of the securebits of a process, see capabilities(7)."""
    return bit_names(securebits, _SECUREBITS)
