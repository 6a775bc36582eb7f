# SPDX-License-Identifier: Apache-2.0
"""A policy goes from enforce to monitor and back, without a gap, while it is hit.

Four threads call lseek(-5) all the time. Each of their calls is either enforced or only
monitored, none is neither or both, and an event says the one that its generation does.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.bpf.lseek import events
from tests.e2e.test_policy_start import write
from tests.vm.expected import guest_kernel
from tetragon_py.abi import _generated as c
from tetragon_py.compiler.compilation import Compiler
from tetragon_py.daemon.policies import PolicySet
from tetragon_py.events.hook import HookNames
from tetragon_py.loader.generation import PolicyGenerations
from tetragon_py.loader.kernel import KernelTarget
from tetragon_py.loader.lifecycle import LifecycleSensor
from tetragon_py.loader.repeats import RepeatTable
from tetragon_py.loader.shared import SensorLimits
from tetragon_py.policy.source import load_policies
from tetragon_py.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tetragon_py.events.hook import HookEvent

SWITCHES = 20 if guest_kernel() else 100
THREADS = 4
#: Small ones: what finds no room is counted, and these are samples.
LIMITS = SensorLimits(
    ring_bytes=(1 << 24, 1 << 18, 1 << 16),
    process_entries=65536,
    arguments_bytes=8192,
    environment_bytes=0,
)
MODES = ("enforce", "monitor")
_LANES = {"enforce": c.LANE_VERDICT, "monitor": c.LANE_POLICY}
_DONE = {"enforce": c.ACTION_POST | c.ACTION_SIGNAL, "monitor": c.ACTION_POST}
#: SIGURG does nothing to who does not ask for it.
_POLICY = """
options: [{{name: policy-mode, value: {mode}}}]
kprobes:
- call: sys_lseek
  args: [{{index: 0, type: int}}]
  selectors:
  - matchArgs: [{{index: 0, operator: Equal, values: ["-5"]}}]
    matchActions: [{{action: Signal, argSig: 23}}]
"""


@pytest.fixture
def sensor() -> Iterator[LifecycleSensor]:
    with LifecycleSensor(LIMITS) as found:
        found.attach()
        found.seed()
        yield found


class ByPlan:
    """The two plans are compiled once: nothing is between two switches but these."""

    def __init__(self, sensor: LifecycleSensor, folder: Path) -> None:
        target = KernelTarget()
        compiler = Compiler(target)
        self.generations = PolicyGenerations(sensor, target, lambda *_: None)
        self._plans = {}
        for mode in MODES:
            path = write(folder / mode, "switched", _POLICY.format(mode=mode))
            found = load_policies([path], trusted=True)
            self._plans[mode] = compiler.compile(found.policies).plan

    def put(self, mode: str) -> None:
        """Put it in force."""
        self.generations.apply(self._plans[mode])

    def close(self) -> None:
        """Out of the kernel."""
        self.generations.close()


class ByFile:
    """As the agent does it: the file is another one, and the set is loaded again.

    But for waiting until somebody has read the rings, which is this one's to do.
    """

    def __init__(self, sensor: LifecycleSensor, folder: Path) -> None:
        self._folder = folder / "policies"
        settings = Settings.model_validate({"tracing_policy_dir": self._folder})
        self._set = PolicySet(settings, sensor, HookNames())

    @property
    def generations(self) -> PolicyGenerations:
        """What it puts policies in force with."""
        assert self._set.generations is not None
        return self._set.generations

    def put(self, mode: str) -> None:
        """Put it in force."""
        write(self._folder, "switched", _POLICY.format(mode=mode))
        assert self._set.load().policies == 1

    def close(self) -> None:
        """Out of the kernel."""
        self._set.close()


@pytest.mark.parametrize("way", [ByPlan, ByFile])
@pytest.mark.timeout(360)
def test_every_hit_is_enforced_or_monitored(
    sensor: LifecycleSensor,
    triggers: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: type[ByPlan | ByFile],
) -> None:
    """100 switches there and back: both counts together are the calls, exactly."""
    monkeypatch.setattr("tetragon_py.daemon.policies._READ_SECONDS", 0.0)
    modes: dict[int, str] = {}  # by generation
    seen: Counter[str] = Counter()
    wrong: list[HookEvent] = []
    turns = itertools.cycle(MODES)
    command = [str(triggers / "seek_threads"), str(THREADS)]

    def look() -> None:
        for event in _told(sensor):
            mode = modes[event.generation]
            seen[mode] += 1
            if event.lane != _LANES[mode] or _done(event) != [_DONE[mode]]:
                wrong.append(event)

    with contextlib.closing(way(sensor, tmp_path)) as policies:

        def switch() -> None:
            mode = next(turns)
            policies.put(mode)
            modes[policies.generations.generation] = mode

        switch()
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
            for _ in range(2 * SWITCHES):
                switch()
                time.sleep(0.004)
                look()
            calls = json.loads(process.communicate()[0])
        look()
        [counted] = policies.generations.counters().values()
        repeats = RepeatTable(sensor.shared.maps["repeats"]).read()

    assert min(calls) > 0
    assert counted.matched == sum(calls)
    assert counted.signalled + counted.monitored == sum(calls)
    assert min(counted.signalled, counted.monitored) > sum(calls) / 20
    assert (counted.failed, counted.limited) == (0, 0)
    assert counted.posted + counted.repeated + counted.lost == sum(calls)
    assert sum(entry.counted for entry in repeats) == counted.repeated
    assert {entry.done for entry in repeats} == {_DONE["enforce"]}
    assert wrong == []
    assert min(seen[mode] for mode in MODES) > SWITCHES
    assert len(modes) == 2 * SWITCHES + 1


def _told(sensor: LifecycleSensor) -> Iterator[HookEvent]:
    for lane in _LANES.values():
        yield from events(sensor, lane)


def _done(event: HookEvent) -> list[int]:
    return [match.done for match in event.matches]
