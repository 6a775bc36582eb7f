# SPDX-License-Identifier: Apache-2.0
"""Records become events; a malformed one is a DecodeError and nothing else."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.records import (
    CHILD,
    EXEC_FIELDS,
    EXEC_NUMBERS,
    HOST,
    IMAGE_NUMBERS,
    IMAGE_TEXTS,
    NO_CREDENTIALS,
    PARENT,
    exec_record,
    exit_record,
    fork_record,
    image_record,
)
from tetragon_py.abi import _generated as c
from tetragon_py.abi import record
from tetragon_py.decode.process import (
    decode_exec,
    decode_exit,
    decode_fork,
    decode_images,
)
from tetragon_py.errors import DecodeError
from tetragon_py.events.process import (
    Credentials,
    ExecEvent,
    ExitEvent,
    ForkEvent,
    Namespaces,
    ProcessKey,
)

DECODERS = {
    "fork": (decode_fork, fork_record()),
    "exec": (decode_exec, exec_record({"filename": b"/bin/true", "tty": b"pts0"})),
    "exit": (decode_exit, exit_record()),
}
U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
KEYS = st.builds(ProcessKey, U64, U32)
NAMESPACES = st.builds(Namespaces, *[U32] * 10)
CREDENTIALS = st.builds(Credentials, *[U32] * 10, *[U64] * 5)


def text_of(event: ExecEvent, name: str) -> bytes:
    """A variable field, wherever in the event it is."""
    name = "cgroup_path" if name == "cgroup" else name
    text: bytes = getattr(event if name in ExecEvent._fields else event.image, name)
    return text


def names_of(path: bytes) -> bytes:
    """A cgroup's path as the kernel side writes it."""
    return b"".join(name + b"\0" for name in reversed(path.split(b"/")[1:]) if name)


@given(KEYS, KEYS, U32, st.none() | NAMESPACES)
def test_fork_comes_back(process, parent, nspid, namespaces):
    """Every value of a fork record is in the event."""
    data = fork_record(process, parent, nspid, namespaces)

    event = decode_fork(data, 0)

    assert ForkEvent(6_000, process, parent, nspid, namespaces, 3, 11) == event
    assert type(event) is ForkEvent
    assert type(event.process) is type(event.parent) is ProcessKey


@given(KEYS, U32, U32)
def test_exit_comes_back(process, status, tid):
    """Every value of an exit record is in the event."""
    data = exit_record(process, status, tid)

    event = decode_exit(data, 0)

    assert ExitEvent(6_000, process, status, tid, 3, 11) == event
    assert (type(event), type(event.process)) == (ExitEvent, ProcessKey)


@given(
    st.fixed_dictionaries(
        {name: st.binary(max_size=40) for name in EXEC_FIELDS if name != "cgroup"}
    ),
    KEYS,
    KEYS,
    CREDENTIALS,
    NAMESPACES,
    st.integers(0, 3),
)
def test_exec_comes_back(texts, process, parent, credentials, namespaces, before):
    """Every field is cut out at its place, wherever in the batch the record is."""
    data = bytes(8 * before) + exec_record(
        texts,
        process=process,
        parent=parent,
        credentials=credentials,
        namespaces=namespaces,
    )
    event = decode_exec(data, 8 * before)
    image = event.image
    texts["cwd"] = texts["cwd"] or b"/"

    assert texts == {name: text_of(event, name) for name in texts}
    assert {name: getattr(event, name) for name in EXEC_NUMBERS} == EXEC_NUMBERS
    assert {name: getattr(image, name) for name in IMAGE_NUMBERS} == IMAGE_NUMBERS
    assert (process, parent) == (event.process, event.parent)
    assert (type(event), type(event.process)) == (ExecEvent, ProcessKey)
    assert type(event.parent) is ProcessKey
    assert (credentials, namespaces) == (image.credentials, image.namespaces)
    assert (event.boottime_ns, event.cpu, event.sequence) == (6_000, 3, 11)
    assert event.errors is image.errors is None
    assert not event.from_procfs
    assert not image.is_kernel


@given(st.lists(st.binary(min_size=1).filter(lambda name: not {0, 0x2F} & set(name))))
def test_cgroup_names_become_a_path(names):
    """The kernel side tells names from the inside out, the event has a path."""
    path = b"/" + b"/".join(names)
    data = exec_record({"cgroup": names_of(path)})

    assert path == decode_exec(data, 0).image.cgroup_path


@pytest.mark.parametrize("name", EXEC_FIELDS)
def test_unread_field_carries_its_errno(name):
    """A negative length is the errno of one field; its neighbours are as they were."""
    texts = {other: other.encode() for other in EXEC_FIELDS if other != name}
    if name != "cgroup":
        texts["cgroup"] = b"b\0a\0"
    lengths = [len(texts.get(other, b"")) for other in EXEC_FIELDS]
    lengths[EXEC_FIELDS.index(name)] = -errno.EFAULT
    event = decode_exec(exec_record(texts, lengths=lengths), 0)
    texts["cgroup"] = b"/" if name == "cgroup" else b"/a/b"
    errors = {name: errno.EFAULT}

    assert event.image.errors == (errors if name in IMAGE_TEXTS else None)
    assert event.errors == (None if name in IMAGE_TEXTS else errors)
    for other in EXEC_FIELDS:
        assert texts.get(other, b"") == text_of(event, other)


@pytest.mark.parametrize(
    ("cwd", "flags", "length", "expected"),
    [
        (b"", 0, None, b"/"),
        (b"", c.PATH_CUT, None, b""),
        (b"", 0, -errno.EFAULT, b""),
        (b"/a", 0, None, b"/a"),
    ],
)
def test_root_directory_has_a_name(cwd, flags, length, expected):
    """The way up to the root has no names; a path that failed has none either."""
    lengths = [0] * 8
    lengths[3] = len(cwd) if length is None else length
    data = exec_record({"cwd": cwd}, lengths=lengths, cwd_flags=flags)

    assert expected == decode_exec(data, 0).image.cwd


def test_all_fields_unread():
    """A record of which no text could be read is an event still."""
    event = decode_exec(exec_record(lengths=[-errno.EFAULT] * 8), 0)

    assert event.image.errors == dict.fromkeys(IMAGE_TEXTS, errno.EFAULT)
    assert event.errors == dict.fromkeys(EXEC_FIELDS[len(IMAGE_TEXTS) :], errno.EFAULT)
    assert event.image.cgroup_path == b"/"


@pytest.mark.parametrize("name", DECODERS)
def test_every_truncation_is_an_error(name):
    """A record that ends too early is malformed, wherever it ends."""
    decode, data = DECODERS[name]
    for size in range(len(data)):
        with pytest.raises(DecodeError, match=f"{name} is cut") as raised:
            decode(data[:size], 0)

        assert raised.value.type == getattr(c, f"EVENT_{name.upper()}")


@pytest.mark.parametrize("name", DECODERS)
def test_record_ends_where_it_says(name):
    """A record that is too short for its type does not read into the next one."""
    decode, data = DECODERS[name]
    size = c.EVENT_EXEC_SIZE if name == "exec" else len(data)
    for wrong in range(size):
        short = wrong.to_bytes(4, "little") + data[4:]
        with pytest.raises(DecodeError):
            decode(short + bytes(512), 0)


@pytest.mark.parametrize("image_bytes", range(c.IMAGE_SIZE + len(b"/bin/truepts0")))
def test_image_ends_where_it_says(image_bytes):
    """An image that is too short for its fields takes none from the arguments."""
    texts = {"filename": b"/bin/true", "tty": b"pts0", "arguments": b"true\0" * 100}
    data = exec_record(texts, image_bytes=image_bytes)
    with pytest.raises(DecodeError, match="image is cut") as raised:
        decode_exec(data, 0)

    assert raised.value.type == c.EVENT_EXEC


LENGTHS = st.integers(-300, 300) | st.integers(-(2**31), 2**31 - 1)
SIZES = st.integers(0, 1500) | U32


@given(st.lists(LENGTHS, min_size=8, max_size=8), SIZES, SIZES)
@example([2**31 - 1] * 8, 2**32 - 1, 2**32 - 1)
@example([0] * 8, c.IMAGE_SIZE, 0)
@example([0] * 8, c.IMAGE_SIZE, c.EVENT_EXEC_SIZE)
@example([9, *[0] * 5, 7, 0], c.IMAGE_SIZE + 9, c.EVENT_EXEC_SIZE + 16)
@example([0] * 8, 2**32 - 1, c.EVENT_EXEC_SIZE)
@example([9] * 8, 1000, 88 + 1018)
def test_lengths_are_not_believed(lengths, image_bytes, size):
    """Whatever the lengths say, no byte outside the record is shown."""
    data = exec_record(
        {"filename": b"/bin/true"}, lengths=lengths, image_bytes=image_bytes, size=size
    )
    with contextlib.suppress(DecodeError):
        event = decode_exec(data + b"next record" * 100, 0)
        shown = [max(length, 0) for length in lengths]

        assert c.IMAGE_SIZE + sum(shown[:6]) <= image_bytes
        assert record.EXEC_HEAD.size + image_bytes + sum(shown[6:]) <= size
        assert size <= len(data) + 1100
        assert len(event.image.filename) == shown[0]
        assert [len(event.arguments), len(event.environment)] == shown[6:]


@given(st.binary(max_size=700), st.integers(0, 800))
@example(b"", 0)
@example(bytes(700), 0)
def test_any_bytes_give_an_event_or_a_decode_error(data, offset):
    """Nothing but DecodeError leaves a decoder, whatever the bytes are."""
    for decode, _ in DECODERS.values():
        with contextlib.suppress(DecodeError):
            decode(data, offset)
    list(decode_images(data))


@given(
    st.lists(
        st.tuples(KEYS, KEYS, st.binary(max_size=15).filter(lambda t: b"\0" not in t))
    )
)
def test_images_come_back(images):
    """Each process that the iterator tells is one event, in its order."""
    data = b"".join(image_record(*image) for image in images)
    decoded = list(decode_images(data))

    assert [image[:2] for image in images] == [(e.process, e.parent) for e in decoded]
    for event in decoded:
        image = event.image
        assert not image.is_kernel
        assert not image.is_shared  # the scan adds to it
        assert image.filename == b""  # the name that it gave itself is no path
        assert event.from_procfs
        assert event.boottime_ns == event.process.start_boottime_ns
        assert (event.nspid, image.cgroup_id, image.namespaces) == (7, 9001, HOST)
        assert image.credentials == NO_CREDENTIALS


def test_kernel_thread_has_its_name_in_brackets():
    """What the kernel says, not a name, tells kernel threads from programs."""
    data = image_record(comm=b"kthreadd", kernel_thread=True)
    data += image_record(comm=b"[kthreadd]")

    assert [(e.image.filename, e.image.is_kernel) for e in decode_images(data)] == [
        (b"[kthreadd]", True),
        (b"", False),
    ]


def test_cut_image_is_left_out():
    """The iterator writes whole images; a torn last one costs only itself."""
    data = image_record(CHILD) + image_record(PARENT)[:-1]

    assert [event.process for event in decode_images(data)] == [CHILD]


def test_equal_credentials_are_one_object():
    """What repeats from process to process takes memory once."""
    texts = [{"filename": b"/bin/a"}, {"filename": b"/bin/b"}]
    first, second = (decode_exec(exec_record(each), 0).image for each in texts)

    assert first is not second
    assert first.credentials is second.credentials
    assert first.namespaces is second.namespaces


def test_equal_images_are_one_object():
    """Processes that run the same share it, whatever is their own."""
    texts = {"filename": b"/bin/a", "cwd": b"/tmp"}
    first = exec_record(texts | {"arguments": b"a\0"}, nspid=1, flags=0)
    other = ProcessKey(9_000, 99)
    second = exec_record(
        texts | {"arguments": b"b\0"}, process=other, arguments_bytes=2
    )
    events = [decode_exec(first, 0), decode_exec(bytes(8) + second, 8)]

    assert events[0].image is events[1].image
    assert events[0].image.is_shared
    assert [event.arguments for event in events] == [b"a\0", b"b\0"]
    assert [event.process for event in events] == [CHILD, other]


@pytest.mark.parametrize("name", [*IMAGE_TEXTS, *IMAGE_NUMBERS, "uid", "net"])
def test_other_images_are_other_objects(name):
    """A difference in any field, also where the bytes are the same, is seen."""
    texts = dict.fromkeys(IMAGE_TEXTS, b"ab\0")
    changes: dict[str, Any] = {name: 2}
    if name in IMAGE_TEXTS:
        changes = {"texts": texts | {name: b"ac\0"}}
    elif name == "uid":
        changes = {"credentials": NO_CREDENTIALS._replace(uid=1)}
    elif name == "net":
        changes = {"namespaces": HOST._replace(net=1)}
    first = decode_exec(exec_record(texts), 0).image
    second = decode_exec(exec_record(**{"texts": texts, **changes}), 0).image

    assert first is not second
    assert dataclasses.astuple(first) != dataclasses.astuple(second)


def test_texts_do_not_move_between_fields():
    """The same bytes with another border are another image."""
    texts = [
        {"filename": b"/a", "interpreter": b"/b"},
        {"filename": b"/a/", "interpreter": b"b"},
    ]
    images = [decode_exec(exec_record(each), 0).image for each in texts]

    assert texts == [
        {"filename": image.filename, "interpreter": image.interpreter}
        for image in images
    ]


@pytest.mark.parametrize("extra", [0, 1])
def test_long_images_are_not_remembered(extra):
    """A workload with long paths cannot fill the memory; its images are right still."""
    length = 1024 - c.IMAGE_SIZE + extra
    texts = {"filename": b"/" + b"a" * (length - 1)}
    first, second = (decode_exec(exec_record(texts), 0).image for _ in range(2))

    assert (first is second) == first.is_shared == second.is_shared == (extra == 0)
    assert dataclasses.astuple(first) == dataclasses.astuple(second)
    assert first.filename == texts["filename"]


def test_padding_is_not_shown():
    """What fills a record up to eight bytes belongs to no field."""
    event = decode_exec(exec_record({"arguments": b"a\0", "environment": b"B=1\0"}), 0)

    assert (event.arguments, event.environment) == (b"a\0", b"B=1\0")
