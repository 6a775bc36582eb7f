# SPDX-License-Identifier: Apache-2.0
"""Names of registers, for `source: pt_regs`: which argument is in which one."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ParameterRegister", "find_register"]


class ParameterRegister(NamedTuple):
    """A register that holds an argument."""

    argument: int  #: its number
    size: int  #: bytes that the name means


# System V ABI, "Passing"; a system call has the fourth one in r10.
_X64 = (
    (("rdi", 8), ("edi", 4), ("di", 2), ("dil", 1)),
    (("rsi", 8), ("esi", 4), ("si", 2), ("sil", 1)),
    (("rdx", 8), ("edx", 4), ("dx", 2), ("dl", 1)),
    (("rcx", 8), ("ecx", 4), ("cx", 2), ("cl", 1)),
    (("r8", 8), ("r8d", 4), ("r8w", 2), ("r8b", 1)),
    (("r9", 8), ("r9d", 4), ("r9w", 2), ("r9b", 1)),
)
_X64_SYSCALL = (("r10", 8), ("r10d", 4), ("r10w", 2), ("r10b", 1))
_ARM64 = tuple(((f"x{number}", 8), (f"w{number}", 4)) for number in range(6))


def find_register(
    abi: str, name: str, *, is_syscall: bool = False
) -> ParameterRegister | None:
    """Return which argument the register `name` holds at the beginning of a call.

    None for registers that hold none. `abi`: as Target.native_abi.
    """
    registers = _ARM64 if abi == "arm64" else _X64
    if is_syscall and abi != "arm64":
        registers = (*_X64[:3], _X64_SYSCALL, *_X64[4:])
    for index, names in enumerate(registers):
        for known, size in names:
            if name == known:
                return ParameterRegister(index, size)
    return None
