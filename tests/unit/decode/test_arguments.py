# SPDX-License-Identifier: Apache-2.0
"""Each type of argument is read as C wrote it; nothing is read beyond it."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.records import argument, number, path_argument, sock_argument
from tetragon_py.abi import _generated as c
from tetragon_py.abi import record
from tetragon_py.decode.arguments import NUMBERS, SIGNED_NUMBERS, decode_arguments
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

IDS = record.CREDENTIALS.pack(*range(1, 16))
OWNER = record.ARGUMENT_USER_NAMESPACE.pack(-1, 2, 3, 4)
#: Type -> the bytes, and the value that they are.
VALUES = {
    c.ARGUMENT_STRING: (b"a\0b", b"a\0b"),
    c.ARGUMENT_NET_DEVICE: (b"eth0", b"eth0"),
    c.ARGUMENT_CHAR_BUF: (struct.pack("<Q", 9) + b"ab", BufferValue(b"ab", 9)),
    c.ARGUMENT_CONST_BUF: (
        struct.pack("<3Q", 16, 1, (1 << 64) - 1),
        WordsValue((1, (1 << 64) - 1), 16),
    ),
    c.ARGUMENT_FILE: (
        record.ARGUMENT_PATH.pack(1 << 40, 2, 3, 4, 5) + b"/a",
        PathValue(1 << 40, 2, 3, 4, 5, b"/a"),
    ),
    c.ARGUMENT_SOCK: (
        record.ARGUMENT_SOCK.pack(*range(1, 14), b"a" * 16, b"b" * 16),
        SockValue._make([*range(1, 14), b"a" * 16, b"b" * 16, b""]),
    ),
    c.ARGUMENT_SOCKADDR_UN: (
        record.ARGUMENT_SOCK.pack(*range(1, 14), b"", b"") + b"\0x",
        SockValue._make([*range(1, 14), bytes(16), bytes(16), b"\0x"]),
    ),
    c.ARGUMENT_CRED: (
        IDS + OWNER,
        CredentialsValue(Credentials(*range(1, 16)), UserNamespaceValue(-1, 2, 3, 4)),
    ),
    c.ARGUMENT_USER_NAMESPACE: (OWNER, UserNamespaceValue(-1, 2, 3, 4)),
    c.ARGUMENT_MODULE: (
        record.ARGUMENT_MODULE.pack(1 << 13, 1) + b"evil",
        ModuleValue(1 << 13, 1, b"evil"),
    ),
    c.ARGUMENT_BPF_MAP: (
        record.ARGUMENT_BPF.pack(1, 2, 3, 4, 5) + b"m",
        BpfValue(1, 2, 3, 4, 5, b"m"),
    ),
    c.ARGUMENT_PERF_EVENT: (
        record.ARGUMENT_PERF_EVENT.pack(1, 2, 3) + b"f",
        PerfEventValue(1, 2, 3, b"f"),
    ),
    c.ARGUMENT_NOP: (b"", b""),
}
#: Types that are read like another one.
SAME = {
    c.ARGUMENT_PATH: c.ARGUMENT_FILE,
    c.ARGUMENT_DENTRY: c.ARGUMENT_FILE,
    c.ARGUMENT_LINUX_BINPRM: c.ARGUMENT_FILE,
    c.ARGUMENT_SKB: c.ARGUMENT_SOCK,
    c.ARGUMENT_SOCKADDR: c.ARGUMENT_SOCK,
    c.ARGUMENT_LOAD_INFO: c.ARGUMENT_MODULE,
    c.ARGUMENT_BPF_ATTR: c.ARGUMENT_BPF_MAP,
    c.ARGUMENT_BPF_PROG: c.ARGUMENT_BPF_MAP,
}
VALUES |= {kind: VALUES[other] for kind, other in SAME.items()}
END = bytes(16)  # a match follows


def read(*arguments: bytes):
    data = b"".join(arguments)
    heads, values, stop = decode_arguments(data + END, 0, len(data), len(arguments))
    assert stop == len(data)
    return heads, values


def test_all_types_are_covered():
    """A type that the header has is a number or in the table here."""
    assert set(range(1, c.ARGUMENT_TYPE_COUNT)) == NUMBERS | VALUES.keys()


@pytest.mark.parametrize("kind", VALUES)
def test_value(kind):
    """The fields of the C struct, then its text."""
    raw, value = VALUES[kind]
    heads, values = read(argument(kind, raw, slot=3))

    assert heads == (3 | kind << 8,)
    assert values == (value,)
    assert type(values[0]) is type(value)


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("value", [0, 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
def test_numbers(kind, value):
    """Signed types were sign-extended; all others are unsigned."""
    is_negative = kind in SIGNED_NUMBERS and value >> 63
    _, values = read(number(kind, value))

    assert values == (value - (1 << 64) if is_negative else value,)


def test_several():
    """Each begins behind the NUL of the one before, at a multiple of 8."""
    texts = [b"a" * length for length in range(20)]
    heads, values = read(*(argument(c.ARGUMENT_STRING, text) for text in texts))

    assert values == tuple(texts)
    assert len(heads) == 20


def test_errors_have_no_bytes():
    """The -errno of an argument, and at which step of "resolve" it failed."""
    heads, values = read(
        argument(c.ARGUMENT_INT32, slot=1, error=14, depth=3),
        argument(c.ARGUMENT_FILE, slot=2, error=9),
        number(c.ARGUMENT_INT32, 7),
    )

    assert values == (ReadError(14, 3), ReadError(9, 0), 7)
    assert [bool(head & HEAD_FAILED) for head in heads] == [True, True, False]
    assert heads[0] & 0xFFFFFFFF == 1 | c.ARGUMENT_INT32 << 8 | 3 << 24


@pytest.mark.parametrize("kind", [0, c.ARGUMENT_TYPE_COUNT, 255])
def test_unknown_types_are_refused(kind):
    """A record of another version is not guessed at."""
    with pytest.raises(DecodeError, match=f"argument of type {kind} has 8 bytes"):
        read(argument(kind, bytes(8)))


@pytest.mark.parametrize("kind", sorted(NUMBERS | VALUES.keys() - {c.ARGUMENT_NOP}))
def test_too_few_bytes_are_refused(kind):
    """A struct is there as a whole, or the record is malformed."""
    fixed = {
        c.ARGUMENT_STRING: 0,
        c.ARGUMENT_NET_DEVICE: 0,
        c.ARGUMENT_CHAR_BUF: 8,
        c.ARGUMENT_CONST_BUF: 8,
        c.ARGUMENT_CRED: 96,
        c.ARGUMENT_USER_NAMESPACE: 16,
        c.ARGUMENT_MODULE: 16,
        c.ARGUMENT_LOAD_INFO: 16,
    }
    least = fixed.get(kind, 8 if kind in NUMBERS else 24)
    if kind in range(c.ARGUMENT_SOCK, c.ARGUMENT_SOCKADDR_UN + 1):
        least = 72
    read(argument(kind, bytes(least)))
    if least:
        with pytest.raises(DecodeError, match=f"has {least - 1} bytes"):
            read(argument(kind, bytes(least - 1)))


@pytest.mark.parametrize(
    "kind", [*NUMBERS, c.ARGUMENT_SOCK, c.ARGUMENT_CRED, c.ARGUMENT_USER_NAMESPACE]
)
def test_too_many_bytes_are_refused(kind):
    """Where no text follows, nothing else does."""
    raw = bytes(8) if kind in NUMBERS else VALUES[kind][0]
    with pytest.raises(DecodeError, match=f"has {len(raw) + 1} bytes"):
        read(argument(kind, raw + b"\0"))


@pytest.mark.parametrize("extra", [0, 1, 1 << 20, (1 << 31) - 9])
def test_lengths_beyond_the_record_are_refused(extra):
    """Neither the matches behind nor the next record are taken for text."""
    raw = bytearray(argument(c.ARGUMENT_STRING, b"abc"))
    raw[4:8] = struct.pack("<i", 8 + extra)  # all that there is, without a NUL
    with pytest.raises(DecodeError, match="argument is cut"):
        decode_arguments(bytes(raw) + bytes(64), 0, len(raw), 1)


@given(
    st.binary(max_size=200)
    | st.lists(
        st.sampled_from(
            [
                number(c.ARGUMENT_INT32, 3),
                argument(c.ARGUMENT_STRING, b"abc"),
                argument(c.ARGUMENT_FILE, error=14),
                path_argument(),
                sock_argument(),
                b"\xff" * 8,
            ]
        )
    ).map(b"".join),
    st.integers(0, 16),
    st.integers(0, 64),
)
def test_any_bytes(data, count, spare):
    """Arguments that all lie before the end, or an error."""
    end = max(0, len(data) - spare)
    with contextlib.suppress(DecodeError, struct.error):
        heads, values, stop = decode_arguments(data, 0, end, count)

        assert len(heads) == len(values) == count
        assert stop <= end + 16  # a head, and what fills the last one up
        assert all(len(value) <= end for value in values if isinstance(value, bytes))
