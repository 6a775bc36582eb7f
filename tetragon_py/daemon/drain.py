# SPDX-License-Identifier: Apache-2.0
"""The loop that reads the ring buffers until it is told to stop, in its own thread.

A wake-up from the kernel costs the process that posted the record; so after one, the
loop waits a moment for more records and then reads all of them in one go.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from tetragon_py.daemon.clock import boottime_ns
from tetragon_py.errors import DrainError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tetragon_py.daemon.journal import Journal
    from tetragon_py.libbpf import Batch, RingBuffer
    from tetragon_py.pipeline import Pipeline

__all__ = ["Drain", "DrainThread"]

#: How long records gather after a wake-up: an event is at most this much late.
_GATHER_SECONDS = 0.005
#: Past this share of a ring there is no waiting.
_HURRY_SHARE = 8
#: While a sink is behind, its backlog is tried this often.
_RETRY_SECONDS = 0.05
_LIFECYCLE = 0  # LANE_LIFECYCLE
#: Each turn says that the loop lives: it waits no longer than this.
_TURN_SECONDS = 1.0
#: Wake-ups that one look takes out of the pipe: a byte each.
_WAKEUPS_MAX = 256
#: Of a record: struct event_header.
_HEADER_BYTES = 24
_BOOTTIME = slice(16, 24)


class Drain:
    """Reads all lanes into the pipeline.

    For one thread, which the pipeline belongs to while `run` runs; `stop`, `post` and
    what is only read may be called by others.

    Args:
        rings: One per lane, in the order of the lanes.
        pipeline: Gets each batch.
        tick: Called with the rings drained: at an interval, and at once when the
            records' numbers have a gap.
        tick_interval: Seconds.
        journal: Gets the lifecycle lane. With it a batch is not freed before its lines
            are written, unless its ring is half full: then a slow sink may lose lines
            if the agent dies.
    """

    def __init__(
        self,
        rings: tuple[RingBuffer, ...],
        pipeline: Pipeline,
        tick: Callable[[], None],
        tick_interval: float,
        journal: Journal | None = None,
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
        self._posted: deque[Callable[[], None]] = deque()
        self._latest_ns = 0
        self.is_stopping = False
        #: When the last turn was complete (time.monotonic). Without any records there
        #: is one each second; a sink that does not return from a write holds it up.
        self.last_turn = time.monotonic()
        self._journal = journal
        self._owed: dict[int, int] = {}  # lane -> position to commit

    def stop(self) -> None:
        """Make `run` return after what it is doing."""
        self.is_stopping = True
        self._wake()

    def post(self, call: Callable[[], None]) -> None:
        """Have `run` call this between two turns; the order is kept."""
        self._posted.append(call)
        self._wake()

    def take_latency_ns(self) -> int:
        """How late the latest record was dealt with since the last call."""
        latest, self._latest_ns = self._latest_ns, 0
        return latest

    def run(self) -> None:
        """Read until `stop`."""
        next_tick = time.monotonic() + self._tick_interval
        while not self.is_stopping:
            timeout = max(0.0, min(next_tick - time.monotonic(), _TURN_SECONDS))
            if not self._flush_backlogs():
                timeout = min(timeout, _RETRY_SECONDS)
            ready = self._poll.poll(timeout)
            if any(fd == self._wakeup_fd for fd, _ in ready):
                os.read(self._wakeup_fd, _WAKEUPS_MAX)
            if ready and not self.is_stopping:
                self._gather()
            gaps = self.drain()
            if gaps or time.monotonic() >= next_tick:
                self._tick()
                next_tick = time.monotonic() + self._tick_interval
            self.run_posted()
            if all(output.sink.is_broken for output in self._pipeline.outputs):
                self.is_stopping = True
            self.last_turn = time.monotonic()

    def run_posted(self) -> None:
        """Call what was posted."""
        while self._posted:
            self._posted.popleft()()

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
        # Each call into C is a chance for another thread: none without a reason.
        while ring.committed < mark and (batch := ring.peek(*ends)) is not None:
            self._pipeline.failed_count += batch.damaged
            self._pipeline.run(batch.data, batch.index, lane)
            self._settle(lane, batch)
            self._note_latency(batch.data)
            gaps += batch.gaps
            if not any(other.used_bytes for other in self._rings[1:]):
                self._pipeline.cache.sweep()  # a long flood must not pile up exits
            if batch.position >= mark:  # which may be committed later
                break
        return gaps

    # The first record of a batch has waited longest.
    def _note_latency(self, data: memoryview) -> None:
        if len(data) >= _HEADER_BYTES:
            since = int.from_bytes(data[_BOOTTIME], "little")
            self._latest_ns = max(self._latest_ns, boottime_ns() - since)

    def _wake(self) -> None:
        with suppress(BlockingIOError):  # it is full: who waits is awake
            os.write(self._wakeup_end, b"\0")

    def _settle(self, lane: int, batch: Batch) -> None:
        """Free a batch, now or when its lines are written."""
        ring = self._rings[lane]
        if self._journal is not None:
            if lane == _LIFECYCLE:
                self._journal.append(batch.position, batch.data)
            is_behind = any(o.sink.backlog_bytes for o in self._pipeline.outputs)
            if is_behind and 2 * ring.used_bytes < ring.size_bytes:
                self._owed[lane] = batch.position
                return
        self._owed.pop(lane, None)
        ring.commit(batch.position)
        if self._journal is not None and lane == _LIFECYCLE:
            self._journal.shorten(batch.position)

    def _gather(self) -> None:
        rings = self._rings
        if all(ring.used_bytes * _HURRY_SHARE < ring.size_bytes for ring in rings):
            time.sleep(_GATHER_SECONDS)

    def _flush_backlogs(self) -> bool:
        outputs = self._pipeline.outputs
        is_done = all([output.sink.flush() for output in outputs])  # noqa: C419 - each is tried
        while is_done and self._owed:
            lane, position = self._owed.popitem()
            self._rings[lane].commit(position)
        return is_done


class DrainThread:
    """Runs a drain until it is told to stop, or until it has to.

    Args:
        drain: Whose `run` it is.
        on_end: Called in its thread when it ends, for whatever reason.
    """

    def __init__(self, drain: Drain, on_end: Callable[[], None]) -> None:
        self._drain = drain
        self._on_end = on_end
        # A thread that is stuck must not keep the process.
        self._thread = threading.Thread(target=self._run, name="drain", daemon=True)
        self._error: BaseException | None = None

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self, seconds: float) -> bool:
        """Let it end its turn; whether it did so within that time. Twice is no harm.

        Raises:
            DrainError: It has ended by a failure.
        """
        self._drain.stop()
        if self._thread.ident is not None:
            self._thread.join(seconds)
        if self._error is not None:
            error, self._error = self._error, None
            said = f"{type(error).__name__}: {error}"
            raise DrainError(f"events are not read any more: {said}") from error
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._drain.run()
        except BaseException as error:  # noqa: BLE001 - raised again by who stops it
            self._error = error
        finally:
            self._on_end()
