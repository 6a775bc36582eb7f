# SPDX-License-Identifier: Apache-2.0
"""The consumer over a ring that the test writes: a file laid out as the kernel does.

tests/bpf/test_ringbuf.py has the kernel's own.
"""

from __future__ import annotations

import mmap
import os
import struct
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tetragon_py.abi.record import INDEX
from tetragon_py.errors import KernelError
from tetragon_py.libbpf.ringbuf import BUFFER_BYTES, INDEX_RECORDS, RingBuffer

if TYPE_CHECKING:
    from tetragon_py.libbpf.ringbuf import Batch

PAGE = mmap.PAGESIZE
SIZE = 4 << 20
BUSY, DISCARD = 1 << 31, 1 << 30
HEADER = struct.Struct("<IBBHQQ")


class Ring:
    """Consumer page, producer page, data (of which the second view is not used)."""

    def __init__(self, size: int = SIZE) -> None:
        self.fd = os.memfd_create("ring")
        os.ftruncate(self.fd, 2 * PAGE + 2 * size)
        self.memory = mmap.mmap(self.fd, 2 * PAGE + size)
        self.produced = 0
        self.map: Any = SimpleNamespace(name="ring", max_entries=size, fd=self.fd)
        self.readers: list[RingBuffer] = []

    def reader(self) -> RingBuffer:
        self.readers.append(RingBuffer(self.map))
        return self.readers[-1]

    def put(self, record: bytes, flags: int = 0) -> int:
        """Write one record and its 8-byte header; where that header is."""
        at = 2 * PAGE + self.produced
        self.memory[at : at + 8 + len(record)] = (
            struct.pack("<II", len(record) | flags, 0) + record
        )
        self.produced += (len(record) + 8 + 7) // 8 * 8
        self.memory[PAGE : PAGE + 8] = struct.pack("<Q", self.produced)
        return at

    def finish(self, at: int) -> None:
        """The record's writer is done: it is not busy any more."""
        (state,) = struct.unpack_from("<I", self.memory, at)
        struct.pack_into("<I", self.memory, at, state & ~BUSY)

    @property
    def consumed(self) -> int:
        return int(struct.unpack_from("<Q", self.memory)[0])

    def close(self) -> None:
        for reader in self.readers:
            reader.close()
        self.memory.close()
        os.close(self.fd)


def record(number: int, cpu: int = 0, length: int = 24, kind: int = 2) -> bytes:
    return HEADER.pack(length, kind, 0, cpu, number, 0).ljust(length, b"\xaa")


def numbers(batch: Batch | None) -> list[int]:
    """The sequence numbers of a batch, by its index."""
    assert batch is not None
    assert len(batch.index) == 8 * batch.count
    assert len(batch.data) == batch.bytes
    found = []
    for offset, kind in INDEX.iter_unpack(batch.index):
        size, type_, _, _, number, _ = HEADER.unpack_from(batch.data, offset)

        assert kind == type_
        assert offset + size <= batch.bytes
        found.append(number)
    return found


@pytest.fixture
def ring():
    found = Ring()
    yield found
    found.close()


def test_empty_ring_has_no_batch(ring):
    """Nothing posted, nothing read."""
    assert ring.reader().peek() is None


def test_batch_has_all_records_in_order(ring):
    """What was posted comes out, each with its place and type."""
    reader = ring.reader()
    for number in range(1, 12):
        ring.put(record(number, length=24 + 8 * number))
    batch = reader.peek()

    assert numbers(batch) == list(range(1, 12))
    assert batch.position == ring.produced == reader.produced
    assert reader.peek() is None


def test_room_is_given_back_by_commit_only(ring):
    """Reading frees nothing; a second reader begins where nothing is committed."""
    reader = ring.reader()
    ring.put(record(1))
    first = reader.peek()
    ring.put(record(2))
    second = reader.peek()

    assert ring.consumed == 0
    assert reader.used_bytes == ring.produced
    assert numbers(ring.reader().peek()) == [1, 2]
    reader.commit(first.position)
    assert ring.consumed == first.position
    assert numbers(ring.reader().peek()) == [2]
    reader.commit(second.position)
    assert reader.used_bytes == 0
    assert ring.reader().peek() is None


def test_busy_record_stops_the_batch(ring):
    """A record that is being written holds back all behind it: order is kept."""
    reader = ring.reader()
    ring.put(record(1))
    busy = ring.put(record(2), BUSY)
    ring.put(record(3))

    assert numbers(reader.peek()) == [1]
    assert reader.peek() is None
    ring.finish(busy)
    assert numbers(reader.peek()) == [2, 3]


def test_discarded_records_are_passed_over(ring):
    """What the kernel side took back is not seen, its room is freed."""
    reader = ring.reader()
    ring.put(record(1))
    ring.put(bytes(40), DISCARD)
    ring.put(record(2))
    ring.put(bytes(24), DISCARD)
    batch = reader.peek()

    assert numbers(batch) == [1, 2]
    assert batch.position == ring.produced


def test_only_discarded_records(ring):
    """Room of discarded records comes back with the next one at the latest."""
    reader = ring.reader()
    ring.put(bytes(24), DISCARD)

    assert reader.peek() is None
    ring.put(record(1))
    assert reader.peek().position == ring.produced


def test_batch_ends_with_its_index(ring):
    """At most so many records per batch; the next has the others."""
    reader = ring.reader()
    for number in range(1, INDEX_RECORDS + 4):
        ring.put(record(number))

    assert numbers(reader.peek()) == list(range(1, INDEX_RECORDS + 1))
    assert numbers(reader.peek()) == [INDEX_RECORDS + i for i in (1, 2, 3)]


def test_batch_ends_with_its_buffer(ring):
    """A record that does not fit begins the next batch."""
    reader = ring.reader()
    length = BUFFER_BYTES // 2 - 8
    for number in (1, 2, 3):
        ring.put(record(number, length=length))

    assert numbers(reader.peek()) == [1, 2]
    assert numbers(reader.peek()) == [3]


def test_longest_record_fills_a_batch(ring):
    """A record of just the buffer's size is read, a longer one is damage."""
    reader = ring.reader()
    ring.put(record(1, length=BUFFER_BYTES))
    first = reader.peek()

    assert numbers(first) == [1]
    assert first.damaged == 0
    ring.put(record(2, length=BUFFER_BYTES + 8))
    second = reader.peek()
    assert numbers(second) == []
    assert (second.damaged, second.position) == (1, ring.produced)
    assert reader.peek() is None


FOREIGN = [
    *(bytes(8), bytes(24), record(1)[:23], record(1) + bytes(8)),
    record(1, length=BUFFER_BYTES + 8),
]


@pytest.mark.parametrize("data", FOREIGN)
def test_foreign_record_is_counted(ring, data):
    """A record whose header does not tell its own length is none of ours."""
    reader = ring.reader()
    ring.put(data)
    batch = reader.peek()

    assert numbers(batch) == []
    assert batch.damaged == 1
    assert batch.position == ring.produced
    assert reader.peek() is None
    reader.commit(batch.position)
    assert reader.used_bytes == 0


@pytest.mark.parametrize("data", FOREIGN)
def test_foreign_record_costs_itself_only(ring, data):
    """Its neighbours are read, in their order, and it is counted once."""
    reader = ring.reader()
    ring.put(record(1))
    ring.put(data)
    ring.put(record(2))
    ring.put(data)
    ring.put(data, DISCARD)
    batch = reader.peek()

    assert numbers(batch) == [1, 2]
    assert (batch.damaged, batch.gaps) == (2, 0)
    ring.put(record(3))
    after = reader.peek()
    assert numbers(after) == [3]
    assert after.damaged == 0


def test_busy_foreign_record_is_waited_for(ring):
    """What is being written is not judged yet."""
    reader = ring.reader()
    busy = ring.put(bytes(24), BUSY)

    assert reader.peek() is None
    ring.finish(busy)
    assert reader.peek().damaged == 1


@pytest.mark.parametrize(
    ("posted", "gaps"),
    [
        ([(0, 1), (0, 2), (0, 3)], 0),
        ([(0, 1), (0, 3)], 1),
        ([(0, 5)], 0),  # the first one seen: nobody knows what was before
        ([(0, 1), (1, 1), (0, 2), (1, 2)], 0),
        ([(0, 1), (1, 7), (0, 4), (1, 8)], 2),
        ([(0, 3), (0, 2), (0, 4)], 0),
        ([(4095, 1), (4095, 3)], 1),
    ],
)
def test_gaps_are_counted_by_cpu(ring, posted, gaps):
    """A number that is missing between two of the same CPU is a gap."""
    reader = ring.reader()
    for cpu, number in posted:
        ring.put(record(number, cpu))

    assert reader.peek().gaps == gaps


def test_gap_between_batches(ring):
    """The last number is remembered from one batch to the next."""
    reader = ring.reader()
    ring.put(record(1))
    reader.peek()
    ring.put(record(4))

    assert reader.peek().gaps == 2


def test_descriptor_that_is_no_ring():
    """What cannot be mapped is an error with the map's name."""
    not_a_ring: Any = SimpleNamespace(name="x", max_entries=4096, fd=-1)
    with pytest.raises(KernelError, match="map ring buffer x: Bad file descriptor"):
        RingBuffer(not_a_ring)


def test_close_twice(ring):
    """A ring is a context manager; closing again does nothing."""
    with ring.reader() as reader:
        pass
    reader.close()


STEPS = st.sampled_from(["post", "discard", "damage", "peek", "commit", "again"])


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(24, 200), STEPS), max_size=60))
def test_each_record_is_read_once(steps):
    """In any order of posting, reading and committing: all, once, in order."""
    ring = Ring(1 << 20)
    reader = ring.reader()
    posted: list[int] = []
    read: list[int] = []
    seen: tuple[int, int] | None = None  # position, records read up to there
    committed = 0
    for length, what in steps:
        if what == "post":
            posted.append(len(posted) + 1)
            ring.put(record(posted[-1], length=length))
        elif what == "discard":
            ring.put(bytes(length), DISCARD)
        elif what == "damage":
            ring.put(bytes(length))
        elif what == "commit" and seen is not None:
            reader.commit(seen[0])
            committed = seen[1]
        elif what == "again":  # a new reader: what is not committed is there again
            reader, read, seen = ring.reader(), read[:committed], None
        elif (batch := reader.peek()) is not None:
            read += numbers(batch)
            seen = batch.position, len(read)

            assert batch.gaps == 0
    while (batch := reader.peek()) is not None:
        read += numbers(batch)
    ring.close()

    assert read == posted
