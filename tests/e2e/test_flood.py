# SPDX-License-Identifier: Apache-2.0
"""Enforced calls at full speed on all CPUs, while processes start: all of it is told.

The calls are told one by one or counted, exactly, for each process; no exec and no exit
is lost to them.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.e2e.agent import Agent, scaled
from tests.e2e.attempts import REFUSAL
from tests.e2e.enforcement import needs_denial, write_policy
from tests.e2e.events import execs, exits, losses
from tests.e2e.test_repeats import count_of
from tetragon_py.abi import _generated as c

if TYPE_CHECKING:
    from tests.e2e.events import Event

SECONDS = scaled(10, 4)
#: Starts of processes a second; where each takes long as many as can, and fewer.
RATE = scaled(2_000, 0)
STARTS = scaled(RATE * SECONDS, 307)
#: SIGURG does nothing to who does not ask for it.
_SIGNAL = {"action": "Signal", "argSig": 23}
_DENY = {"action": "Override", "argError": -REFUSAL}


class Way(NamedTuple):
    """A call of attempt_flood, what a policy does to it, and what that is told as."""

    call: str
    action: dict[str, Any]
    effect: str

    @property
    def errors(self) -> list[str]:
        """What the calls fail with."""
        return [str(REFUSAL)] if self.effect == "denied" else []


WAYS = [
    Way("setpriority", _SIGNAL, "signalled"),
    Way("openat", _SIGNAL, "signalled"),
    pytest.param(Way("setpriority", _DENY, "denied"), marks=needs_denial),
    pytest.param(Way("openat", _DENY, "denied"), marks=needs_denial),
]


def _spec(way: Way, binary: Path) -> dict[str, Any]:
    selector: dict[str, Any] = {
        "matchBinaries": [{"operator": "In", "values": [str(binary)]}],
        "matchActions": [way.action],
    }
    hook = {"call": f"sys_{way.call}", "syscall": True, "selectors": [selector]}
    if way.call == "openat":
        hook["args"] = [{"index": 1, "type": "string"}]
        selector["matchArgs"] = [
            {"index": 1, "operator": "Postfix", "values": ["/forbidden"]}
        ]
    return {"kprobes": [hook]}


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _kprobes(events: list[Event], pid: int) -> list[Event]:
    return [
        event
        for event in events
        if event.get("process_kprobe", {}).get("process", {}).get("pid") == pid
    ]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way.call}-{way.effect}")
def test_nothing_is_lost(
    tmp_path: Path, triggers: Path, scratch: Path, way: Way
) -> None:
    """Every exec, every exit and every enforced call of ten seconds."""
    binary, leave = triggers / "attempt_flood", triggers / "leave"
    forbidden = scratch / "forbidden"
    forbidden.write_text("x")
    policy = write_policy(tmp_path, "flood", _spec(way, binary))
    flood_command = [str(binary), str(SECONDS), way.call, str(forbidden)]
    numbers = (str(STARTS), "23", str(leave), str(RATE))
    storm_command = [str(triggers / "storm"), *numbers]
    with Agent(tmp_path, "--tracing-policy", str(policy), "--fields=extended") as agent:
        used = _cpu_seconds(agent.pid)
        with subprocess.Popen(flood_command, stdout=subprocess.PIPE) as flood:
            storm = subprocess.run(storm_command, stdout=subprocess.PIPE, check=True)
            output, _ = flood.communicate()
        agent.settle(120)
        used = _cpu_seconds(agent.pid) - used
        assert agent.stop() == 0
        events = agent.events()
        totals = agent.totals()
    processes, told = json.loads(output)["processes"], json.loads(storm.stdout)
    _print_rates(way, processes, told, used)

    assert flood.returncode == 0
    assert losses(events) == []
    assert totals["lost"] == 0
    assert len(processes) == os.cpu_count()
    _check_starts(events, told)
    for process in processes:
        assert process["errors"] == dict.fromkeys(way.errors, process["calls"])
        _check_calls(_kprobes(events, process["pid"]), process["calls"], way)


def _check_starts(events: list[Event], storm: dict[str, Any]) -> None:
    """Each process of the storm began and ended once, and with its own status."""
    parents = {
        body["process"]["exec_id"]
        for body in execs(events, storm["pid"])
        if body["process"]["binary"].endswith("/storm")
    }
    assert len(parents) == 1
    [parent] = parents
    born = execs(events, parent_exec_id=parent)
    gone = exits(events, parent_exec_id=parent)
    ids = {body["process"]["exec_id"] for body in born}

    assert sorted(b["process"]["pid"] for b in born) == sorted(storm["children"])
    assert (len(born), len(ids), len(gone)) == (STARTS, STARTS, STARTS)
    assert {body["process"]["exec_id"] for body in gone} == ids
    assert sum(body.get("status", 0) for body in gone) == storm["sum"]


def _check_calls(events: list[Event], calls: int, way: Way) -> None:
    """What was told of a process and what was counted make up its calls."""
    single = [event for event in events if "aggregation_info" not in event]
    bodies = [event["process_kprobe"] for event in events]

    assert sum(map(count_of, events)) == calls
    assert c.REPEATS_TOLD <= len(single) < calls
    assert len(single) < len(events)
    assert {body["hit"]["effect"] for body in bodies} == {way.effect}
    assert len({body["process"]["exec_id"] for body in bodies}) == 1


def _print_rates(
    way: Way, processes: list[dict[str, Any]], storm: dict[str, Any], used: float
) -> None:
    """For reading with `pytest -s`."""
    calls = sum(process["calls"] for process in processes)
    print(
        f"\n{way.call} {way.effect}: {calls / SECONDS:,.0f} calls/s, "
        f"{STARTS / storm['seconds']:,.0f} exec/s, agent {used:.2f} s CPU in "
        f"{max(SECONDS, storm['seconds']):.1f} s"
    )
