# SPDX-License-Identifier: Apache-2.0
"""Each count is told once, of the right process, whatever becomes of both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.records import CHILD, exec_event, exit_event
from tetragon_py.daemon import repeat_watch
from tetragon_py.daemon.repeat_watch import RepeatWatch
from tetragon_py.enrich.process_cache import ProcessCache
from tetragon_py.events.hook import Match
from tetragon_py.events.process import ProcessKey
from tetragon_py.events.repeat import RepeatEvent
from tetragon_py.loader.repeats import Repeat

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tetragon_py.events.process import Process

SECOND = 1_000_000_000
AGAIN = ProcessKey(7_000, CHILD.tgid)


class Bench:
    """A kernel that counts, a clock that is set, and what is told."""

    def __init__(self) -> None:
        self.now = 0
        self.entries: dict[tuple[int, int], Repeat] = {}
        self.late = 0  # hits between the read and the removal
        self.cache = ProcessCache("node")
        self.told: list[tuple[Process, RepeatEvent]] = []
        self.writes = 0
        bench: Any = self
        self.watch = RepeatWatch(bench, bench)

    def hit(self, counted: int, key: ProcessKey = CHILD, policy: int = 5) -> None:
        old = self.entries.get((key.tgid, policy))
        if old is None:
            old = Repeat(
                *(key.tgid, policy, self.now, 0, key.start_boottime_ns),
                *(100, 0, 9, 1, 0x11, 0x11, 0, 0),
            )
        assert old.start_boottime_ns == key.start_boottime_ns
        self.entries[key.tgid, policy] = old._replace(
            counted=old.counted + counted, last_ns=self.now
        )

    def look(self, seconds: float = 1.0, *, is_last: bool = False) -> list[int]:
        """What is told of it."""
        self.now += int(seconds * SECOND)
        at = len(self.told)
        self.watch.check(is_last=is_last)
        return [event.hits for _, event in self.told[at:]]

    # ---- the table and the pipeline ----

    def read(self) -> list[Repeat]:
        return list(self.entries.values())

    def take(self, entry: Repeat) -> Repeat | None:
        found = self.entries.pop((entry.tgid, entry.policy), None)
        return found and found._replace(counted=found.counted + self.late)

    def tell_repeats(self, events: Iterable[tuple[Process, RepeatEvent]]) -> None:
        self.told += events
        self.writes += 1


@pytest.fixture
def bench(monkeypatch):
    found = Bench()
    monkeypatch.setattr(repeat_watch, "boottime_ns", lambda: found.now)
    found.cache.exec(exec_event())
    found.watch._looked_ns = 0
    return found


def test_what_is_new_is_told_once(bench):
    """The difference to the look before; nothing where nothing came."""
    bench.hit(0)
    assert bench.look() == []
    bench.hit(7)
    assert bench.look() == [7]
    assert bench.look() == []
    bench.hit(3)
    bench.hit(4)
    assert bench.look() == [7]
    [(process, event), _] = bench.told

    assert process.key == CHILD
    assert event == RepeatEvent(
        9, Match(5, 1, 0x11, 0x11, 0, 0), 7, 1 * SECOND, 1 * SECOND
    )
    assert bench.watch.total == 14


def test_each_second(bench):
    """Looks that come sooner, because something was lost, tell nothing."""
    bench.hit(1)

    assert bench.look(0.5) == []
    assert bench.look(0.3) == []
    assert bench.look(0.15) == [1]
    bench.hit(2)
    assert bench.look(0.1) == []
    assert bench.look(0.1, is_last=True) == [2]


def test_time_between(bench):
    """From the look before to the last hit."""
    bench.look()
    bench.hit(5)
    bench.look()
    bench.now += SECOND // 2
    bench.hit(5)
    bench.look(0.5)
    spans = [(e.since_boottime_ns, e.until_boottime_ns) for _, e in bench.told]

    assert spans == [(1 * SECOND, 1 * SECOND), (2 * SECOND, 5 * SECOND // 2)]


def test_processes_and_policies_are_told_apart(bench):
    """One event each, in one write."""
    bench.cache.exec(exec_event(process=ProcessKey(6_000, 60)))
    bench.hit(1)
    bench.hit(2, policy=6)
    bench.hit(3, ProcessKey(6_000, 60))

    assert bench.look() == [1, 2, 3]
    assert [(p.key.tgid, e.match.policy) for p, e in bench.told] == [
        *((42, 5), (42, 6), (60, 5)),
    ]
    assert bench.writes == 1


def test_idle_entries_are_removed(bench):
    """After some seconds without a hit; what came since the read is told."""
    bench.hit(7)
    for _ in range(4):
        bench.look()
    assert bench.entries
    bench.late = 2

    assert bench.look() == [2]
    assert not bench.entries
    bench.late = 0
    bench.hit(5)
    assert bench.look() == [5]
    assert bench.watch.total == 14


def test_entries_of_the_dead_are_removed(bench):
    """At once, with what they had counted: the number may come again."""
    bench.hit(7)
    bench.look()
    bench.hit(1)
    bench.cache.exit(exit_event())

    assert bench.look() == [1]
    assert not bench.entries
    assert bench.told[-1][0].known


def test_another_image_has_its_own_count(bench):
    """After an exec, and after the number came again for another process."""
    bench.hit(7)
    bench.look()
    bench.cache.exec(exec_event(process=AGAIN))
    bench.look()
    assert not bench.entries
    bench.hit(2, AGAIN)

    assert bench.look() == [2]
    assert [process.key for process, _ in bench.told] == [CHILD, AGAIN]


def test_a_process_whose_exec_is_still_to_be_read(bench):
    """It is told at the next look, with its name."""
    bench.hit(7, ProcessKey(6_000, 60))
    assert bench.look() == []
    bench.cache.exec(exec_event(process=ProcessKey(6_000, 60)))
    bench.hit(1, ProcessKey(6_000, 60))

    assert bench.look() == [8]
    process, event = bench.told[0]
    assert process.known
    assert event.since_boottime_ns == 0


def test_a_process_that_nobody_knows(bench):
    """It does not get a name, and its hits are told still."""
    unknown_count = bench.cache.unknown_count
    bench.hit(7, ProcessKey(6_000, 60))
    assert bench.look() == []
    assert bench.look() == [7]
    assert bench.look() == []
    bench.hit(1, ProcessKey(6_000, 60))
    assert bench.look() == [1]

    assert [process.known for process, _ in bench.told] == [False, False]
    assert bench.cache.unknown_count == unknown_count + 1


def test_a_process_stays_known(bench):
    """Also if so many others exit that the cache lets go of it."""
    bench.hit(1)
    bench.look()
    bench.hit(2)
    bench.cache.exit(exit_event())
    bench.cache._retired.clear()

    assert bench.look() == [2]
    assert bench.told[-1][0] is bench.told[0][0]


def test_the_last_look_waits_for_nobody(bench):
    """At the end there is no next one."""
    bench.hit(7, ProcessKey(6_000, 60))

    assert bench.look(0.1, is_last=True) == [7]


def test_an_entry_that_somebody_else_removed(bench):
    """What was read of it counts."""
    bench.hit(7)
    bench.look()
    bench.hit(1)
    bench.cache.exit(exit_event())
    bench.take = lambda _: None

    assert bench.look() == [1]
