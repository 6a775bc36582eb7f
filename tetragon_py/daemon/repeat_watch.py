# SPDX-License-Identifier: Apache-2.0
"""Looks each second at what the kernel side has only counted, and tells what is new."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tetragon_py.daemon.clock import boottime_ns
from tetragon_py.events.hook import Match
from tetragon_py.events.process import ProcessKey
from tetragon_py.events.repeat import RepeatEvent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tetragon_py.events.process import Process
    from tetragon_py.loader.repeats import Repeat, RepeatTable
    from tetragon_py.pipeline import Pipeline

__all__ = ["RepeatWatch"]

#: Between two looks, a bit less than a second: those who call are not punctual.
_INTERVAL_NS: Final = 900_000_000
#: An entry without a hit for so long is removed.
_IDLE_NS: Final = 5_000_000_000


@dataclass(slots=True)
class _Told:
    process: Process | None  # kept, so that it is known when its exit has been told
    count: int
    since_ns: int


class RepeatWatch:
    """Enforced hits beyond those that are told one by one: none is forgotten."""

    def __init__(self, table: RepeatTable, pipeline: Pipeline) -> None:
        self._table = table
        self._pipeline = pipeline
        self._looked_ns = boottime_ns()
        #: By process and policy.
        self._told: dict[tuple[int, int], _Told] = {}
        self.total = 0

    def told(self) -> dict[tuple[int, int], int]:
        """How many hits were told, by process and policy, for `go_on`."""
        return {key: told.count for key, told in self._told.items()}

    def go_on(self, told: Mapping[tuple[int, int], int]) -> None:
        """Go on where an earlier agent ended that read the same table."""
        self._told = {
            key: _Told(None, count, self._looked_ns) for key, count in told.items()
        }

    def check(self, *, is_last: bool = False) -> None:
        """Tell what was counted since the last look, unless that was just now.

        To be called with the rings drained. A process that is not known even so has
        begun since: it is told at the next look.

        Args:
            is_last: No hit comes any more: all that there is is told.
        """
        now = boottime_ns()
        if now - self._looked_ns < _INTERVAL_NS and not is_last:
            return
        told_before, self._told = self._told, {}
        events = []
        for entry in self._table.read():
            key = entry.tgid, entry.policy
            told = told_before.get(key)
            is_new = told is None
            told = told or _Told(None, 0, self._looked_ns)
            if told.process is None:
                told.process = self._find(entry, is_patient=is_new and not is_last)
            process = told.process
            if process is None:
                self._told[key] = told
                continue
            last = entry
            if process.exited or now - entry.last_ns >= _IDLE_NS:
                last = self._table.take(entry) or entry
            else:
                self._told[key] = told
            count = last.counted - told.count
            if count > 0:
                events.append((process, _event(last, count, told.since_ns)))
                self.total += count
            told.count, told.since_ns = last.counted, now
        self._looked_ns = now
        if events:
            self._pipeline.tell_repeats(events)

    def _find(self, entry: Repeat, *, is_patient: bool) -> Process | None:
        cache = self._pipeline.cache
        key = ProcessKey(entry.start_boottime_ns, entry.tgid)
        return cache.find(key) if is_patient else cache.process_of(key)


def _event(entry: Repeat, count: int, since_ns: int) -> RepeatEvent:
    match = Match(
        entry.policy,
        entry.selector,
        entry.actions,
        entry.done,
        entry.mechanism,
        entry.error,
    )
    return RepeatEvent(entry.hook, match, count, since_ns, entry.last_ns)
