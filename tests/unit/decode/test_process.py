# SPDX-License-Identifier: Apache-2.0
"""Records become events; a malformed one is a DecodeError and nothing else."""

from __future__ import annotations

import contextlib
import errno

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.records import (
    CHILD,
    EXEC_FIELDS,
    EXEC_NUMBERS,
    HOST,
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


def text_of(names: bytes) -> bytes:
    """The names of a cgroup as the kernel side writes them."""
    return b"".join(name + b"\0" for name in reversed(names.split(b"/")[1:]) if name)


@given(KEYS, KEYS, U32, st.none() | NAMESPACES)
def test_fork_comes_back(process, parent, nspid, namespaces):
    """Every value of a fork record is in the event."""
    data = memoryview(fork_record(process, parent, nspid, namespaces))

    assert ForkEvent(6_000, process, parent, nspid, namespaces, 3, 11) == decode_fork(
        data, 0
    )


@given(KEYS, U32, U32)
def test_exit_comes_back(process, status, tid):
    """Every value of an exit record is in the event."""
    data = memoryview(exit_record(process, status, tid))

    assert ExitEvent(6_000, process, status, tid, 3, 11) == decode_exit(data, 0)


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
    event = decode_exec(memoryview(data), 8 * before)
    texts["cwd"] = texts["cwd"] or b"/"

    assert texts == {name: getattr(event, name) for name in texts}
    assert {name: getattr(event, name) for name in EXEC_NUMBERS} == EXEC_NUMBERS
    assert (process, parent) == (event.process, event.parent)
    assert (credentials, namespaces) == (event.credentials, event.namespaces)
    assert (event.boottime_ns, event.cpu, event.sequence) == (6_000, 3, 11)
    assert event.errors is None
    assert not event.from_procfs


@given(st.lists(st.binary(min_size=1).filter(lambda name: not {0, 0x2F} & set(name))))
def test_cgroup_names_become_a_path(names):
    """The kernel side tells names from the inside out, the event has a path."""
    path = b"/" + b"/".join(names)
    data = memoryview(exec_record({"cgroup": text_of(path)}))

    assert path == decode_exec(data, 0).cgroup_path


@pytest.mark.parametrize("name", EXEC_FIELDS)
def test_unread_field_carries_its_errno(name):
    """A negative length is the errno of one field; its neighbours are as they were."""
    texts = {other: other.encode() for other in EXEC_FIELDS if other != name}
    if name != "cgroup":
        texts["cgroup"] = b"b\0a\0"
    lengths = [len(texts.get(other, b"")) for other in EXEC_FIELDS]
    lengths[EXEC_FIELDS.index(name)] = -errno.EFAULT
    event = decode_exec(memoryview(exec_record(texts, lengths=lengths)), 0)
    texts["cgroup"] = b"/" if name == "cgroup" else b"/a/b"

    assert event.errors == {name: errno.EFAULT}
    for other in EXEC_FIELDS:
        attribute = "cgroup_path" if other == "cgroup" else other

        assert texts.get(other, b"") == getattr(event, attribute)


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

    assert expected == decode_exec(memoryview(data), 0).cwd


def test_all_fields_unread():
    """A record of which no text could be read is an event still."""
    data = memoryview(exec_record(lengths=[-errno.EFAULT] * 8))
    event = decode_exec(data, 0)

    assert event.errors == dict.fromkeys(EXEC_FIELDS, errno.EFAULT)
    assert event.cgroup_path == b"/"


@pytest.mark.parametrize("name", DECODERS)
def test_every_truncation_is_an_error(name):
    """A record that ends too early is malformed, wherever it ends."""
    decode, data = DECODERS[name]
    for size in range(len(data)):
        with pytest.raises(DecodeError, match=f"{name} is cut") as raised:
            decode(memoryview(data[:size]), 0)

        assert raised.value.type == getattr(c, f"EVENT_{name.upper()}")


@pytest.mark.parametrize("name", DECODERS)
def test_record_ends_where_it_says(name):
    """A record that is too short for its type does not read into the next one."""
    decode, data = DECODERS[name]
    size = record.EVENT_EXEC.size if name == "exec" else len(data)
    for wrong in range(size):
        short = wrong.to_bytes(4, "little") + data[4:]
        with pytest.raises(DecodeError):
            decode(memoryview(short + bytes(512)), 0)


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=8, max_size=8), U32)
@example([2**31 - 1] * 8, 2**32 - 1)
@example([0] * 8, 0)
def test_lengths_are_not_believed(lengths, size):
    """Whatever the lengths say, no byte outside the record is shown."""
    data = exec_record({"filename": b"/bin/true"}, lengths=lengths, size=size)
    with contextlib.suppress(DecodeError):
        event = decode_exec(memoryview(data + b"next record" * 100), 0)

        assert (
            sum(max(length, 0) for length in lengths) + record.EVENT_EXEC.size <= size
        )
        assert size <= len(data) + 1100
        assert len(event.filename) == max(lengths[0], 0)


@given(st.binary(max_size=700), st.integers(0, 800))
@example(b"", 0)
@example(bytes(700), 0)
def test_any_bytes_give_an_event_or_a_decode_error(data, offset):
    """Nothing but DecodeError leaves a decoder, whatever the bytes are."""
    for decode, _ in DECODERS.values():
        with contextlib.suppress(DecodeError):
            decode(memoryview(data), offset)
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

    assert images == [(e.process, e.parent, e.filename) for e, _ in decoded]
    for event, is_kernel_thread in decoded:
        assert not is_kernel_thread
        assert event.from_procfs
        assert event.boottime_ns == event.process.start_boottime_ns
        assert (event.nspid, event.cgroup_id, event.namespaces) == (7, 9001, HOST)
        assert event.credentials == NO_CREDENTIALS


def test_kernel_thread_has_its_name_in_brackets():
    """A name that no file can have tells kernel threads from programs."""
    data = image_record(comm=b"kthreadd", kernel_thread=True)

    assert [(e.filename, k) for e, k in decode_images(data)] == [(b"[kthreadd]", True)]


def test_cut_image_is_left_out():
    """The iterator writes whole images; a torn last one costs only itself."""
    data = image_record(CHILD) + image_record(PARENT)[:-1]

    assert [event.process for event, _ in decode_images(data)] == [CHILD]


def test_equal_credentials_are_one_object():
    """What repeats from process to process takes memory once."""
    first, second = (decode_exec(memoryview(exec_record()), 0) for _ in range(2))

    assert first.credentials is second.credentials
    assert first.namespaces is second.namespaces
