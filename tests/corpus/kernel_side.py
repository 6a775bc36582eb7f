# SPDX-License-Identifier: Apache-2.0
"""The agent without its process: policies go into the kernel, JSON comes out.

All parts are the agent's own, put together as daemon/app.py does; so one start serves
all policies, and each is in force alone.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Self, cast

import orjson

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.plan import Plan
from tetragon_py.daemon.clock import WallClock
from tetragon_py.daemon.drain import Drain
from tetragon_py.daemon.judgement import judge
from tetragon_py.daemon.policy_names import PolicyNames
from tetragon_py.daemon.scan import scan_processes
from tetragon_py.encode.jsonl import JsonEncoder, JsonOptions
from tetragon_py.encode.timestamp import Timestamps
from tetragon_py.enrich.process_cache import ProcessCache
from tetragon_py.enrich.procfs import namespaces_of
from tetragon_py.events.hook import HookNames
from tetragon_py.libbpf import features
from tetragon_py.libbpf.btf import has_preemptible_tracepoints
from tetragon_py.loader.generation import PolicyGenerations
from tetragon_py.loader.kernel import KernelTarget
from tetragon_py.loader.lifecycle import LifecycleSensor, SensorLimits
from tetragon_py.pipeline import Output, Pipeline

if TYPE_CHECKING:
    from tetragon_py.daemon.judgement import Judgement
    from tetragon_py.export.line_sink import LineSink
    from tetragon_py.loader.generation import Switch
    from tetragon_py.policy.loaded import LoadResult

__all__ = ["EXCUSED_LOSSES", "KernelSide"]

#: Who is preempted in a program on a tracepoint keeps it from running for the next one
#: on that CPU, whoever that is: the events that a trigger has to cause decide.
EXCUSED_LOSSES = frozenset({"not_run"} if has_preemptible_tracepoints() else ())

_LIMITS = SensorLimits(
    ring_bytes=(4 << 20, 4096, 16 << 20),
    process_entries=65536,
    arguments_bytes=c.ARGUMENTS_MAX_BYTES,
    environment_bytes=0,
)


class _Lines:
    # A sink that keeps the lines.
    is_broken = False

    def __init__(self) -> None:
        self.data: list[bytes] = []

    def write(self, data: bytes, line_count: int, **_: object) -> None:
        self.data.append(data)

    def flush(self) -> bool:
        return True


class KernelSide:
    """Process events on, no policy yet. A context manager."""

    def __init__(self) -> None:
        self._undo = contextlib.ExitStack()
        self._lines = _Lines()
        self._failures: list[Exception] = []
        self.target = KernelTarget()
        names = HookNames()
        self._names = PolicyNames(names)
        options = JsonOptions(ancestors=True)
        encoder = JsonEncoder(
            "corpus", Timestamps(WallClock().offset_ns), namespaces_of(1), options
        )
        outputs = [Output(encoder, cast("LineSink", self._lines))]
        cache = ProcessCache("corpus")
        pipeline = Pipeline(cache, outputs, self._failures.append, names)
        with contextlib.ExitStack() as undo:
            self._sensor = undo.enter_context(LifecycleSensor(_LIMITS))
            self._drain = Drain(self._sensor.rings, pipeline, lambda: None, 1.0)
            undo.callback(self._drain.close)
            self._sensor.attach()
            images = self._sensor.seed()
            pipeline.seed(scan_processes(images, self._sensor.living, "/proc", 4096, 0))
            self.generations = PolicyGenerations(
                self._sensor, self.target, self._names.name_match
            )
            undo.callback(self.generations.close)
            self._undo = undo.pop_all()

    def judge(self, loaded: LoadResult) -> Judgement:
        """What the agent would say of policies; nothing is loaded."""
        return judge(loaded, self.target, features.probe)

    def apply(self, found: Judgement) -> Switch:
        """Put policies in force, alone; events from before are gone."""
        self._names.set_policies(found.policies)
        switch = self.generations.apply(found.plan)
        self.events()
        self._sensor.losses.read_new()
        return switch

    def clear(self) -> None:
        """No policy is in force any more."""
        self.generations.apply(Plan())

    def events(self) -> list[dict[str, Any]]:
        """The events since the last call."""
        self._drain.drain()
        assert self._failures == []
        lines, self._lines.data = b"".join(self._lines.data), []
        return [orjson.loads(line) for line in lines.splitlines()]

    def losses(self) -> list[str]:
        """What was lost since the last policy came into force, see EXCUSED_LOSSES."""
        return [
            f"{lost.cause} {lost.counts}"
            for lost in self._sensor.losses.read_new()
            if lost.cause not in EXCUSED_LOSSES
        ]

    def close(self) -> None:
        """Leave nothing in the kernel."""
        self._undo.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
