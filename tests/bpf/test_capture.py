# SPDX-License-Identifier: Apache-2.0
"""Arguments of a hit in its record: numbers, texts, errors, room."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import struct
from pathlib import Path

import pytest

from tests.bpf.capturing import BAD_ADDRESS, Capture, address_of, argument, load_capture
from tetragon_py.abi import _generated as c

MAX = c.ARGUMENT_TEXT_MAX
BAD_KERNEL = 0xFFFF_FFFF_FFFF_F000  # an error pointer


@pytest.fixture(scope="module")
def loaded(objects):
    with load_capture(objects) as bpf_object:
        yield bpf_object


@pytest.fixture
def capture(loaded, run):
    return Capture(loaded, run)


# ---- numbers ----


@pytest.mark.parametrize(
    ("kind", "raw", "sent"),
    [
        (c.ARGUMENT_INT8, 0x1_80, 2**64 - 128),
        (c.ARGUMENT_INT8, 0x7F, 127),
        (c.ARGUMENT_UINT8, 0x1_80, 128),
        (c.ARGUMENT_INT16, 0x1_8000, 2**64 - 2**15),
        (c.ARGUMENT_UINT16, 0x1_8000, 2**15),
        (c.ARGUMENT_INT32, 0xFFFF_FFFF_8000_0000, 2**64 - 2**31),
        (c.ARGUMENT_INT32, 0x1_0000_0005, 5),
        (c.ARGUMENT_UINT32, 0xFFFF_FFFF_8000_0000, 2**31),
        (c.ARGUMENT_INT64, 2**64 - 1, 2**64 - 1),
        (c.ARGUMENT_UINT64, 2**64 - 1, 2**64 - 1),
        (c.ARGUMENT_CAPABILITY, 21, 21),
        (c.ARGUMENT_BPF_CMD, 0x7_0000_0005, 5),
        (c.ARGUMENT_SYSCALL64, 257, 257),
    ],
)
def test_numbers_are_cut_to_their_width(capture, kind, raw, sent):
    """A register may have anything above the width; signed ones are sign-extended."""
    captured = capture.one(argument(kind), raw)

    assert captured.number == sent
    assert captured[:5] == (0, kind, 0, 0, 8)


@pytest.mark.parametrize("index", range(6))
def test_each_register(capture, index):
    """Six registers, in order."""
    captured = capture.one(
        argument(c.ARGUMENT_UINT64, index=index), 11, 22, 33, 44, 55, 66
    )

    assert captured.number == 11 * (index + 1)


def test_number_in_memory(capture):
    """An address leads to as many bytes as the type has."""
    memory = capture.remember((100, bytes([0xFF] * 8)))
    for kind, sent in (
        (c.ARGUMENT_UINT8, 0xFF),
        (c.ARGUMENT_UINT16, 0xFFFF),
        (c.ARGUMENT_UINT32, 2**32 - 1),
        (c.ARGUMENT_INT32, 2**64 - 1),
        (c.ARGUMENT_UINT64, 2**64 - 1),
    ):
        captured = capture.one(argument(kind, c.FORM_MEMORY), memory + 100)

        assert captured.number == sent


def test_return_value(capture):
    """What the function returned."""
    captured = capture.one(
        argument(c.ARGUMENT_INT32, source=c.FROM_RETURN), result=2**32 - 13
    )

    assert captured.number == 2**64 - 13


def test_capability_sets_are_read_through_their_address(capture):
    """A kernel_cap_t is a struct: 8 bytes in the kernel, in either form."""
    capabilities = 0x1FF_FFFF_FFFF
    memory = capture.remember((0, struct.pack("<Q", capabilities)))
    for kind in range(c.ARGUMENT_KERNEL_CAP, c.ARGUMENT_CAP_EFFECTIVE + 1):
        for form in (c.FORM_PLAIN, c.FORM_MEMORY):
            assert capture.one(argument(kind, form), memory).number == capabilities


# ---- a tracepoint's record ----


def test_fields_of_a_tracepoint(capture):
    """Fields of each size, and what lies in the record itself."""
    text = b"in the record"
    record = struct.pack("<bBhHiq", -5, 0xF0, -300, 65000, -70_000, -(2**40))
    record = record.ljust(64, b"\0") + struct.pack("<I", len(text) + 1 << 16 | 80)
    record = record.ljust(80, b"\0") + text + b"\0" + b"0123456789abcdef"
    memory = capture.remember((0, record))
    field = c.FROM_FIELD
    found = capture(
        argument(c.ARGUMENT_INT8, source=field, size=1),
        argument(c.ARGUMENT_UINT8, source=field, offset=1, size=1),
        argument(c.ARGUMENT_INT16, source=field, offset=2, size=2),
        argument(c.ARGUMENT_UINT16, source=field, offset=4, size=2),
        argument(c.ARGUMENT_INT32, source=field, offset=6, size=4),
        argument(c.ARGUMENT_INT64, source=field, offset=10, size=8),
        argument(c.ARGUMENT_STRING, source=c.FROM_DATA_LOC, offset=64),
        # no NUL in the field: its size ends it
        argument(c.ARGUMENT_STRING, c.FORM_INLINE, source=field, offset=94, size=10),
        argument(c.ARGUMENT_CONST_BUF, c.FORM_INLINE, source=field, offset=94, size=16),
        context=memory,
    )
    assert struct.calcsize("<bBhHiq") == 18

    assert [
        int.from_bytes(captured.data, "little", signed=True) for captured in found[:6]
    ] == [-5, 0xF0, -300, 65000, -70_000, -(2**40)]
    assert found[6].data == text
    assert found[7].data == b"0123456789"
    assert found[8].data == struct.pack("<Q", 16) + b"0123456789abcdef"


def test_record_that_is_not_there(capture):
    """The address of the record is no promise either."""
    found = capture(
        argument(c.ARGUMENT_INT32, source=c.FROM_FIELD, offset=8, size=4),
        argument(c.ARGUMENT_STRING, source=c.FROM_DATA_LOC, offset=8),
        argument(c.ARGUMENT_STRING, c.FORM_INLINE, source=c.FROM_FIELD, size=8),
    )

    assert [captured.length for captured in found] == [-errno.EFAULT] * 3


# ---- texts ----


@pytest.mark.parametrize("length", [0, 1, 6, 7, 8, 9, 300, MAX - 1, MAX])
@pytest.mark.parametrize("form", [c.FORM_USER, c.FORM_KERNEL])
def test_strings_come_whole(capture, length, form):
    """Up to the longest, of the process and of the kernel."""
    text = bytes(1 + i % 255 for i in range(length))
    user, _kept = address_of(text + b"\0")
    memory = capture.remember((8, text))
    captured = capture.one(
        argument(c.ARGUMENT_STRING, form), user if form == c.FORM_USER else memory + 8
    )

    assert captured == (0, c.ARGUMENT_STRING, 0, 0, length, text)


@pytest.mark.parametrize("length", [MAX + 1, MAX + 2, 3 * MAX])
@pytest.mark.parametrize("form", [c.FORM_USER, c.FORM_KERNEL])
def test_long_strings_are_cut_and_marked(capture, length, form):
    """One byte more than the longest is a cut."""
    text = bytes(1 + i % 255 for i in range(length))
    user, _kept = address_of(text + b"\0")
    memory = capture.remember((8, text))
    captured = capture.one(
        argument(c.ARGUMENT_STRING, form), user if form == c.FORM_USER else memory + 8
    )

    assert captured.data == text[:MAX]
    assert captured.flags == c.ARGUMENT_CUT


@pytest.mark.parametrize("form", [c.FORM_USER, c.FORM_KERNEL, c.FORM_FILENAME])
@pytest.mark.parametrize("address", [0, BAD_ADDRESS, BAD_KERNEL])
def test_strings_that_are_not_there(capture, form, address):
    """An error, never an empty text."""
    captured = capture.one(argument(c.ARGUMENT_STRING, form), address)

    assert captured[2:] == (0, 0, -errno.EFAULT, b"")


def test_string_up_to_the_end_of_memory(capture):
    """A text may end where nothing follows, and must not go on there."""
    page = mmap.PAGESIZE
    memory = mmap.mmap(-1, 2 * page)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mprotect(ctypes.c_void_p(address + page), page, 0) == 0
    memory[page - 5 : page] = b"last\0"
    user = argument(c.ARGUMENT_STRING, c.FORM_USER)

    assert capture.one(user, address + page - 5).data == b"last"
    memory[page - 1] = ord("!")
    assert capture.one(user, address + page - 5).length == -errno.EFAULT


def test_struct_filename(capture):
    """The text is behind the struct's pointer."""
    at = capture.look().filename_name
    memory = capture.look().memory
    capture.remember((at, struct.pack("<Q", memory + 512)), (512, b"/a/file"))
    captured = capture.one(argument(c.ARGUMENT_STRING, c.FORM_FILENAME), memory)

    assert captured.data == b"/a/file"


def test_net_device(capture):
    """Its name, which has no more than 16 bytes."""
    at = capture.look().net_device_name
    memory = capture.remember((at, b"eth0\0more"))
    device = argument(c.ARGUMENT_NET_DEVICE)

    assert capture.one(device, memory).data == b"eth0"
    assert capture.one(device, 0).length == -errno.EFAULT


# ---- resolve ----


def test_resolve_follows_pointers(capture):
    """From the current task to the number of its process, and to its capabilities."""
    known = capture.look()
    tgid, capabilities = capture(
        argument(
            *(c.ARGUMENT_UINT32, c.FORM_MEMORY),
            source=c.FROM_TASK,
            steps=[(known.task_tgid, 0)],
        ),
        argument(
            c.ARGUMENT_CAP_EFFECTIVE,
            source=c.FROM_TASK,
            steps=[(known.task_cred, 1), (known.cred_cap_effective, 0)],
        ),
    )
    lines = Path("/proc/self/status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines)

    assert tgid.number == os.getpid()
    assert capabilities.number == int(status["CapEff"], 16)


@pytest.mark.parametrize("failing", range(1, 11))
def test_failing_step_is_told(capture, failing):
    """The step that met a bad address is counted from 1."""
    memory = capture.look().memory
    capture.remember((8, struct.pack("<QQ", memory, BAD_ADDRESS)))
    steps = [(8, 1)] * 10
    if failing > 1:
        steps[failing - 2] = (16, 1)
    captured = capture.one(
        argument(c.ARGUMENT_UINT64, steps=steps), memory if failing > 1 else BAD_ADDRESS
    )

    assert captured[3:] == (failing, -errno.EFAULT, b"")


def test_resolve_up_to_the_value_itself(capture):
    """Ten steps that work, then an address that does not: depth 0."""
    memory = capture.look().memory
    capture.remember((8, struct.pack("<Q", memory)))
    steps = [(8, 1)] * 9 + [(0, 1)]
    captured = capture.one(
        argument(c.ARGUMENT_UINT64, c.FORM_MEMORY, steps=steps), memory
    )

    assert captured[3:] == (0, -errno.EFAULT, b"")


# ---- the record ----


def test_only_what_is_wanted_is_captured(capture):
    """All flags of "want", none of "unwanted"; the others have no place."""
    filtered, returned = c.ARGUMENT_FILTERED, c.ARGUMENT_AT_RETURN
    wanted = [
        argument(c.ARGUMENT_UINT64, index=i, flags=flags)
        for i, flags in enumerate((0, filtered, returned, filtered | returned, 0))
    ]

    def slots(want, unwanted):
        found = capture(*wanted, raw=range(5), want=want, unwanted=unwanted)
        assert [captured.number for captured in found] == [
            captured.slot for captured in found
        ]
        return [captured.slot for captured in found]

    assert slots(filtered, returned) == [1]
    assert slots(0, filtered | returned) == [0, 4]
    assert slots(returned, 0) == [2, 3]
    assert slots(0, 0) == [0, 1, 2, 3, 4]


def test_nop_is_empty(capture):
    """A place holder has its place."""
    captured = capture.one(argument(c.ARGUMENT_NOP), 5)

    assert (captured.length, captured.data) == (0, b"")


def test_unknown_type_is_an_error(capture):
    """User space newer than the kernel side would be a mistake, not a crash."""
    captured = capture.one(argument(c.ARGUMENT_TYPE_COUNT), 5)

    assert captured.length == -errno.EOPNOTSUPP


def test_what_does_not_fit_is_left_out(capture):
    """The record is full: a long argument is missing, a short one behind it is not."""
    user, _kept = address_of(b"x" * MAX + b"\0")
    text = argument(c.ARGUMENT_STRING, c.FORM_USER)
    number = argument(c.ARGUMENT_UINT64)
    found = capture(text, text, text, text, number, raw=[user])

    assert [captured.slot for captured in found] == [0, 1, 2, 4]
    assert capture.flags == c.HOOK_ARGUMENTS_CUT
    capture(text, text, text, number, raw=[user])
    assert capture.flags == 0


def test_sixteen_arguments_to_the_last_byte(capture):
    """The largest record is full, not longer."""
    rest = c.ARGUMENTS_BYTES_MAX - 3 * (8 + MAX + 8) - 11 * 24
    texts = [b"x" * MAX] * 3 + [b"y" * (rest - 16)]
    kept = [address_of(text + b"\0") for text in texts]
    strings = [
        argument(c.ARGUMENT_STRING, c.FORM_USER, index=i) for i in range(len(texts))
    ]
    numbers = [argument(c.ARGUMENT_UINT64)] * 11
    capture(*strings, *numbers, raw=[at for at, _ in kept])

    assert capture.used == c.ARGUMENTS_BYTES_MAX - (rest - 16) % 8
    assert capture.count == 15
    assert capture.flags == 0
    found = capture(*strings, *numbers, numbers[0], raw=[at for at, _ in kept])
    assert len(found) == 15
    assert capture.flags == c.HOOK_ARGUMENTS_CUT
