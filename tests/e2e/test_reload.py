# SPDX-License-Identifier: Apache-2.0
"""300 reloads around a policy that is broken all the time: no gap, no lost event."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.attempts import REFUSAL
from tests.e2e.enforcement import needs_denial
from tests.e2e.events import losses
from tests.e2e.reloading import Reloading, policy, seek
from tests.vm.expected import guest_kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.events import Event

RELOADS = 24 if guest_kernel() else 300
FIRST = "round 0 is to come"


def refuse(path: Path, message: str) -> dict[str, Any]:
    """An LSM hook that lets nobody open a file."""
    return {
        "hook": "file_open",
        "message": message,
        "args": [{"index": 0, "type": "file"}],
        "selectors": [
            {
                "matchArgs": [{"index": 0, "operator": "Equal", "values": [str(path)]}],
                "matchActions": [{"action": "Override", "argError": -REFUSAL}],
            }
        ],
    }


@contextlib.contextmanager
def blinking(triggers: Path, *arguments: str) -> Iterator[dict[str, Any]]:
    """The trigger runs; its account is there afterwards."""
    told: dict[str, Any] = {}
    command = [str(triggers / "blink"), *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        yield told
        told.update(json.loads(process.communicate()[0]))


def rounds(agent: Reloading, change: Callable[[str], None]) -> list[Event]:
    """Reload again and again, each time in another way; the changes at the end.

    The policy that forbids changes its message, nothing changes, others come and go.
    """
    hooks = (seek(-6), seek(-5), {"call": "sys_dup3"}, {"call": "sys_mlock"})
    others = itertools.cycle(enumerate(hooks))
    names: list[str] = []
    for number in range(RELOADS):
        if number % 4 == 0:
            change(f"round {number}")
        elif number % 4 == 2:
            index, hook = next(others)
            names.append(f"other-{index}")
            policy(agent.policies, names[-1], hook)
        elif number % 4 == 3:
            (agent.policies / f"{names.pop()}.yaml").unlink()
        result = agent.reload()["result"]
        assert result == ("unchanged" if number % 4 == 1 else "applied")
    agent.settle()
    return agent.changes()


def assert_in_its_generation(bodies: list[Event], changes: list[Event]) -> None:
    """Each message is that of the set at the event's time, or of one being switched.

    A round's message comes into force between the end of the reload before and its own.
    """
    ends = [change["time"] for change in changes]
    times = {FIRST: ["", "9"]}
    last = FIRST
    for number in range(0, RELOADS, 4):
        times[last][1] = ends[number + 1]
        last = f"round {number}"
        times[last] = [ends[number], "9"]
    for body in bodies:
        begin, end = times[body["message"]]
        assert begin <= body["time"] <= end, (body, begin, end)
    assert len({body["message"] for body in bodies}) > len(times) / 2


def hits(agent: Reloading, kind: str, name: str) -> list[Event]:
    """Bodies of a policy, with their times and how many hits each stands for."""
    return [
        event[kind]
        | {"time": event["time"]}
        | {"count": int(event.get("aggregation_info", {}).get("count", 1))}
        for event in agent.events()
        if event.get(kind, {}).get("policy_name") == name
    ]


@pytest.mark.timeout(360)
def test_nobody_survives(tmp_path: Path, triggers: Path) -> None:
    """300 reloads around a policy that kills, a fresh process for each try."""
    agent = Reloading(tmp_path)

    def change(message: str) -> None:
        policy(agent.policies, "forbid", seek(-5, message, triggers / "blink"))

    change(FIRST)
    with agent:
        with blinking(triggers) as told:
            changes = rounds(agent, change)
        agent.settle()
        bodies = hits(agent, "process_kprobe", "forbid")
        assert agent.stop() == 0
        events = agent.events()

    assert (told["through"], told["others"]) == (0, 0), told
    assert told["tries"] > RELOADS
    assert len(bodies) == told["tries"]
    assert losses(events) == []
    assert {change["result"] for change in changes} == {"applied", "unchanged"}
    assert len(changes) == RELOADS + 1
    assert_in_its_generation(bodies, changes)


@needs_denial
def test_nothing_is_opened(tmp_path: Path, triggers: Path, scratch: Path) -> None:
    """The same around a policy that denies, while four threads try to open a file."""
    agent = Reloading(tmp_path)
    path = scratch / "forbidden"
    path.write_text("x")

    def change(message: str) -> None:
        policy(agent.policies, "forbid", refuse(path, message), "lsmhooks")

    change(FIRST)
    with agent:
        with blinking(triggers, str(path)) as told:
            changes = rounds(agent, change)
        agent.settle()
        assert agent.stop() == 0
        bodies = hits(agent, "process_lsm", "forbid")
        events = agent.events()

    assert (told["through"], told["others"]) == (0, 0), told
    assert told["tries"] > RELOADS
    assert sum(body["count"] for body in bodies) == told["tries"]
    assert losses(events) == []
    single = [body for body in bodies if body["count"] == 1]
    assert_in_its_generation(single, changes)
