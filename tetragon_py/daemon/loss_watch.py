# SPDX-License-Identifier: Apache-2.0
"""Looks at all loss counters at an interval and makes events of what is new."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from tetragon_py.daemon.clock import boottime_ns
from tetragon_py.events.agent import LossEvent, LossSource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tetragon_py.loader.lifecycle import LifecycleSensor
    from tetragon_py.pipeline import Output, Pipeline

__all__ = ["LossWatch"]

log = structlog.get_logger("losses")
#: Sources that one event names.
_SOURCES_SHOWN = 10


class LossWatch:
    """Kernel and user space: nothing is lost in silence."""

    def __init__(self, sensor: LifecycleSensor, pipeline: Pipeline) -> None:
        self._sensor = sensor
        self._pipeline = pipeline
        self._since_ns = boottime_ns()
        self._failed_before = 0
        self._suspects: set[int] = set()
        self._exits_lost = False
        self.total = 0
        #: Since the start: lane and cause -> records, and name of an output -> lines.
        #: Any thread may copy them.
        self.totals: dict[tuple[str, str], int] = {}
        self.dropped: dict[str, int] = {}

    def told(self) -> dict[str, Any]:
        """What was told of the kernel's counts, for `go_on` of the next agent."""
        return self._sensor.losses.told()

    def go_on(self, told: Mapping[str, Any]) -> None:
        """Go on where an earlier agent ended."""
        self._sensor.losses.go_on(told)

    def check(self) -> bool:
        """Tell what was lost since the last check; whether there was anything.

        To be called with the rings drained, so that a process which the kernel's table
        no longer has can be told from one whose exit is still to be read.
        """
        now = boottime_ns()
        events = [*self._kernel(now), *self._user_space(now)]
        for event in events:
            self.total += event.total
            place = event.lane, event.cause
            self.totals[place] = self.totals.get(place, 0) + event.total
            log.warning("events lost", cause=event.cause, **event.counts)
            self._pipeline.tell_loss(event)
        self._since_ns = now
        if self._exits_lost:
            self._heal()
        return bool(events)

    def _kernel(self, now: int) -> list[LossEvent]:
        events = []
        for losses in self._sensor.losses.read_new():
            self._exits_lost |= "exit" in losses.counts
            ranked = sorted(losses.sources.items(), key=lambda item: -item[1])
            sources = [
                LossSource(tgid, count, self._pipeline.cache.find_tgid(tgid))
                for tgid, count in ranked[:_SOURCES_SHOWN]
            ]
            place = (losses.lane, losses.cause, losses.counts)
            events.append(LossEvent(*place, self._since_ns, now, sources))
        return events

    def _user_space(self, now: int) -> list[LossEvent]:
        pipeline = self._pipeline
        causes = {"decode": {"record": pipeline.failed_count - self._failed_before}}
        self._failed_before = pipeline.failed_count
        causes["sink"] = {"line": sum(map(self._dropped_by, pipeline.outputs))}
        return [
            LossEvent("lifecycle", cause, counts, self._since_ns, now)
            for cause, counts in causes.items()
            if any(counts.values())
        ]

    def _dropped_by(self, output: Output) -> int:
        count, name = output.sink.take_dropped(), output.sink.name
        self.dropped[name] = self.dropped.get(name, 0) + count
        return count

    def _heal(self) -> None:
        """Let go of processes whose exit was lost: absent from two looks in a row."""
        cache = self._pipeline.cache
        living = set(self._sensor.living())
        absent = cache.absent(living)
        cache.forget(absent & self._suspects)
        self._suspects = absent - self._suspects
        self._exits_lost = bool(self._suspects)
