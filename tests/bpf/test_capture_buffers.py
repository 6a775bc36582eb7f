# SPDX-License-Identifier: Apache-2.0
"""Buffers among the arguments of a hit: whole, in pieces, iterators."""

from __future__ import annotations

import errno
import os
import struct

import pytest

from tests.bpf.capturing import BAD_ADDRESS, Capture, address_of, argument, load_capture
from tetragon_py.abi import _generated as c

MAX = c.ARGUMENT_TEXT_MAX


@pytest.fixture(scope="module")
def loaded(objects):
    with load_capture(objects) as bpf_object:
        yield bpf_object


@pytest.fixture
def capture(loaded, run):
    return Capture(loaded, run)


@pytest.mark.parametrize("form", [c.FORM_USER, c.FORM_KERNEL])
@pytest.mark.parametrize("size", [0, 1, 7, 8, 1000, MAX])
def test_buffers(capture, form, size):
    """As many bytes as the register says, NULs included."""
    data = os.urandom(size)
    user, _kept = address_of(data)
    memory = capture.remember((0, data))
    captured = capture.one(
        argument(c.ARGUMENT_CHAR_BUF, form, size_register=3),
        *(user if form == c.FORM_USER else memory, 0, size),
    )

    assert captured.data == struct.pack("<Q", size) + data
    assert captured.flags == 0


def test_long_buffer_is_cut_and_its_size_told(capture):
    """What the caller named is told, and that there was more."""
    data = os.urandom(MAX + 1)
    user, _kept = address_of(data)
    captured = capture.one(
        argument(c.ARGUMENT_CHAR_BUF, c.FORM_USER, size_register=2), user, len(data)
    )

    assert captured.data == struct.pack("<Q", MAX + 1) + data[:MAX]
    assert captured.flags == c.ARGUMENT_CUT


@pytest.mark.parametrize(("result", "size"), [(5, 5), (0, 0), (-11, 0)])
def test_size_is_what_was_returned(capture, result, size):
    """A call that failed has filled nothing."""
    user, _kept = address_of(b"returned")
    wanted = argument(c.ARGUMENT_CHAR_BUF, c.FORM_USER, flags=c.ARGUMENT_SIZE_RETURNED)
    captured = capture.one(wanted, user, result=result)

    assert captured.data == struct.pack("<Q", size) + b"returned"[:size]


def test_buffer_that_is_not_there(capture):
    """An error, whatever was asked for."""
    for form in (c.FORM_USER, c.FORM_KERNEL):
        captured = capture.one(
            argument(c.ARGUMENT_CHAR_BUF, form, size_register=2), BAD_ADDRESS, 10
        )
        assert captured.length == -errno.EFAULT


def vectors_of(pieces):
    """A struct iovec[] of this process for the pieces, and what has to be kept."""
    kept = [address_of(piece) for piece in pieces]
    packed = b"".join(
        struct.pack("<QQ", at, len(piece))
        for (at, _), piece in zip(kept, pieces, strict=True)
    )
    address, array = address_of(packed)
    return address, (kept, array)


@pytest.mark.parametrize(
    "pieces",
    [[], [b"one"], [b"", b"one", b"", b"two"], [b"%d" % i for i in range(8)]],
)
def test_vectors(capture, pieces):
    """A buffer in pieces is told as one."""
    address, _kept = vectors_of(pieces)
    captured = capture.one(
        argument(c.ARGUMENT_CHAR_BUF, c.FORM_IOVEC, size_register=2),
        *(address, len(pieces)),
    )
    data = b"".join(pieces)

    assert captured.data == struct.pack("<Q", len(data)) + data
    assert captured.flags == 0


@pytest.mark.parametrize(
    ("pieces", "kept", "total"),
    [
        ([b"a" * 4000, b"b" * 96, b"c"], 4096, 4097),
        ([b"a" * 4000, b"b" * 5000], 4096, 9000),
        ([b"a" * 5000], 4096, 5000),
        ([b"%d" % i for i in range(9)], 8, 8),
    ],
)
def test_long_vectors_are_cut(capture, pieces, kept, total):
    """Both by bytes and by pieces; the size is that of the pieces that were seen."""
    address, _kept = vectors_of(pieces)
    captured = capture.one(
        argument(c.ARGUMENT_CHAR_BUF, c.FORM_IOVEC, size_register=2),
        *(address, len(pieces)),
    )

    assert captured.data == struct.pack("<Q", total) + b"".join(pieces)[:kept]
    assert captured.flags == c.ARGUMENT_CUT


def test_vectors_as_far_as_they_were_filled(capture):
    """At the return of readv() only so many bytes are its own."""
    address, _kept = vectors_of([b"first", b"second"])
    wanted = argument(
        *(c.ARGUMENT_CHAR_BUF, c.FORM_IOVEC),
        size_register=2,
        flags=c.ARGUMENT_SIZE_RETURNED,
    )

    assert capture.one(wanted, address, 2, result=7).data == struct.pack("<Q", 7) + (
        b"firstse"
    )
    assert capture.one(wanted, address, 2, result=-9).data == bytes(8)


def test_vectors_that_are_not_there(capture):
    """Neither the array nor the pieces need to be."""
    wanted = argument(c.ARGUMENT_CHAR_BUF, c.FORM_IOVEC, size_register=2)
    array, _kept = address_of(struct.pack("<QQ", BAD_ADDRESS, 5))

    assert capture.one(wanted, BAD_ADDRESS, 1).length == -errno.EFAULT
    assert capture.one(wanted, array, 1).length == -errno.EFAULT


def capture_iter(capture, kind, field, target, *parts, skip=0, count=0, segments=1):
    """Capture a struct iov_iter; the parts are further kernel memory."""
    known = capture.look()
    capture.remember(
        (known.iter_type, struct.pack("<B", kind)),
        (known.iter_offset, struct.pack("<Q", skip)),
        (known.iter_segments, struct.pack("<Q", segments)),
        (field, struct.pack("<Q", target)),
        (known.iter_count, struct.pack("<Q", count)),
        *parts,
    )
    return capture.one(argument(c.ARGUMENT_CHAR_BUF, c.FORM_IOV_ITER), known.memory)


def test_iov_iter_of_vectors(capture):
    """The array is the kernel's, the pieces are the process's; some is done already."""
    known = capture.look()
    first, _kept = address_of(b"abcdef")
    second, _kept_too = address_of(b"ghi")
    captured = capture_iter(
        *(capture, known.iter_iovec, known.iter_vectors, known.memory + 512),
        (512, struct.pack("<QQQQ", first, 6, second, 3)),
        skip=2,
        count=6,
        segments=2,
    )

    assert captured.data == struct.pack("<Q", 6) + b"cdefgh"


def test_iov_iter_of_the_kernel(capture):
    """A kvec has both in the kernel."""
    known = capture.look()
    captured = capture_iter(
        *(capture, known.iter_kvec, known.iter_vectors, known.memory + 512),
        (512, struct.pack("<QQ", known.memory + 1024, 4)),
        (1024, b"kern"),
        count=4,
    )

    assert captured.data == struct.pack("<Q", 4) + b"kern"


def test_iov_iter_of_one_buffer(capture):
    """Since 6.0 a single buffer needs no vector."""
    known = capture.look()
    if not known.iter_buffer:
        pytest.skip("this kernel has no ITER_UBUF")
    user, _kept = address_of(b"a single buffer")
    captured = capture_iter(
        *(capture, known.iter_ubuf, known.iter_buffer, user), skip=2, count=6
    )

    assert captured.data == struct.pack("<Q", 6) + b"single"


def test_iov_iter_that_cannot_be_read(capture):
    """Pages have no address, and a bad address has nothing."""
    known = capture.look()
    captured = capture_iter(
        *(capture, known.iter_bvec, known.iter_vectors, known.memory), count=6
    )
    wanted = argument(c.ARGUMENT_CHAR_BUF, c.FORM_IOV_ITER)

    assert captured.length == -errno.EOPNOTSUPP
    assert capture.one(wanted, BAD_ADDRESS).length == -errno.EFAULT
