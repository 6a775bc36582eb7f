# SPDX-License-Identifier: Apache-2.0
"""The captured arguments of a hook record -> values.

Each type has a reader and the lengths that it can read; whatever the record says,
nothing behind the argument is read.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, TypeAlias

from tetragon_py.abi import _generated as c
from tetragon_py.abi.record import (
    ARGUMENT_BPF,
    ARGUMENT_BUFFER,
    ARGUMENT_HEAD,
    ARGUMENT_MODULE,
    ARGUMENT_PATH,
    ARGUMENT_PERF_EVENT,
    ARGUMENT_SOCK,
    ARGUMENT_USER_NAMESPACE,
    CREDENTIALS,
)
from tetragon_py.errors import DecodeError
from tetragon_py.events.hook import (
    HEAD_FAILED,
    BpfValue,
    BufferValue,
    CredentialsValue,
    ModuleValue,
    PathValue,
    PerfEventValue,
    ReadError,
    SockValue,
    UserNamespaceValue,
    WordsValue,
)
from tetragon_py.events.process import Credentials

if TYPE_CHECKING:
    from collections.abc import Callable

    from tetragon_py.events.hook import Value

__all__ = ["NUMBERS", "NUMBER_BYTES", "SIGNED_NUMBERS", "decode_arguments"]

NUMBER_BYTES: Final = 8
SIGNED_NUMBERS: Final = frozenset(
    (c.ARGUMENT_INT32, c.ARGUMENT_INT16, c.ARGUMENT_INT8, c.ARGUMENT_INT64)
)
#: The types whose values are integers.
NUMBERS: Final = frozenset(range(c.ARGUMENT_INT32, c.ARGUMENT_BPF_CMD + 1))
_unpack_head = ARGUMENT_HEAD.unpack_from
_unpack_path = ARGUMENT_PATH.unpack_from
_unpack_unsigned = struct.Struct("<Q").unpack_from
_unpack_signed = struct.Struct("<q").unpack_from
_HEAD_SIZE, _PATH_SIZE = ARGUMENT_HEAD.size, ARGUMENT_PATH.size
_new = tuple.__new__


def decode_arguments(
    data: bytes, at: int, end: int, count: int
) -> tuple[tuple[int, ...], tuple[Value, ...], int]:
    """Heads (see HookEvent) and values of `count` arguments, and where they end.

    Args:
        data: Holds the record.
        at: Where the first argument is.
        end: Of the record.
        count: How many arguments there are.

    Raises:
        DecodeError: an argument does not end before `end`, or is none.
        struct.error: the same, where `data` ends too.
    """
    heads: list[int] = []
    values: list[Value] = []
    for _ in range(count):
        head, length = _unpack_head(data, at)
        at += _HEAD_SIZE
        stop = at + length
        if length < 0:
            heads.append(head | HEAD_FAILED)
            values.append(_new(ReadError, (-length, head >> 24)))
            continue
        if stop >= end:  # a NUL follows
            raise DecodeError("argument is cut", type=c.EVENT_HOOK, size=length)
        kind = head >> 8 & 0xFF
        heads.append(head)
        if kind in NUMBERS and length == NUMBER_BYTES:
            unpack = _unpack_signed if kind in SIGNED_NUMBERS else _unpack_unsigned
            values.append(unpack(data, at)[0])
        else:
            read, least, most = _READERS[kind]
            if not least <= length <= most:
                text = f"argument of type {kind} has {length} bytes"
                raise DecodeError(text, type=c.EVENT_HOOK)
            values.append(read(data, at, stop))
        at += length + 8 & ~7
    return tuple(heads), tuple(values), at


# ---- one reader per form; `stop - at` is at least what it unpacks ----


def _text(data: bytes, at: int, stop: int) -> bytes:
    return data[at:stop]


def _nothing(data: bytes, at: int, stop: int) -> bytes:
    return b""


def _buffer(data: bytes, at: int, stop: int) -> BufferValue:
    (whole_bytes,) = ARGUMENT_BUFFER.unpack_from(data, at)
    return BufferValue(data[at + ARGUMENT_BUFFER.size : stop], whole_bytes)


def _words(data: bytes, at: int, stop: int) -> WordsValue:
    (whole_bytes,) = ARGUMENT_BUFFER.unpack_from(data, at)
    at += ARGUMENT_BUFFER.size
    return WordsValue(
        struct.unpack_from(f"<{(stop - at) // 8}Q", data, at), whole_bytes
    )


def _path(data: bytes, at: int, stop: int) -> PathValue:
    return _new(PathValue, (*_unpack_path(data, at), data[at + _PATH_SIZE : stop]))


def _sock(data: bytes, at: int, stop: int) -> SockValue:
    return _new(
        SockValue,
        (*ARGUMENT_SOCK.unpack_from(data, at), data[at + ARGUMENT_SOCK.size : stop]),
    )


def _user_namespace(data: bytes, at: int, stop: int) -> UserNamespaceValue:
    return UserNamespaceValue._make(ARGUMENT_USER_NAMESPACE.unpack_from(data, at))


def _credentials(data: bytes, at: int, stop: int) -> CredentialsValue:
    return CredentialsValue(
        Credentials._make(CREDENTIALS.unpack_from(data, at)),
        _user_namespace(data, at + CREDENTIALS.size, stop),
    )


def _module(data: bytes, at: int, stop: int) -> ModuleValue:
    taints, signature_ok = ARGUMENT_MODULE.unpack_from(data, at)
    return ModuleValue(taints, signature_ok, data[at + ARGUMENT_MODULE.size : stop])


def _bpf(data: bytes, at: int, stop: int) -> BpfValue:
    name = data[at + ARGUMENT_BPF.size : stop]
    return BpfValue._make((*ARGUMENT_BPF.unpack_from(data, at), name))


def _perf_event(data: bytes, at: int, stop: int) -> PerfEventValue:
    function = data[at + ARGUMENT_PERF_EVENT.size : stop]
    return PerfEventValue._make((*ARGUMENT_PERF_EVENT.unpack_from(data, at), function))


#: What reads a value, the least and the most bytes of it.
_Reader: TypeAlias = "tuple[Callable[[bytes, int, int], Value], int, int]"
_LONGEST: Final = c.ARGUMENTS_BYTES_MAX


def _readers() -> list[_Reader]:
    """By type; those that do not exist, and numbers, are of no length."""
    user_namespace = ARGUMENT_USER_NAMESPACE.size
    credentials = CREDENTIALS.size + user_namespace
    found: dict[int, _Reader] = {
        c.ARGUMENT_STRING: (_text, 0, _LONGEST),
        c.ARGUMENT_NET_DEVICE: (_text, 0, _LONGEST),
        c.ARGUMENT_CHAR_BUF: (_buffer, ARGUMENT_BUFFER.size, _LONGEST),
        c.ARGUMENT_CONST_BUF: (_words, ARGUMENT_BUFFER.size, _LONGEST),
        c.ARGUMENT_FILE: (_path, ARGUMENT_PATH.size, _LONGEST),
        c.ARGUMENT_PATH: (_path, ARGUMENT_PATH.size, _LONGEST),
        c.ARGUMENT_DENTRY: (_path, ARGUMENT_PATH.size, _LONGEST),
        c.ARGUMENT_LINUX_BINPRM: (_path, ARGUMENT_PATH.size, _LONGEST),
        c.ARGUMENT_SOCK: (_sock, ARGUMENT_SOCK.size, ARGUMENT_SOCK.size),
        c.ARGUMENT_SKB: (_sock, ARGUMENT_SOCK.size, ARGUMENT_SOCK.size),
        c.ARGUMENT_SOCKADDR: (_sock, ARGUMENT_SOCK.size, ARGUMENT_SOCK.size),
        c.ARGUMENT_SOCKADDR_UN: (_sock, ARGUMENT_SOCK.size, _LONGEST),
        c.ARGUMENT_CRED: (_credentials, credentials, credentials),
        c.ARGUMENT_USER_NAMESPACE: (_user_namespace, user_namespace, user_namespace),
        c.ARGUMENT_MODULE: (_module, ARGUMENT_MODULE.size, _LONGEST),
        c.ARGUMENT_LOAD_INFO: (_module, ARGUMENT_MODULE.size, _LONGEST),
        c.ARGUMENT_BPF_ATTR: (_bpf, ARGUMENT_BPF.size, _LONGEST),
        c.ARGUMENT_BPF_PROG: (_bpf, ARGUMENT_BPF.size, _LONGEST),
        c.ARGUMENT_BPF_MAP: (_bpf, ARGUMENT_BPF.size, _LONGEST),
        c.ARGUMENT_PERF_EVENT: (_perf_event, ARGUMENT_PERF_EVENT.size, _LONGEST),
        c.ARGUMENT_NOP: (_nothing, 0, _LONGEST),
    }
    return [found.get(kind, (_nothing, 1, 0)) for kind in range(256)]


_READERS: Final = _readers()
