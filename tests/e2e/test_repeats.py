# SPDX-License-Identifier: Apache-2.0
"""Enforced hits beyond what is told one by one are counted, and the count is exact."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.agent import Agent, scaled
from tests.e2e.events import execs, exits, losses, one
from tests.e2e.test_policy_start import write
from tetragon_py.abi import _generated as c

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.events import Event

CALLS = scaled(50_000, 5_000)
#: SIGURG does nothing to who does not ask for it.
SIGNALS = """
kprobes:
- call: sys_lseek
  args: [{index: 0, type: int}]
  selectors:
  - matchArgs: [{index: 0, operator: Equal, values: ["-5"]}]
    matchActions: [{action: Signal, argSig: 23}]
"""


def count_of(event: Event) -> int:
    """How many hits an event stands for."""
    return int(event.get("aggregation_info", {"count": 1})["count"])


@pytest.mark.parametrize("fields", ["standard", "extended"])
def test_every_call_is_told_or_counted(
    tmp_path: Path, triggers: Path, fields: str
) -> None:
    """Of each process what was told and what was counted make up its calls."""
    policy = write(tmp_path, "urgent", SIGNALS)
    options = ("--tracing-policy", str(policy), "--fields", fields)
    command = [str(triggers / "seeks"), "-5", str(CALLS)]
    with Agent(tmp_path, *options) as agent:
        processes = [subprocess.Popen(command) for _ in range(3)]
        pids = {process.pid for process in processes}
        assert [process.wait() for process in processes] == [0, 0, 0]
        agent.settle()
        assert agent.stop() == 0
        events = agent.events()
    assert losses(events) == []
    found = [event for event in events if "process_kprobe" in event]
    for pid in pids:
        ours = [e for e in found if e["process_kprobe"]["process"]["pid"] == pid]
        single = [e for e in ours if "aggregation_info" not in e]
        counted = [e for e in ours if "aggregation_info" in e]
        binary = one(execs(events, pid, binary=command[0]))["process"]
        assert exits(events, pid)

        assert sum(map(count_of, ours)) == CALLS
        assert c.REPEATS_TOLD <= len(single) < CALLS
        assert counted
        for event in counted:
            assert event["process_kprobe"]["process"]["exec_id"] == binary["exec_id"]
            assert event["process_kprobe"]["process"]["binary"] == command[0]
        for key in ("function_name", "policy_name", "action", "return_action"):
            assert len({event["process_kprobe"][key] for event in ours}) == 1, key
        if fields == "extended":
            hit = counted[0]["process_kprobe"]["hit"]
            assert (hit["effect"], hit["signal"]) == ("signalled", "SIGURG")
            assert hit["since"] < counted[0]["time"]


def test_what_is_counted_is_told_each_second(tmp_path: Path, triggers: Path) -> None:
    """A flood is seen while it lasts."""
    policy = write(tmp_path, "urgent", SIGNALS)
    command = [str(triggers / "seeks"), "-5", "2000000000"]
    with Agent(tmp_path, "--tracing-policy", str(policy)) as agent:
        flood = subprocess.Popen(command)
        first = agent.wait_for(lambda event: "aggregation_info" in event)
        at = len(agent.events())
        second = agent.wait_for(lambda event: "aggregation_info" in event, since=at)
        flood.kill()
        flood.wait()

        assert first["time"] < second["time"]
        assert first["process_kprobe"]["process"]["pid"] == flood.pid
        assert agent.stop() == 0
