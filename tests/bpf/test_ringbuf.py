# SPDX-License-Identifier: Apache-2.0
"""The consumer on the kernel's ring: wrap-around, a full ring, a second reader."""

from __future__ import annotations

import errno
import itertools
import select

import pytest

from tetragon_py.abi.record import INDEX
from tetragon_py.errors import KernelError
from tetragon_py.libbpf import RingBuffer
from tetragon_py.libbpf.ringbuf import BUFFER_BYTES

PAGE = 4096


class Ring:
    """A ring of the kernel with the programs that post to it."""

    def __init__(self, bpf_object, run) -> None:
        self.object = bpf_object
        self.map = bpf_object.maps["records"]
        self._run = run

    def post(self, number: int, length: int = 24, cpu: int = 0) -> int:
        result: int = self._run(self.object.programs["post"], length, 2, cpu, number)
        return result

    def discard(self) -> None:
        assert self._run(self.object.programs["discard"], 24, 2, 0, 0) == 0


@pytest.fixture
def ring_of(objects, run):
    """Make a ring of so many bytes."""
    opened = []

    def make(size: int) -> Ring:
        bpf_object = objects("ring")
        opened.append(bpf_object)
        bpf_object.maps["records"].set_max_entries(size)
        bpf_object.load()
        return Ring(bpf_object, run)

    yield make
    for bpf_object in opened:
        bpf_object.close()


def numbers(batch) -> list[int]:
    return [
        int.from_bytes(batch.data[offset + 8 : offset + 16], "little")
        for offset, _ in INDEX.iter_unpack(batch.index)
    ]


def test_records_arrive(ring_of):
    """What a program posts is read once, and its descriptor says that it is there."""
    ring = ring_of(PAGE)
    with RingBuffer(ring.map) as reader, select.epoll() as poll:
        poll.register(reader.fd, select.EPOLLIN)
        assert poll.poll(0) == []
        assert [ring.post(number) for number in (1, 2, 3)] == [0, 0, 0]
        assert poll.poll(1) == [(reader.fd, select.EPOLLIN)]
        batch = reader.peek()

        assert batch is not None
        assert numbers(batch) == [1, 2, 3]
        assert (batch.count, batch.gaps) == (3, 0)
        assert reader.size_bytes == PAGE
        assert reader.used_bytes == 3 * 32
        reader.commit(batch.position)
        assert reader.used_bytes == 0
        assert poll.poll(0) == []


def test_uncommitted_records_are_there_again(ring_of):
    """After a crash the next reader of the map begins at the last commit."""
    ring = ring_of(PAGE)
    for number in range(1, 6):
        ring.post(number)
    with RingBuffer(ring.map) as reader:
        batch = reader.peek()
        assert batch is not None
        reader.commit(2 * 32)
    ring.post(6)
    with RingBuffer(ring.map) as reader:
        batch = reader.peek()
        assert batch is not None
        assert numbers(batch) == [3, 4, 5, 6]


@pytest.mark.parametrize("length", [24, 40, 1000, 4072])
def test_records_across_the_end_of_the_ring(ring_of, length):
    """Many times round a small ring no record is torn: it is mapped twice."""
    ring = ring_of(2 * PAGE)
    count = 10 * 2 * PAGE // (length + 8) + 1
    with RingBuffer(ring.map) as reader:
        for number in range(1, count + 1):
            assert ring.post(number, length) == 0
            batch = reader.peek()
            assert batch is not None
            assert numbers(batch) == [number]
            assert int.from_bytes(batch.data[:4], "little") == length
            assert batch.gaps == 0
            reader.commit(batch.position)

        assert reader.produced > 9 * 2 * PAGE


def test_full_ring_refuses_until_commit(ring_of):
    """Reading makes no room, committing does; what was refused is a gap."""
    ring = ring_of(PAGE)
    posted = list(
        itertools.takewhile(lambda number: ring.post(number) == 0, itertools.count(1))
    )
    with RingBuffer(ring.map) as reader:
        first = reader.peek()
        assert first is not None
        assert numbers(first) == posted
        assert len(posted) >= PAGE // 32 - 1
        assert ring.post(1001) == -errno.EAGAIN
        reader.commit(first.position)
        assert ring.post(1002) == 0
        second = reader.peek()
        assert second is not None
        assert numbers(second) == [1002]
        assert second.gaps == 1002 - posted[-1] - 1


def test_discarded_records_are_passed_over(ring_of):
    """Room that a program gave back is skipped."""
    ring = ring_of(PAGE)
    ring.discard()
    ring.post(1)
    ring.discard()
    ring.post(2)
    with RingBuffer(ring.map) as reader:
        batch = reader.peek()
        assert batch is not None
        assert numbers(batch) == [1, 2]
        reader.commit(batch.position)
        assert reader.used_bytes == 0


def test_long_records(ring_of):
    """A record of a whole batch is read; a longer one cannot be, and is counted."""
    ring = ring_of(4 << 20)
    with RingBuffer(ring.map) as reader:
        ring.post(1, BUFFER_BYTES)
        ring.post(2)
        for expected in (1, 2):
            batch = reader.peek()
            assert batch is not None
            assert numbers(batch) == [expected]
        ring.post(3, BUFFER_BYTES + 8)
        ring.post(4)
        batch = reader.peek()
        assert batch is not None
        assert numbers(batch) == [4]
        assert batch.damaged == 1
        reader.commit(batch.position)
        assert reader.used_bytes == 0


def test_other_maps_are_no_rings(objects):
    """A map that is no ring buffer cannot be mapped as one."""
    with objects("maps") as bpf_object:
        bpf_object.load()
        with pytest.raises(KernelError, match="map ring buffer numbers"):
            RingBuffer(bpf_object.maps["numbers"])
