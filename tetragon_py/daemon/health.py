# SPDX-License-Identifier: Apache-2.0
"""How the agent does: gathered at an interval, for a heartbeat and the status file."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog

from tetragon_py import __version__
from tetragon_py.daemon.clock import boottime_ns
from tetragon_py.encode.agent_json import policy_change_object
from tetragon_py.events.agent import HeartbeatEvent
from tetragon_py.loader.losses import TYPE_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tetragon_py.daemon.drain import Drain
    from tetragon_py.daemon.loss_watch import LossWatch
    from tetragon_py.daemon.policies import PolicySet
    from tetragon_py.daemon.reload import Reloads
    from tetragon_py.daemon.status_file import StatusFile
    from tetragon_py.libbpf import RingBuffer
    from tetragon_py.pipeline import Pipeline

__all__ = ["Health", "Parts"]

log = structlog.get_logger("health")
#: A drain that has not finished a turn for so long is stuck.
_STUCK_SECONDS = 10.0
_LANES = ("lifecycle", "verdict", "policy")
_MAPPING = re.compile(rb"[0-9a-f]+-[0-9a-f]+ ")
_RING = b"anon_inode:bpf-map"


class Parts(NamedTuple):
    """Of the agent, those that have something to say."""

    drain: Drain
    rings: tuple[RingBuffer, ...]
    pipeline: Pipeline
    losses: LossWatch
    policies: PolicySet
    reloads: Reloads


class Health:
    """Looks at all parts and says it as one object. For the control side.

    What other threads change meanwhile is only read, value by value.

    Args:
        parts: Of the agent.
        file: Where the state is kept for others.
        interval: Seconds between two heartbeats; 0 if there are none.
    """

    def __init__(self, parts: Parts, file: StatusFile, interval: float) -> None:
        self._parts = parts
        self._file = file
        self._interval = interval
        self._started = time.monotonic()
        self._lost_before = 0
        self._write_error = ""

    def beat(self) -> None:
        """Tell how it is, in the event stream and in the file."""
        latency_ns = self._parts.drain.take_latency_ns()
        state = self.state("running", latency_ns)
        self._lost_before = self._parts.losses.total
        event = HeartbeatEvent(boottime_ns(), _short(state))
        pipeline = self._parts.pipeline
        self._parts.drain.post(lambda: pipeline.tell_heartbeat(event))
        self._write(state)

    def write(self, word: str = "running") -> None:
        """Bring the file up to date.

        Args:
            word: For the state: "running", "ended".
        """
        self._write(self.state(word))

    def state(self, word: str, latency_ns: int | None = None) -> dict[str, Any]:
        """All that there is to say, as JSON can have it."""
        parts = self._parts
        change, reloads = parts.policies.change, parts.reloads
        turn_seconds = time.monotonic() - parts.drain.last_turn
        drain: dict[str, Any] = {"last_turn_seconds": round(turn_seconds, 3)}
        if latency_ns is not None:
            drain["latency_max_ms"] = round(latency_ns / 1e6, 3)
        return {
            "state": word,
            "version": __version__,
            "uptime_seconds": round(time.monotonic() - self._started, 3),
            "interval_seconds": self._interval,
            "problems": list(self._problems(turn_seconds)),
            "events": _events(parts.pipeline),
            "lost": self._lost(),
            "policy": {
                "policies": change.policies,
                "hooks": change.hooks,
                "generation": change.generation,
                "digest": change.digest,
                "silent_hooks": [f"{p.kind} {p.name}" for p in parts.policies.silent],
            },
            "reloads": {
                "good": reloads.good,
                "bad": reloads.bad,
                "last": policy_change_object(reloads.last) if reloads.last else {},
            },
            "rings": {
                lane: {
                    "size_bytes": ring.size_bytes,
                    "used_bytes": ring.used_bytes,
                }
                for lane, ring in zip(_LANES, parts.rings, strict=True)
            },
            "outputs": list(self._outputs()),
            "drain": drain,
            "memory": {"rss_bytes": _rss_bytes()},
            "open_descriptors": len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - a count
        }

    def _problems(self, turn_seconds: float) -> Iterator[str]:
        parts = self._parts
        last = parts.reloads.last
        if last is not None and last.problems:
            what = "left out" if last.result == "applied" else "refused"
            first = last.problems[0]
            place = f"{first.file}:{first.line}: " if first.file else ""
            yield f"policies are {what}: {place}{first.message}"
        if parts.policies.silent:
            yield f"{len(parts.policies.silent)} hooks are attached and do not run"
        if lost := parts.losses.total - self._lost_before:
            yield f"{lost} events were lost since the last heartbeat"
        if turn_seconds > _STUCK_SECONDS:
            yield f"events are not read for {turn_seconds:.0f} s"
        for output in parts.pipeline.outputs:
            if output.sink.error:
                yield f"{output.sink.name}: {output.sink.error}"

    def _lost(self) -> dict[str, Any]:
        losses = self._parts.losses
        causes = [
            {"lane": lane, "cause": cause, "count": str(count)}
            for (lane, cause), count in sorted(losses.totals.copy().items())
        ]
        return {"total": str(losses.total), "causes": causes}

    def _outputs(self) -> Iterator[dict[str, Any]]:
        dropped = self._parts.losses.dropped
        for output in self._parts.pipeline.outputs:
            sink = output.sink
            yield {
                "name": sink.name,
                "backlog_bytes": sink.backlog_bytes,
                "written_bytes": str(sink.written_bytes),
                "dropped_lines": str(dropped.get(sink.name, 0)),
                "error": sink.error,
            }

    def _write(self, state: dict[str, Any]) -> None:
        try:
            self._file.write(state)
        except OSError as error:
            if error.strerror != self._write_error:  # not again and again
                self._write_error = error.strerror or ""
                log.warning("the status file cannot be written", error=str(error))
        else:
            self._write_error = ""


def _short(state: dict[str, Any]) -> dict[str, Any]:
    """Without the lists of the last reload, which an event of its own has told."""
    last = state["reloads"]["last"]
    counts = {key: value for key, value in last.items() if type(value) is not list}
    return {**state, "reloads": {**state["reloads"], "last": counts}}


def _events(pipeline: Pipeline) -> dict[str, str]:
    counts = {
        name: str(pipeline.event_counts[kind])
        for kind, name in sorted(TYPE_NAMES.items())
    }
    return {**counts, "failed": str(pipeline.failed_count)}


def _rss_bytes() -> int:
    """What is resident, without the mappings of the ring buffers."""
    total, is_ring = 0, False
    for line in Path("/proc/self/smaps").read_bytes().splitlines():
        if line.startswith(b"Rss:"):
            total += 0 if is_ring else int(line.split()[1])
        elif _MAPPING.match(line):
            is_ring = _RING in line
    return total * 1024
