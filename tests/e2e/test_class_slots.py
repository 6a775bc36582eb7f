# SPDX-License-Identifier: Apache-2.0
"""Filters on binaries, their children and pids while the policy set changes.

Two programs call lseek(-5) all the time among thousands of idle processes. Each policy
set wants one of them, and numbers its classes as the set before numbered the other's:
a hit that read a class of another generation would be told for the wrong program.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.vm.expected import guest_kernel
from tetragon_py.abi import _generated as c
from tetragon_py.abi.record import INDEX
from tetragon_py.compiler.compilation import Compiler, compile_policies
from tetragon_py.decode.hook import decode_hook
from tetragon_py.loader.generation import PolicyGenerations
from tetragon_py.loader.kernel import KernelTarget
from tetragon_py.loader.lifecycle import LifecycleSensor
from tetragon_py.loader.shared import SensorLimits
from tetragon_py.policy.documents import load_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROCESSES, CHANGES = (300, 20) if guest_kernel() else (5000, 300)
LIMITS = SensorLimits(
    ring_bytes=(1 << 24, 4096, 1 << 24),
    process_entries=65536,
    arguments_bytes=8192,
    environment_bytes=0,
)
POLICY = """
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {{name: {name}}}
spec:
  kprobes:
  - call: sys_{call}
    args: [{{index: 0, type: int}}]
    selectors:
    - matchArgs: [{{index: 0, operator: Equal, values: ["-5"]}}]
      {filter}
"""


@contextlib.contextmanager
def seeker(binary: Path) -> Iterator[int]:
    """A program with its children; the pid of the first."""
    command = [str(binary), str(PROCESSES // 2)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
        process.communicate()


def policy_text(binary: Path, pid: int, call: str = "lseek") -> bytes:
    """All that a set asks about one program."""
    filters = {
        "binary": f"matchBinaries: [{{operator: In, values: [{binary}]}}]",
        "children": "matchBinaries: [{operator: In, followChildren: true, "
        f"values: [{binary}]}}]",
        "forks": f"matchPIDs: [{{operator: In, followForks: true, values: [{pid}]}}]",
    }
    texts = [
        POLICY.format(name=f"{call}-{name}", call=call, filter=text)
        for name, text in filters.items()
    ]
    return "---".join(texts).encode()


@pytest.fixture
def sensor() -> Iterator[LifecycleSensor]:
    with LifecycleSensor(LIMITS) as found:
        found.attach()
        yield found


def test_no_hit_is_classified_with_a_foreign_generation(sensor, triggers, tmp_path):
    """Every event is of the program that its generation wants, by all three filters."""
    binaries = [tmp_path / "one", tmp_path / "two"]
    for binary in binaries:
        shutil.copy(triggers / "seeker", binary)
    target = KernelTarget()
    with seeker(binaries[0]) as one, seeker(binaries[1]) as two:
        sensor.seed()
        parents = living_parents(sensor)
        plans = [
            compile_policies(load_text(policy_text(b, pid), "x").policies, target).plan
            for b, pid in ((binaries[0], one), (binaries[1], two))
        ]
        generations = PolicyGenerations(sensor, target, lambda *_: None)
        wrong, told = [], {0: 0, 1: 0}
        try:
            for _ in range(CHANGES):
                generations.apply(plans[generations.generation % 2])
                time.sleep(0.004)
                for event in policy_events(sensor):
                    turn = (event.generation - 1) % 2
                    told[turn] += 1
                    selectors = plans[turn].hooks[0].selectors
                    is_wanted = parents.get(event.process.tgid) == (one, two)[turn]
                    if not is_wanted or len(event.matches) != len(selectors):
                        wrong.append(event)
        finally:
            generations.close()

    assert wrong == []
    assert min(told.values()) > CHANGES / 4


def test_a_hook_that_stays_means_the_same_processes(sensor, triggers, tmp_path):
    """Its tables stay, while the classes and sets of others come, go and move."""
    binaries = [tmp_path / "one", tmp_path / "two"]
    for binary in binaries:
        shutil.copy(triggers / "seeker", binary)
    target = KernelTarget()
    compiler = Compiler(target)
    with seeker(binaries[0]) as one, seeker(binaries[1]) as two:
        sensor.seed()
        parents = living_parents(sensor)
        wanted = policy_text(binaries[0], one)
        others = [
            policy_text(binary, pid, "getpgid")
            for binary, pid in ((binaries[1], two), (tmp_path / "none", 1))
        ]
        # in turns "two" has the number that "none" had, or none
        texts = [wanted, *(b"---".join((wanted, other)) for other in others)]
        sets = [load_text(text, "x").policies for text in texts]
        generations = PolicyGenerations(sensor, target, lambda *_: None)
        wrong, told, hooks = [], 0, set()
        try:
            for _ in range(CHANGES // 2):
                plan = compiler.compile(sets[generations.generation % 3]).plan
                hooks |= {id(h) for h in plan.hooks if h.point.name == "lseek"}
                generations.apply(plan)
                time.sleep(0.004)
                for event in policy_events(sensor):
                    told += 1
                    is_wanted = parents.get(event.process.tgid) == one
                    if not is_wanted or len(event.matches) != 3:
                        wrong.append(event)
        finally:
            generations.close()

    assert wrong == []
    assert told > CHANGES / 4
    assert len(hooks) == 1


def living_parents(sensor):
    """Pid -> pid of the parent, of all in the table."""
    at = c.PROCESS_ENTRY_OFFSETS["parent"] + c.PROCESS_KEY_OFFSETS["tgid"]
    return {
        int.from_bytes(key, "little"): int.from_bytes(value[at : at + 4], "little")
        for key, value in sensor.shared.maps["processes"].items()
    }


def policy_events(sensor):
    ring, found = sensor.rings[c.LANE_POLICY], []
    end = ring.produced
    while (batch := ring.peek()) is not None:
        data = bytes(batch.data)
        found += [
            decode_hook(data, offset) for offset, _ in INDEX.iter_unpack(batch.index)
        ]
        ring.commit(batch.position)
        if batch.position >= end:
            break
    return found
