# SPDX-License-Identifier: Apache-2.0
"""The product's kernel side in this process, with the sizes that the agent has.

For what an agent as a child process cannot tell: the stages of a change, and hits
without anybody who reads their records.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, NamedTuple, Self

from tests.bench.run_time import RunTime, programs_of, run_times, statistics_on
from tetragon_py.compiler.compilation import compile_policies
from tetragon_py.loader.generation import PolicyGenerations
from tetragon_py.loader.kernel import KernelTarget
from tetragon_py.loader.lifecycle import LifecycleSensor, SensorLimits
from tetragon_py.policy.source import load_policies
from tetragon_py.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tetragon_py.compiler.plan import Plan
    from tetragon_py.libbpf import RingBuffer
    from tetragon_py.loader.generation import Switch
    from tetragon_py.policy.loaded import LoadedPolicy

__all__ = ["Change", "KernelSide", "compile_all", "limits_of", "read_policies"]


class Change(NamedTuple):
    """One change of the policy set, and the seconds that its stages took."""

    switch: Switch
    compile_seconds: float
    apply_seconds: float

    @property
    def seconds(self) -> float:
        """All of it, but for the reading of files."""
        return self.compile_seconds + self.apply_seconds


class KernelSide:
    """Process events and a policy set that changes. A context manager."""

    def __init__(self) -> None:
        with contextlib.ExitStack() as undo:
            settings = Settings.model_validate({})
            self.sensor = undo.enter_context(LifecycleSensor(limits_of(settings)))
            self.sensor.attach()
            self.sensor.seed()
            self._target = KernelTarget()
            self._generations = PolicyGenerations(
                self.sensor, self._target, lambda *_: None
            )
            undo.callback(self._generations.close)
            self._undo = undo.pop_all()

    @property
    def rings(self) -> tuple[RingBuffer, ...]:
        """One per lane."""
        return self.sensor.rings

    def put(self, policies: Iterable[LoadedPolicy]) -> Change:
        """Put this set in force instead of the one before."""
        since = time.perf_counter()
        plan = compile_all(policies, KernelTarget())
        compiled = time.perf_counter()
        switch = self._generations.apply(plan)
        return Change(switch, compiled - since, time.perf_counter() - compiled)

    def apply(self, plan: Plan) -> float:
        """Put a plan in force; seconds."""
        since = time.perf_counter()
        self._generations.apply(plan)
        return time.perf_counter() - since

    def run_time(self, names: Iterable[str], work: Callable[[], object]) -> RunTime:
        """What programs of these names run while `work` does, all together.

        Records that are posted meanwhile are thrown away.
        """
        ids = programs_of(os.getpid())
        self._empty_rings()
        with statistics_on():
            before = run_times(ids)
            work()
            after = run_times(ids)
        self._empty_rings()
        found = [after[name].since(before[name]) for name in names]
        return RunTime(
            sum(one.total_ns for one in found), max(one.runs for one in found)
        )

    def _empty_rings(self) -> None:
        for ring in self.rings:
            while (batch := ring.peek()) is not None:
                ring.commit(batch.position)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()


def limits_of(settings: Settings) -> SensorLimits:
    """The sizes that an agent with these settings has; no environment."""
    return SensorLimits(
        ring_bytes=(
            settings.lifecycle_ring_size,
            settings.verdict_ring_size,
            settings.policy_ring_size,
        ),
        process_entries=settings.process_table_entries,
        arguments_bytes=settings.arguments_max_size,
        environment_bytes=0,
    )


def read_policies(path: Path) -> tuple[LoadedPolicy, ...]:
    """The policies of a file or directory, as the agent reads them."""
    loaded = load_policies([path], trusted=True)
    if loaded.has_errors:
        raise RuntimeError(f"a policy is wrong: {loaded.diagnostics[0]}")
    return loaded.policies


def compile_all(policies: Iterable[LoadedPolicy], target: KernelTarget) -> Plan:
    """The plan of policies that this kernel can have."""
    compiled = compile_policies(tuple(policies), target)
    if compiled.refused:
        raise RuntimeError(f"a policy is refused: {compiled.diagnostics[0]}")
    return compiled.plan
