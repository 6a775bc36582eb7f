# SPDX-License-Identifier: Apache-2.0
"""A stand-in for a policy, on every kernel: one system call is refused by seccomp."""

from __future__ import annotations

import ctypes
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["deny"]

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_RET_ALLOW = 0x7FFF0000
_RET_ERRNO = 0x00050000
_RET_KILL_PROCESS = 0x80000000
_LOAD_WORD = 0x20
_JUMP_IF_EQUAL = 0x15
_RETURN = 0x06


def deny(number: int, refusal: int | None) -> Callable[[], None]:
    """What a child calls before its exec (as root) to lose a system call.

    Args:
        number: Of the call.
        refusal: The errno that it gets; None to be killed (SIGSYS).
    """
    answer = _RET_KILL_PROCESS if refusal is None else _RET_ERRNO | refusal
    program = b"".join(
        struct.pack("=HBBI", *instruction)
        for instruction in (
            (_LOAD_WORD, 0, 0, 0),  # seccomp_data.nr
            (_JUMP_IF_EQUAL, 0, 1, number),
            (_RETURN, 0, 0, answer),
            (_RETURN, 0, 0, _RET_ALLOW),
        )
    )
    code = ctypes.create_string_buffer(program)
    filters = ctypes.create_string_buffer(
        struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    )

    def install() -> None:
        if _LIBC.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, filters):
            raise OSError(ctypes.get_errno(), "seccomp")
        _ = code  # lives as long as this function

    return install
