# SPDX-License-Identifier: Apache-2.0
"""Every loss is told once, and its effects are healed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.records import exec_event
from tetragon_py.daemon import loss_watch
from tetragon_py.daemon.loss_watch import LossWatch
from tetragon_py.enrich.process_cache import ProcessCache
from tetragon_py.events.process import ProcessKey
from tetragon_py.loader.losses import Losses

if TYPE_CHECKING:
    from tetragon_py.events.agent import LossEvent


class Sensor:
    """What the kernel side tells: losses that are new, processes that live."""

    def __init__(self) -> None:
        self.losses = self
        self.new: list[Losses] = []
        self.table: dict[int, int] = {}
        self.looks = 0

    def read_new(self) -> list[Losses]:
        new, self.new = self.new, []
        return new

    def living(self) -> dict[int, int]:
        self.looks += 1
        return self.table


class Pipeline:
    def __init__(self) -> None:
        self.cache = ProcessCache("node")
        self.failed_count = 0
        self.dropped = [0, 0]
        self.outputs = [
            SimpleNamespace(
                sink=SimpleNamespace(
                    name=f"sink {i}", take_dropped=lambda i=i: self.take(i)
                )
            )
            for i in range(2)
        ]
        self.told: list[LossEvent] = []

    def take(self, i: int) -> int:
        count, self.dropped[i] = self.dropped[i], 0
        return count

    def tell_loss(self, event: LossEvent) -> None:
        self.told.append(event)


class Bench:
    def __init__(self) -> None:
        self.sensor, self.pipeline = Sensor(), Pipeline()
        any_sensor: Any = self.sensor
        any_pipeline: Any = self.pipeline
        self.watch = LossWatch(any_sensor, any_pipeline)

    def lose(
        self, cause: str, counts: dict[str, int], sources=None, lane="lifecycle"
    ) -> None:
        self.sensor.new.append(Losses(lane, cause, counts, sources or {}))


@pytest.fixture
def bench(monkeypatch):
    """A watch whose clock counts its looks: 1, 2, 3..."""
    times = iter(range(1, 1000))
    monkeypatch.setattr(loss_watch, "boottime_ns", lambda: next(times))
    return Bench()


def test_nothing_lost_nothing_told(bench):
    """Without a loss there is no event, and the kernel's table is not read."""
    assert bench.watch.check() is False
    assert bench.pipeline.told == []
    assert bench.sensor.looks == 0
    assert bench.watch.total == 0


def test_kernel_losses_are_told_with_their_sources(bench):
    """Each cause is one event: between which looks, what, and by whom."""
    shell = bench.pipeline.cache.exec(exec_event(process=ProcessKey(5, 50)))
    bench.watch.check()
    bench.lose("ring_full", {"exec": 3, "fork": 4}, {50: 2, 77: 5})
    bench.lose("not_run", {"hook": 1}, lane="verdict")

    assert bench.watch.check() is True
    full, not_run = bench.pipeline.told
    assert (full.lane, full.cause, full.counts) == (
        *("lifecycle", "ring_full"),
        {"exec": 3, "fork": 4},
    )
    assert (full.since_boottime_ns, full.until_boottime_ns) == (2, 3)
    assert [(77, 5, None), (50, 2, shell)] == [
        (source.tgid, source.count, source.process) for source in full.sources
    ]
    assert (not_run.lane, not_run.sources) == ("verdict", [])
    assert bench.watch.total == 8
    assert bench.watch.check() is False
    assert len(bench.pipeline.told) == 2


def test_event_names_the_worst_sources_only(bench):
    """A crowd of processes does not make a line of any length."""
    bench.lose("ring_full", {"exec": 99}, {tgid: tgid for tgid in range(100, 150)})
    bench.watch.check()
    (event,) = bench.pipeline.told

    assert [source.tgid for source in event.sources] == list(range(149, 139, -1))


def test_user_space_losses_are_told(bench):
    """Records that could not be decoded and lines that a sink dropped are losses."""
    bench.pipeline.failed_count = 2
    bench.pipeline.dropped = [3, 4]

    assert bench.watch.check()
    assert [(event.cause, event.counts) for event in bench.pipeline.told] == [
        ("decode", {"record": 2}),
        ("sink", {"line": 7}),
    ]
    assert not bench.watch.check()
    bench.pipeline.failed_count = 3
    assert bench.watch.check()
    assert bench.pipeline.told[-1].counts == {"record": 1}
    assert bench.watch.total == 10


def test_totals_since_the_start(bench):
    """By lane and cause, and of each output: what a heartbeat tells."""
    for _ in range(2):
        bench.lose("ring_full", {"exec": 3, "fork": 4})
        bench.pipeline.dropped = [5, 0]
        bench.watch.check()

    assert bench.watch.totals == {
        ("lifecycle", "ring_full"): 14,
        ("lifecycle", "sink"): 10,
    }
    assert bench.watch.dropped == {"sink 0": 10, "sink 1": 0}


def test_lost_exits_are_healed_after_two_looks(bench):
    """A process is let go when it was absent twice: once may be a record on its way."""
    cache = bench.pipeline.cache
    for tgid in (50, 60, 70):
        cache.exec(exec_event(process=ProcessKey(tgid, tgid)))
    bench.sensor.table = {50: 50}
    bench.lose("ring_full", {"exit": 1})
    bench.watch.check()
    assert cache.find_tgid(60)
    assert cache.find_tgid(70)

    bench.sensor.table = {50: 50, 70: 70}
    bench.watch.check()
    assert cache.find_tgid(50)
    assert cache.find_tgid(60) is None
    assert cache.find_tgid(70)
    looks = bench.sensor.looks
    bench.watch.check()
    bench.watch.check()
    assert bench.sensor.looks <= looks + 1


def test_other_losses_need_no_healing(bench):
    """Only lost exits leave processes behind."""
    bench.lose("ring_full", {"exec": 1})
    bench.watch.check()

    assert bench.sensor.looks == 0
