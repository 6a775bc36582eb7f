# SPDX-License-Identifier: Apache-2.0
"""Lines arrive whole and in order, or are dropped whole and counted."""

from __future__ import annotations

import errno
import os

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tetragon_py.export import line_sink
from tetragon_py.export.line_sink import LineSink


class Descriptor:
    """Stands for a descriptor: takes so many bytes, then fails with `error`."""

    def __init__(self, room: int | None = None, error: int = errno.EAGAIN) -> None:
        self.room = room  # None: without end
        self.error = error
        self.at_once = 1 << 30
        self.received = bytearray()
        self.calls = 0

    def write(self, _fd: int, data: memoryview) -> int:
        self.calls += 1
        count = min(len(data), self.at_once)
        if self.room is not None:
            count = min(count, self.room)
            if not count:
                raise OSError(self.error, os.strerror(self.error))
            self.room -= count
        self.received += data[:count]
        return count


@pytest.fixture
def small(monkeypatch):
    """A backlog of 20 bytes."""
    monkeypatch.setattr(line_sink, "BACKLOG_MAX_BYTES", 20)


def sink_of(descriptor: Descriptor) -> LineSink:
    return LineSink(os.open(os.devnull, os.O_WRONLY), "test", descriptor.write)


def test_one_write_per_batch():
    """All lines of a batch go out in one system call."""
    descriptor = Descriptor()
    sink = sink_of(descriptor)
    sink.write(b"a\nb\n", 2)
    sink.write(b"c\n", 1)

    assert descriptor.received == b"a\nb\nc\n"
    assert descriptor.calls == 2
    assert sink.written_bytes == 6
    assert sink.backlog_bytes == 0
    assert sink.flush()


def test_partial_writes_are_completed():
    """A descriptor that takes a byte at a time gets everything in one call of ours."""
    descriptor = Descriptor()
    descriptor.at_once = 1
    sink = sink_of(descriptor)
    sink.write(b"abc\nd\n", 2)

    assert descriptor.received == b"abc\nd\n"


def test_slow_reader_gets_the_rest_later():
    """What is not taken waits, in its order, behind what came before."""
    descriptor = Descriptor(room=3)
    sink = sink_of(descriptor)
    sink.write(b"one\ntwo\n", 2)
    sink.write(b"three\n", 1)

    assert descriptor.received == b"one"
    assert sink.backlog_bytes == 11
    assert not sink.flush()
    assert sink.error == ""
    descriptor.room = None
    assert sink.flush()
    assert descriptor.received == b"one\ntwo\nthree\n"
    assert sink.take_dropped() == 0
    assert sink.written_bytes == 14


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_full_disk_is_told_and_healed(error):
    """An error is told while it lasts; nothing is lost as long as the backlog holds."""
    descriptor = Descriptor(room=2, error=error)
    sink = sink_of(descriptor)
    sink.write(b"one\n", 1)

    assert sink.error == os.strerror(error)
    assert not sink.is_broken
    descriptor.room = None
    sink.write(b"two\n", 1)
    assert descriptor.received == b"one\ntwo\n"
    assert sink.error == ""


def test_reader_that_went_away():
    """Without a reader nothing is tried again; the lines are dropped and counted."""
    descriptor = Descriptor(room=0, error=errno.EPIPE)
    sink = sink_of(descriptor)
    sink.write(b"one\n", 1)
    calls = descriptor.calls
    sink.write(b"two\n", 1)

    assert sink.is_broken
    assert sink.error == "nobody reads it any more"
    assert calls == descriptor.calls
    sink.close()
    assert sink.take_dropped() == 2


def test_full_backlog_drops_the_oldest(small):
    """When the backlog is full the oldest batch goes, whole."""
    descriptor = Descriptor(room=0)
    sink = sink_of(descriptor)
    for batch in (b"a1\na2\n", b"b1\nb2\n", b"c1\nc2\n", b"d1\nd2\n", b"e1\n"):
        sink.write(batch, batch.count(b"\n"))

    assert sink.backlog_bytes <= 20
    descriptor.room = None
    sink.flush()
    assert descriptor.received == b"c1\nc2\nd1\nd2\ne1\n"
    assert sink.take_dropped() == 4
    assert sink.take_dropped() == 0


def test_spare_lines_go_first(small):
    """Lines of a lane that may be spared go before all others."""
    descriptor = Descriptor(room=0)
    sink = sink_of(descriptor)
    sink.write(b"keep1\n", 1)
    sink.write(b"spare1\n", 1, spare=True)
    sink.write(b"keep2\n", 1)
    sink.write(b"spare2\n", 1, spare=True)
    sink.write(b"keep3\n", 1)
    descriptor.room = None
    sink.flush()

    assert descriptor.received == b"keep1\nkeep2\nkeep3\n"
    assert sink.take_dropped() == 2


def test_kept_lines_go_last(small):
    """What tells of losses is dropped only when all else has been."""
    descriptor = Descriptor(room=0)
    sink = sink_of(descriptor)
    sink.write(b"keep1\n", 1, keep=True)
    sink.write(b"line1\n", 1)
    sink.write(b"spare\n", 1, spare=True)
    sink.write(b"keep2\n", 1, keep=True)
    sink.write(b"line2\n", 1)
    assert sink.take_dropped() == 2
    sink.write(b"keep3\n", 1, keep=True)
    assert sink.take_dropped() == 1
    sink.write(b"keep4\n", 1, keep=True)
    assert sink.take_dropped() == 1
    descriptor.room = None
    sink.flush()

    assert descriptor.received == b"keep2\nkeep3\nkeep4\n"


def test_kept_line_that_is_too_new_to_go(small):
    """A plain line that comes when only kept ones wait is the one to go."""
    descriptor = Descriptor(room=0)
    sink = sink_of(descriptor)
    for text in (b"keep1\n", b"keep2\n", b"keep3\n"):
        sink.write(text, 1, keep=True)
    sink.write(b"line1\n", 1)
    descriptor.room = None
    sink.flush()

    assert descriptor.received == b"keep1\nkeep2\nkeep3\n"
    assert sink.take_dropped() == 1


def test_line_that_is_begun_is_completed(small):
    """A line of which the start is out is kept, even if it alone is too long."""
    descriptor = Descriptor(room=3)
    sink = sink_of(descriptor)
    sink.write(b"a" * 30 + b"\nb\nc\n", 3, spare=True)
    sink.write(b"d\n", 1)
    descriptor.room = None
    sink.flush()

    assert descriptor.received == b"a" * 30 + b"\n"
    assert sink.take_dropped() == 3


def test_rest_of_a_begun_batch_can_go(small):
    """Behind the begun line a batch is as any other: it goes when it is the oldest."""
    descriptor = Descriptor(room=5)
    sink = sink_of(descriptor)
    sink.write(b"aa\nbb\ncc\ndd\n", 4)  # "bb" is begun
    sink.write(b"0123456789abcdef\n", 1)
    descriptor.room = None
    sink.flush()

    assert descriptor.received == b"aa\nbb\n0123456789abcdef\n"
    assert sink.take_dropped() == 2


def test_lines_written_before_a_drop_are_not_counted(small):
    """Of a batch that was partly written only the rest is dropped."""
    descriptor = Descriptor(room=6)
    sink = sink_of(descriptor)
    sink.write(b"aa\nbb\ncc\n", 3)
    sink.write(b"0123456789abcdefgh\n", 1)

    assert sink.take_dropped() == 1


def test_close_counts_what_is_left():
    """What cannot be written at the end is dropped and counted."""
    descriptor = Descriptor(room=4)
    sink = sink_of(descriptor)
    sink.write(b"one\ntwo\n", 2)
    fd = sink.fd
    sink.close()
    sink.close()

    assert sink.take_dropped() == 1
    assert sink.backlog_bytes == 0
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(fd)


def test_close_writes_what_it_can():
    """A backlog that fits at the end is not lost."""
    descriptor = Descriptor(room=0)
    sink = sink_of(descriptor)
    sink.write(b"one\n", 1)
    descriptor.room = None
    sink.close()

    assert descriptor.received == b"one\n"
    assert sink.take_dropped() == 0


def test_true_descriptor():
    """Without a function of its own a sink writes to its descriptor."""
    reader, writer = os.pipe2(os.O_NONBLOCK)
    sink = LineSink(writer, "pipe")
    sink.write(b"one\n", 1)

    assert os.read(reader, 100) == b"one\n"
    os.close(reader)
    sink.write(b"two\n", 1)
    assert sink.is_broken
    sink.close()


LINES = st.lists(st.integers(0, 30), min_size=1, max_size=4)


class Sink(RuleBasedStateMachine):
    """Any order of writes, flushes, slow readers and full disks."""

    def __init__(self) -> None:
        super().__init__()
        self.monkeypatch = pytest.MonkeyPatch()
        self.monkeypatch.setattr(line_sink, "BACKLOG_MAX_BYTES", 80)
        self.descriptor = Descriptor(room=0)
        self.sink = sink_of(self.descriptor)
        self.given: list[bytes] = []
        self.dropped = 0

    @rule(lengths=LINES, spare=st.booleans(), keep=st.booleans())
    def write(self, lengths, spare, keep):
        lines = [
            b"%d:%b\n" % (len(self.given) + i, b"x" * length)
            for i, length in enumerate(lengths)
        ]
        self.given += lines
        self.sink.write(b"".join(lines), len(lines), spare=spare, keep=keep)

    @rule(room=st.integers(0, 60), error=st.sampled_from([errno.EAGAIN, errno.ENOSPC]))
    def make_room(self, room, error):
        self.descriptor.room = room
        self.descriptor.error = error

    @rule(at_once=st.integers(1, 20))
    def take_less_at_once(self, at_once):
        self.descriptor.at_once = at_once

    @rule()
    def flush(self):
        assert self.sink.flush() == (self.sink.backlog_bytes == 0)

    @rule()
    def count(self):
        self.dropped += self.sink.take_dropped()

    @precondition(lambda self: not self.sink.is_broken)
    @rule()
    def break_pipe(self):
        self.descriptor.room, self.descriptor.error = 0, errno.EPIPE

    def arrived(self) -> list[bytes]:
        """Whole lines only."""
        return bytes(self.descriptor.received).splitlines(keepends=True)

    @invariant()
    def lines_are_a_subsequence(self):
        whole = self.arrived()
        if whole and not whole[-1].endswith(b"\n"):
            start = whole.pop()
            if not self.sink.is_broken:  # else nobody sees the half line
                rest = bytes(self.sink._backlog[0].data)
                assert start + rest[: rest.index(b"\n") + 1] in self.given
        numbers = [int(line.partition(b":")[0]) for line in whole]

        assert numbers == sorted(set(numbers))
        assert whole == [self.given[number] for number in numbers]

    @invariant()
    def backlog_is_bounded(self):
        waiting = self.sink._backlog

        assert self.sink.backlog_bytes == sum(len(batch.data) for batch in waiting)
        assert self.sink.backlog_bytes <= 80 or len(waiting) == 1

    @invariant()
    def nothing_is_lost_in_silence(self):
        self.dropped += self.sink.take_dropped()
        waiting = sum(batch.line_count for batch in self.sink._backlog)
        written = self.descriptor.received.count(b"\n")

        assert written + waiting + self.dropped == len(self.given)

    def teardown(self):
        if not self.sink.is_broken:
            self.descriptor.room = None
            assert self.sink.flush()
            assert bytes(self.descriptor.received[-1:]) in {b"", b"\n"}
        self.sink.close()
        self.dropped += self.sink.take_dropped()
        written = self.descriptor.received.count(b"\n")

        assert written + self.dropped == len(self.given)
        self.monkeypatch.undo()


Sink.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestSink = Sink.TestCase


def test_terminal_that_is_gone_is_broken():
    """After a hang-up of its terminal nobody reads: the sink says so."""
    ours, terminal = os.openpty()
    sink = LineSink(terminal, "terminal")
    os.close(ours)
    sink.write(b"line\n", 1)
    broken, left = sink.is_broken, sink.flush()
    sink.close()

    assert (broken, left) == (True, True)
    assert sink.take_dropped() == 1
