# SPDX-License-Identifier: Apache-2.0
"""The loop: every record once, in an order that never names an unknown process."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import pytest

from tetragon_py.abi import _generated as c
from tetragon_py.daemon import drain as drain_module
from tetragon_py.daemon.clock import boottime_ns
from tetragon_py.daemon.drain import Drain, DrainThread
from tetragon_py.errors import DrainError
from tetragon_py.libbpf.ringbuf import Batch


class Ring:
    """A ring of batches; its descriptor is readable while `poke` says so."""

    def __init__(self, name: str, journal: list[Any]) -> None:
        self.name = name
        self.journal = journal
        self.fd, self._poke = os.pipe2(os.O_NONBLOCK)
        self.size_bytes = 4096
        self.produced = 0
        self.committed = 0
        self.batches: list[Batch] = []

    @property
    def used_bytes(self) -> int:
        return self.produced - self.committed

    def post(self, text: bytes, gaps: int = 0, damaged: int = 0) -> None:
        self.produced += 100
        batch = Batch(
            memoryview(text), memoryview(b""), 1, 100, gaps, damaged, self.produced
        )
        self.batches.append(batch)

    def poke(self) -> None:
        os.write(self._poke, b"x")

    def peek(self, end: int = 1 << 63) -> Batch | None:
        if not self.batches or self.batches[0].position > end:
            return None
        return self.batches.pop(0)

    def commit(self, position: int) -> None:
        self.committed = position
        self.journal.append(("commit", self.name, position))

    def close(self) -> None:
        os.close(self.fd)
        os.close(self._poke)


class Sink:
    """A sink that is behind for so many flushes."""

    def __init__(self) -> None:
        self.is_broken = False
        self.behind = 0
        self.flushes = 0

    def flush(self) -> bool:
        self.flushes += 1
        self.behind = max(0, self.behind - 1)
        return not self.behind


class Output:
    def __init__(self) -> None:
        self.sink = Sink()


class Pipeline:
    """Notes what it is given; is its own cache."""

    def __init__(self, journal: list[Any]) -> None:
        self.journal = journal
        self.outputs = [Output(), Output()]
        self.cache = self
        self.failed_count = 0
        self.on_run = lambda: None

    def run(self, data: memoryview, index: memoryview, lane: int) -> None:
        self.journal.append(("run", bytes(data), lane))
        self.on_run()

    def sweep(self) -> None:
        self.journal.append("sweep")


class Bench:
    def __init__(self, interval: float = 60.0) -> None:
        self.journal: list[Any] = []
        self.rings = tuple(Ring(name, self.journal) for name in ("life", "verd", "pol"))
        self.pipeline = Pipeline(self.journal)
        self.ticks = 0
        self.is_closed = False
        self.on_tick = lambda: None
        any_pipeline: Any = self.pipeline
        any_rings: Any = self.rings
        self.drain = Drain(any_rings, any_pipeline, self.tick, interval)

    def tick(self) -> None:
        self.ticks += 1
        self.on_tick()

    @property
    def texts(self) -> list[bytes]:
        return [entry[1] for entry in self.journal if entry[0] == "run"]

    def close(self) -> None:
        if not self.is_closed:
            self.drain.close()
        for ring in self.rings:
            ring.close()


@pytest.fixture
def bench(monkeypatch):
    """A drain over fakes; waiting costs no time, but is noted."""
    bench = Bench()
    yield bench
    bench.close()


def test_records_are_freed_after_they_are_dealt_with(bench):
    """Room is given back only when the lines of a batch are with the sinks."""
    life, verdicts, _ = bench.rings
    life.post(b"a")
    life.post(b"b")
    verdicts.post(b"v")

    assert bench.drain.drain() == 0
    assert [entry for entry in bench.journal if entry != "sweep"] == [
        *(("run", b"a", c.LANE_LIFECYCLE), ("commit", "life", 100)),
        *(("run", b"b", c.LANE_LIFECYCLE), ("commit", "life", 200)),
        *(("run", b"v", c.LANE_VERDICT), ("commit", "verd", 100)),
    ]


def test_exited_processes_stay_while_another_lane_waits(bench):
    """A record that is not read yet may name them; else they go batch by batch."""
    life, verdicts, _ = bench.rings
    verdicts.post(b"v")
    life.post(b"a")
    life.post(b"b")
    bench.drain.drain()
    first = bench.journal.index("sweep")

    assert ("commit", "verd", 100) in bench.journal[:first]
    bench.journal.clear()
    life.post(b"a")
    life.post(b"b")
    bench.drain.drain()
    assert bench.journal.count("sweep") == 3


def test_failed_batch_is_not_freed(bench):
    """If dealing with a batch raises, its records are there for the next reader."""
    bench.rings[0].post(b"a")

    def fail():
        raise MemoryError

    bench.pipeline.on_run = fail
    with pytest.raises(MemoryError):
        bench.drain.drain()

    assert bench.rings[0].committed == 0


def test_other_lanes_stop_at_their_marks(bench):
    """A record that came after the mark may name a process that is not read yet."""
    life, verdicts, _ = bench.rings
    verdicts.post(b"v1")
    life.post(b"a")

    def post_once():
        bench.pipeline.on_run = lambda: None
        verdicts.post(b"v2")
        verdicts.post(b"v3")

    bench.pipeline.on_run = post_once
    bench.drain.drain()
    assert bench.texts == [b"a", b"v1"]
    bench.drain.drain()
    assert bench.texts == [b"a", b"v1", b"v2", b"v3"]


def test_a_flood_in_one_lane_starves_no_other(bench):
    """Each lane is read as far as it was at the look, however fast others grow."""
    life, verdicts, policy = bench.rings

    def flood():
        for ring in bench.rings:
            ring.post(ring.name.encode())

    bench.pipeline.on_run = flood
    for ring in (policy, verdicts, life):
        ring.post(ring.name.encode())
    for looks in range(1, 4):
        bench.drain.drain()

        assert bench.texts.count(b"life") >= looks
        assert bench.texts.count(b"verd") >= looks
        assert bench.texts.count(b"pol") >= looks
        assert verdicts.used_bytes < verdicts.produced


def test_gaps_of_all_lanes_are_summed(bench):
    """A gap in any lane's numbers is noticed."""
    bench.rings[0].post(b"a", gaps=2)
    bench.rings[2].post(b"p", gaps=3)

    assert bench.drain.drain() == 5


def test_damaged_records_are_counted_and_freed(bench):
    """What no stage ever sees is a record that failed, and its room comes back."""
    life, _, policy = bench.rings
    life.post(b"a", damaged=2)
    policy.post(b"", damaged=3)

    assert bench.drain.drain() == 0
    assert bench.pipeline.failed_count == 5
    assert bench.texts == [b"a", b""]
    assert (life.used_bytes, policy.used_bytes) == (0, 0)


def test_run_ends_on_stop(bench):
    """`stop` ends the loop after what is being done; what is there is read."""
    bench.rings[0].post(b"a")
    bench.rings[0].poke()
    bench.pipeline.on_run = bench.drain.stop
    bench.drain.run()

    assert bench.texts == [b"a"]


def test_calls_are_made_between_turns(bench):
    """What other threads post ends a wait that would last a minute; in their order."""
    made = []
    are_made = threading.Event()
    reader = DrainThread(bench.drain, lambda: made.append("end"))
    reader.start()
    for number in range(3):
        bench.drain.post(lambda number=number: made.append(number))
    bench.drain.post(lambda: made.append(threading.current_thread().name))
    bench.drain.post(are_made.set)

    assert are_made.wait(30)
    assert reader.stop(30)
    assert made == [0, 1, 2, "drain", "end"]


def test_a_full_pipe_of_wakeups_stops_nobody(bench):
    """Whoever posts never waits."""
    for _ in range(100_000):
        bench.drain.post(lambda: None)
    bench.drain.run_posted()


def test_latency_is_that_of_the_latest_record(bench):
    """From the kernel's clock to the commit; taken once."""
    ago = boottime_ns() - 2_000_000_000
    bench.rings[0].post(bytes(16) + ago.to_bytes(8, "little"))
    bench.rings[2].post(bytes(16) + boottime_ns().to_bytes(8, "little"))
    bench.drain.drain()

    assert 2_000_000_000 <= bench.drain.take_latency_ns() < 60_000_000_000
    assert bench.drain.take_latency_ns() == 0


def test_a_failure_is_raised_by_who_stops(bench):
    """One clear line; the other side is told at once."""
    bench.rings[0].post(b"a")
    bench.rings[0].poke()

    def fail():
        raise ValueError("no such thing")

    bench.pipeline.on_run = fail
    told = threading.Event()
    reader = DrainThread(bench.drain, told.set)
    reader.start()

    assert told.wait(30)
    text = "events are not read any more: ValueError: no such thing"
    with pytest.raises(DrainError, match=text):
        reader.stop(30)
    assert reader.stop(30)


def test_a_stuck_turn_is_known(bench):
    """`stop` does not wait for ever; a turn that is not complete leaves no time."""
    bench.rings[0].post(b"a")
    bench.rings[0].poke()
    free, is_in = threading.Event(), threading.Event()

    def block():
        is_in.set()
        free.wait(30)

    bench.pipeline.on_run = block
    reader = DrainThread(bench.drain, lambda: None)
    reader.start()
    assert is_in.wait(30)
    before = bench.drain.last_turn

    assert not reader.stop(0.01)
    assert bench.drain.last_turn == before
    free.set()
    assert reader.stop(30)
    assert bench.drain.last_turn > before


def test_stopping_what_never_began(bench):
    """An agent that fails at its start has no thread yet."""
    assert DrainThread(bench.drain, lambda: None).stop(0)


def test_turns_without_records(monkeypatch):
    """A quiet drain with a long interval makes turns: who watches it sees it live."""
    monkeypatch.setattr(drain_module, "_TURN_SECONDS", 0.001)
    bench = Bench(interval=60)
    turns = []

    def sweep():
        turns.append(bench.drain.last_turn)
        if len(turns) == 4:
            bench.drain.stop()

    any_pipeline: Any = bench.pipeline
    any_pipeline.sweep = sweep
    bench.drain.run()
    bench.close()

    assert bench.ticks == 0
    assert turns == sorted(set(turns))


def test_tick_comes_at_its_interval():
    """Without any record the tick comes still."""
    bench = Bench(interval=0.001)

    def stop_at_three():
        if bench.ticks == 3:
            bench.drain.stop()

    bench.on_tick = stop_at_three
    bench.drain.run()
    bench.close()

    assert bench.ticks == 3


def test_gap_brings_the_tick_forward(bench):
    """A gap is looked into at once, not a minute later."""
    bench.rings[0].post(b"a", gaps=1)
    bench.rings[0].poke()
    bench.on_tick = bench.drain.stop
    bench.drain.run()

    assert bench.ticks == 1


def test_run_ends_when_nobody_reads(bench):
    """If every sink is broken there is nothing left to do; one reader is enough."""
    first, second = (output.sink for output in bench.pipeline.outputs)
    first.is_broken = True
    ring = bench.rings[0]
    ring.poke()

    def break_second():
        second.is_broken = True

    bench.pipeline.on_run = break_second
    ring.post(b"a")
    bench.drain.run()

    assert bench.texts == [b"a"]
    assert bench.drain.is_stopping


def test_backlogs_are_retried(bench, monkeypatch):
    """A sink that is behind is tried again soon, and so is the one beside it."""
    monkeypatch.setattr(drain_module, "_RETRY_SECONDS", 0.001)
    first, second = (output.sink for output in bench.pipeline.outputs)
    first.behind = 5
    swept = []

    def sweep():
        swept.append(1)
        if len(swept) == 4:
            bench.drain.stop()

    bench.pipeline.sweep = sweep
    bench.drain.run()

    assert first.flushes == second.flushes == 4


def test_records_gather_after_a_wakeup(bench, monkeypatch):
    """After a wake-up the loop waits a moment; not if a ring is filling up."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    bench.drain._gather()
    assert len(slept) == 1
    bench.rings[1].produced = 600  # more than an eighth of 4096
    bench.drain._gather()

    assert len(slept) == 1


def test_close_gives_back_everything(bench):
    """No descriptor is left."""
    reader, end = bench.drain._wakeup_fd, bench.drain._wakeup_end
    bench.drain.close()
    bench.is_closed = True
    for fd in (reader, end):
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(fd)
