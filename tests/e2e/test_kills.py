# SPDX-License-Identifier: Apache-2.0
"""Agents are killed under load: what was sent is written once or told as lost.

Processes come and go, and one makes system calls with a running number that a policy
tells. Half of the kills wait for the moment in which the agent writes.
TETRAGON_TEST_KILLS says how many kills; TETRAGON_TEST_SEED repeats a run.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from tests.e2e.agent import SLOWNESS, scaled
from tests.e2e.enforcement import write_policy
from tests.e2e.events import execs, exits, losses
from tests.e2e.kept import KeptAgent

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.events import Event

KILLS = int(os.environ.get("TETRAGON_TEST_KILLS", scaled(10, 3)))
SEED = int(os.environ.get("TETRAGON_TEST_SEED", "0")) or random.randrange(1 << 32)
STARTS_PER_SECOND = scaled(300, 20)
#: Fewer for many kills: all events are in memory at the end.
CALLS_PER_SECOND = scaled(5_000 if KILLS <= 20 else 500, 200)
#: Longer than a start takes, so that it is hit too.
LIFE_SECONDS = (0.05, 2.0 * SLOWNESS)
_POLICY = {
    "kprobes": [
        {
            "call": "sys_lseek",
            "syscall": True,
            "args": [{"index": 0, "type": "int"}, {"index": 1, "type": "int64"}],
            "selectors": [
                {"matchArgs": [{"index": 0, "operator": "Equal", "values": ["-79"]}]}
            ],
        }
    ]
}


def _kill(agent: KeptAgent, chance: random.Random) -> None:
    """Kill at a random moment, or just when it writes."""
    assert agent.export is not None
    time.sleep(chance.uniform(*LIFE_SECONDS))
    if chance.random() < 0.5:
        agent.wait_until_runs()
        size, deadline = agent.export.stat().st_size, time.monotonic() + 5
        while agent.export.stat().st_size == size and time.monotonic() < deadline:
            pass
    agent.kill()


def test_nothing_is_lost_or_doubled(tmp_path: Path, triggers: Path) -> None:
    """Written and told as lost make up what was sent; no line is there twice."""
    chance = random.Random(SEED)
    policy = write_policy(tmp_path, "numbers", _POLICY)
    calls = [str(triggers / "seek_rate"), "-79", str(CALLS_PER_SECOND)]
    starts = int(STARTS_PER_SECOND * KILLS * sum(LIFE_SECONDS) / 2) + 100
    storm_command = [str(triggers / "storm"), str(starts), "23"]
    storm_command += [str(triggers / "leave"), str(STARTS_PER_SECOND)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    print(f"\nseed {SEED}")
    with KeptAgent(tmp_path, f"--tracing-policy={policy}") as agent:
        with (
            subprocess.Popen(calls, **pipes) as caller,
            subprocess.Popen(storm_command, **pipes) as storm,
        ):
            for _ in range(KILLS):
                _kill(agent, chance)
                time.sleep(chance.choice((0, 0, chance.uniform(0, 0.5))))
                agent.start()
            agent.wait_until_runs()
            called = json.loads(caller.communicate()[0])
            stormed = json.loads(storm.communicate()[0])
        agent.settle(120)
        assert agent.stop() == 0
        events = agent.events()
        log = agent.log_path.read_text()

    lost = Counter[str]()
    for loss in losses(events):
        assert loss["cause"] == "ring_full"
        lost.update({kind: int(count) for kind, count in loss["counts"].items()})
    print(f"{called['calls']} calls, {starts} starts, {KILLS} kills, lost {dict(lost)}")
    assert "Traceback" not in log
    assert "took over" not in log
    _check_calls(events, called, lost["hook"])
    _check_starts(events, stormed, lost, str(triggers / "leave"))


def _check_calls(events: list[Event], called: dict[str, int], lost: int) -> None:
    bodies = [event["process_kprobe"] for event in events if "process_kprobe" in event]
    ours = [body for body in bodies if body["process"]["pid"] == called["pid"]]
    numbers = [int(body["args"][1].get("long_arg", 0)) for body in ours]

    assert numbers == sorted(set(numbers))
    assert len(numbers) + lost == called["calls"]
    assert {body["process"]["binary"].rpartition("/")[2] for body in ours} == {
        "seek_rate"
    }
    assert len({body["process"]["exec_id"] for body in ours}) == 1


def _check_starts(
    events: list[Event], stormed: dict[str, Any], lost: Counter[str], binary: str
) -> None:
    born, gone = execs(events, binary=binary), exits(events, binary=binary)
    born_ids = Counter(body["process"]["exec_id"] for body in born)
    gone_ids = Counter(body["process"]["exec_id"] for body in gone)

    assert set(born_ids.values()) | set(gone_ids.values()) == {1}
    assert len(born_ids) + lost["exec"] == len(stormed["children"])
    assert len(gone_ids) + lost["exit"] == len(stormed["children"])
    if not lost["exit"]:
        assert sum(body.get("status", 0) for body in gone) == stormed["sum"]
