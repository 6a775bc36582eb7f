# SPDX-License-Identifier: Apache-2.0
"""How the raw value of each type is to be read: ARGUMENT_*, FORM_* and bytes."""

from __future__ import annotations

from typing import NamedTuple

from tetragon_py.abi import _generated as c
from tetragon_py.policy.model.arguments import ArgumentType

__all__ = ["Reading", "is_number", "narrow", "needs_kernel_struct", "reading"]

_T = ArgumentType


class Reading(NamedTuple):
    """The part of an ArgumentPlan that follows from the type."""

    type: int  #: ARGUMENT_*
    form: int = c.FORM_PLAIN
    size: int = 0  #: bytes of a number


def _numbers(kind: int, size: int, *names: ArgumentType) -> dict[ArgumentType, Reading]:
    return dict.fromkeys(names, Reading(kind, c.FORM_PLAIN, size))


_NUMBERS = {
    **_numbers(c.ARGUMENT_INT8, 1, _T.INT8, _T.SINT8),
    **_numbers(c.ARGUMENT_UINT8, 1, _T.UINT8),
    **_numbers(c.ARGUMENT_INT16, 2, _T.INT16, _T.SINT16),
    **_numbers(c.ARGUMENT_UINT16, 2, _T.UINT16),
    **_numbers(c.ARGUMENT_INT32, 4, _T.INT, _T.INT32, _T.SINT32),
    **_numbers(c.ARGUMENT_UINT32, 4, _T.UINT32),
    **_numbers(c.ARGUMENT_INT64, 8, _T.INT64, _T.SINT64, _T.LONG),
    **_numbers(c.ARGUMENT_UINT64, 8, _T.UINT64, _T.ULONG, _T.SIZE_T),
    **_numbers(c.ARGUMENT_SYSCALL64, 8, _T.SYSCALL64),
    **_numbers(c.ARGUMENT_CAPABILITY, 4, _T.CAPABILITY),
    **_numbers(c.ARGUMENT_BPF_CMD, 4, _T.BPF_CMD),
}
#: In the memory of the process where a system call gets it, else of the kernel.
_EITHER = {
    _T.STRING: c.ARGUMENT_STRING,
    _T.CHAR_BUF: c.ARGUMENT_CHAR_BUF,
    _T.SOCKADDR: c.ARGUMENT_SOCKADDR,
    _T.SOCKADDR_UN: c.ARGUMENT_SOCKADDR_UN,
    _T.BPF_ATTR: c.ARGUMENT_BPF_ATTR,
}
_OTHERS = {
    _T.FD: Reading(c.ARGUMENT_FILE, c.FORM_FD, 4),
    _T.CHAR_IOVEC: Reading(c.ARGUMENT_CHAR_BUF, c.FORM_IOVEC),
    _T.CONST_BUF: Reading(c.ARGUMENT_CONST_BUF, c.FORM_INLINE),
    _T.DATA_LOC: Reading(c.ARGUMENT_STRING, c.FORM_INLINE),
}
_STRUCTS = {
    _T.FILE: Reading(c.ARGUMENT_FILE),
    _T.KIOCB: Reading(c.ARGUMENT_FILE, c.FORM_KIOCB),
    _T.FILENAME: Reading(c.ARGUMENT_STRING, c.FORM_FILENAME),
    _T.PATH: Reading(c.ARGUMENT_PATH),
    _T.DENTRY: Reading(c.ARGUMENT_DENTRY),
    _T.LINUX_BINPRM: Reading(c.ARGUMENT_LINUX_BINPRM),
    _T.IOV_ITER: Reading(c.ARGUMENT_CHAR_BUF, c.FORM_IOV_ITER),
    _T.SKB: Reading(c.ARGUMENT_SKB),
    _T.SOCK: Reading(c.ARGUMENT_SOCK),
    _T.SOCKET: Reading(c.ARGUMENT_SOCK, c.FORM_SOCKET),
    _T.NET_DEVICE: Reading(c.ARGUMENT_NET_DEVICE),
    _T.CRED: Reading(c.ARGUMENT_CRED),
    _T.USER_NAMESPACE: Reading(c.ARGUMENT_USER_NAMESPACE),
    _T.KERNEL_CAP_T: Reading(c.ARGUMENT_KERNEL_CAP),
    _T.CAP_INHERITABLE: Reading(c.ARGUMENT_CAP_INHERITABLE),
    _T.CAP_PERMITTED: Reading(c.ARGUMENT_CAP_PERMITTED),
    _T.CAP_EFFECTIVE: Reading(c.ARGUMENT_CAP_EFFECTIVE),
    _T.LOAD_INFO: Reading(c.ARGUMENT_LOAD_INFO),
    _T.MODULE: Reading(c.ARGUMENT_MODULE),
    _T.BPF_PROG: Reading(c.ARGUMENT_BPF_PROG),
    _T.BPF_MAP: Reading(c.ARGUMENT_BPF_MAP),
    _T.PERF_EVENT: Reading(c.ARGUMENT_PERF_EVENT),
}
_SIGNED = {_NUMBERS[t].size: _NUMBERS[t] for t in (_T.INT8, _T.INT16, _T.INT32)}
_READINGS = _NUMBERS | _OTHERS | _STRUCTS


def is_number(kind: ArgumentType) -> bool:
    """Whether the raw value is the value itself."""
    return kind in _NUMBERS


def needs_kernel_struct(kind: ArgumentType) -> bool:
    """Whether the raw value points to a struct that only the kernel has."""
    return kind in _STRUCTS


def reading(kind: ArgumentType, *, is_user: bool) -> Reading:
    """Return how a value of a type other than auto and nop is read.

    Args:
        kind: Its type.
        is_user: Pointers are those of the process.
    """
    if kind in _EITHER:
        return Reading(_EITHER[kind], c.FORM_USER if is_user else c.FORM_KERNEL)
    return _READINGS[kind]


def narrow(kind: ArgumentType, size: int) -> Reading:
    """Return how a number is read of which only `size` bytes are there.

    The kernel side extends a number by its type: one that has fewer bytes than its
    type keeps its sign only as a shorter type.
    """
    found = _NUMBERS[kind]
    if size < found.size and kind.is_signed:
        return _SIGNED[size]
    return found._replace(size=min(size, found.size))
