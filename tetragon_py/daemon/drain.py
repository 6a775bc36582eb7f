# SPDX-License-Identifier: Apache-2.0
"""The loop that reads the ring buffers until it is told to stop.

A wake-up from the kernel costs the process that posted the record; so after one, the
loop waits a moment for more records and then reads all of them in one go.
"""

from __future__ import annotations

import os
import select
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tetragon_py.libbpf import RingBuffer
    from tetragon_py.pipeline import Pipeline

__all__ = ["Drain"]

#: How long records gather after a wake-up: an event is at most this much late.
_GATHER_SECONDS = 0.005
#: Past this share of a ring there is no waiting.
_HURRY_SHARE = 8
#: While a sink is behind, its backlog is tried this often.
_RETRY_SECONDS = 0.05
_LIFECYCLE = 0  # LANE_LIFECYCLE
#: Signals that one look takes out of the pipe: a byte each.
_SIGNALS_MAX = 256


class Drain:
    """Reads all lanes into the pipeline. For one thread.

    Args:
        rings: One per lane, in the order of the lanes.
        pipeline: Gets each batch.
        tick: Called with the rings drained: at an interval, and at once when the
            records' numbers have a gap.
        tick_interval: Seconds.
    """

    def __init__(
        self,
        rings: tuple[RingBuffer, ...],
        pipeline: Pipeline,
        tick: Callable[[], None],
        tick_interval: float,
    ) -> None:
        self._rings = rings
        self._pipeline = pipeline
        self._tick = tick
        self._tick_interval = tick_interval
        self._poll = select.epoll()
        for ring in rings:
            self._poll.register(ring.fd, select.EPOLLIN)
        self._wakeup_fd, self._wakeup_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll.register(self._wakeup_fd, select.EPOLLIN)
        self.is_stopping = False

    @property
    def wakeup_end(self) -> int:
        """A descriptor that ends a wait when written to (signal.set_wakeup_fd)."""
        return self._wakeup_end

    def stop(self) -> None:
        """Make `run` return after what it is doing; safe in a signal handler."""
        self.is_stopping = True

    def run(self) -> None:
        """Read until `stop`."""
        next_tick = time.monotonic() + self._tick_interval
        while not self.is_stopping:
            timeout = max(0.0, next_tick - time.monotonic())
            if not self._flush_backlogs():
                timeout = min(timeout, _RETRY_SECONDS)
            ready = self._poll.poll(timeout)
            if any(fd == self._wakeup_fd for fd, _ in ready):
                os.read(self._wakeup_fd, _SIGNALS_MAX)
            if ready and not self.is_stopping:
                self._gather()
            gaps = self.drain()
            if gaps or time.monotonic() >= next_tick:
                self._tick()
                next_tick = time.monotonic() + self._tick_interval
            if all(output.sink.is_broken for output in self._pipeline.outputs):
                self.stop()

    def drain(self) -> int:
        """Read what is there now; returns the gaps seen in the records' numbers.

        A record of another lane may name a process of the lifecycle lane, never the
        other way round: so the end of lifecycle is noted last and read first, and the
        others are read up to their own ends only.
        """
        marks = [ring.produced for ring in reversed(self._rings)]
        gaps = 0
        for lane, mark in enumerate(reversed(marks)):
            gaps += self._drain_lane(lane, mark)
        self._pipeline.cache.sweep()
        return gaps

    def close(self) -> None:
        """Give back the descriptors."""
        self._poll.close()
        os.close(self._wakeup_fd)
        os.close(self._wakeup_end)

    def _drain_lane(self, lane: int, mark: int) -> int:
        ring, gaps = self._rings[lane], 0
        ends = () if lane == _LIFECYCLE else (mark,)
        while (batch := ring.peek(*ends)) is not None:
            self._pipeline.failed_count += batch.damaged
            self._pipeline.run(batch.data, batch.index, lane)
            ring.commit(batch.position)
            gaps += batch.gaps
            if not any(other.used_bytes for other in self._rings[1:]):
                self._pipeline.cache.sweep()  # a long flood must not pile up exits
            if batch.position >= mark:
                break
        return gaps

    def _gather(self) -> None:
        rings = self._rings
        if all(ring.used_bytes * _HURRY_SHARE < ring.size_bytes for ring in rings):
            time.sleep(_GATHER_SECONDS)

    def _flush_backlogs(self) -> bool:
        outputs = self._pipeline.outputs
        return all([output.sink.flush() for output in outputs])  # noqa: C419 - each is tried
