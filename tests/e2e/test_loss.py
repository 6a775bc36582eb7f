# SPDX-License-Identifier: Apache-2.0
"""Floods: nothing is lost where there is room, and nothing is lost in silence."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.e2e.agent import Agent, scaled
from tests.e2e.events import execs, exits, identity, losses

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.events import Event


def _status_sum(count: int) -> int:
    return sum(number % 100 for number in range(count))


def test_exec_storm(tmp_path: Path, triggers: Path) -> None:
    """Of 20,000 processes each exec and each exit is told once, under its parent."""
    leave, count = triggers / "leave", scaled(20011, 2003)
    with Agent(tmp_path) as agent:
        run = agent.run([triggers / "storm", str(count), "23", leave])
        born = execs(run.events, parent_exec_id=run.process["exec_id"])
        gone = exits(run.events, parent_exec_id=run.process["exec_id"])

        assert losses(run.events) == []
        assert sorted(run.told["children"]) == sorted(b["process"]["pid"] for b in born)
        assert (len(born), len(gone)) == (count, count)
        ids = {body["process"]["exec_id"] for body in born}
        assert len(ids) == count
        assert {body["process"]["exec_id"] for body in gone} == ids
        assert (
            sum(b.get("status", 0) for b in gone)
            == run.told["sum"]
            == _status_sum(count)
        )
        assert {body["parent"]["binary"] for body in born} == {f"{triggers}/storm"}
        assert agent.stop() == 0
        assert agent.totals()["lost"] == 0


def test_fork_bomb(tmp_path: Path, triggers: Path) -> None:
    """Of 10,000 forks, 2,003 alive at a time, each exit is told once."""
    count = scaled(10007, 1009)
    with Agent(tmp_path) as agent:
        run = agent.run([triggers / "bomb", str(count), str(scaled(2003, 211))])
        gone = exits(run.events, parent_exec_id=run.process["exec_id"])

        assert losses(run.events) == []
        assert (run.told["count"], len(gone)) == (count, count)
        assert len({body["process"]["exec_id"] for body in gone}) == count
        assert {body["process"]["binary"] for body in gone} == {f"{triggers}/bomb"}
        assert sum(body.get("status", 0) for body in gone) == _status_sum(count)


class Flood(NamedTuple):
    """What a storm said, what was told of it, and what of the quiet afterwards."""

    storm: Event
    events: list[Event]
    later: list[Event]

    def lost(self, kind: str) -> int:
        """Told losses of one kind of record."""
        told = losses(self.events)
        return sum(int(loss["counts"].get(kind, 0)) for loss in told)

    @property
    def noise(self) -> int:
        """Told losses for which the storm is not blamed: others run on this machine."""
        sources = [
            source for loss in losses(self.events) for source in loss.get("sources", ())
        ]
        mine = [s for s in sources if s["pid"] == self.storm["pid"]]
        total = sum(int(loss["total"]) for loss in losses(self.events))
        return total - sum(int(source["count"]) for source in mine)


@pytest.fixture(scope="module")
def flood(tmp_path_factory: pytest.TempPathFactory, triggers: Path) -> Flood:
    """2,003 execs at full speed through a ring of one page, then 23 one by one."""
    folder = tmp_path_factory.mktemp("flood")
    with Agent(folder, "--lifecycle-ring-size=4096", "--fields=extended") as agent:
        told = agent.run([triggers / "storm", "2003", "23", triggers / "leave"]).told

        def flooded() -> Flood | None:
            found = Flood(told, agent.events(), [])
            complete = all(_seen(found, kind) >= 2003 for kind in ("exec", "exit"))
            return found if complete else None

        found = agent.until(flooded, 20, "account of 2,003 execs and exits")
        assert found is not None
        events = list(found.events)

        def quiet() -> list[Event]:
            since = len(agent.events())
            for number in range(23):
                agent.run([triggers / "leave", str(number)])
            later = agent.events()[since:]
            return [] if losses(later) else later  # others can flood the ring too

        later = agent.until(quiet, 60, "recovery")
        assert agent.stop() == 0
        return Flood(told, events, later)


def _seen(flood: Flood, kind: str) -> int:
    """Records of the storm's children that arrived, and all that were lost."""
    bodies = execs(flood.events) if kind == "exec" else exits(flood.events)
    return flood.lost(kind) + sum(_is_child(body, flood.storm) for body in bodies)


def _is_child(body: Event, storm: Event) -> bool:
    pid = body["process"]["pid"]
    # of a process whose fork or exec was lost, the parent is not known, or its own fork
    parents = (storm["pid"], pid, None)
    return pid in storm["children"] and body.get("parent", {}).get("pid") in parents


@pytest.mark.parametrize("kind", ["exec", "exit"])
def test_full_ring_is_told(flood: Flood, kind: str) -> None:
    """Events and told losses add up to what happened."""
    assert len(flood.storm["children"]) == 2003
    assert flood.lost(kind) > 0
    assert 2003 <= _seen(flood, kind) <= 2003 + flood.noise


def test_loss_event(flood: Flood) -> None:
    """A loss event says how many of what were lost, when, why and by whom."""
    told = losses(flood.events)
    worst = max(told, key=lambda loss: _blamed(loss, flood.storm["pid"]))

    assert {(loss["lane"], loss["cause"]) for loss in told} == {
        ("lifecycle", "ring_full")
    }
    for loss in told:
        assert int(loss["total"]) == sum(map(int, loss["counts"].values()))
        assert loss["since"] < loss["until"]
    source = next(s for s in worst["sources"] if s["pid"] == flood.storm["pid"])
    if execs(flood.events, flood.storm["pid"]):  # its own exec was not lost
        assert source["binary"].endswith("/storm")
        assert identity(source["exec_id"])[2] == flood.storm["pid"]


def _blamed(loss: Event, pid: int) -> int:
    return sum(int(s["count"]) for s in loss.get("sources", ()) if s["pid"] == pid)


def test_gaps_show_the_loss(flood: Flood) -> None:
    """Where events are missing, the numbers of their CPU have a gap."""
    last: dict[int, int] = {}
    gaps = 0
    for event in flood.events:
        if event.get("sequence", "0") == "0":
            continue
        cpu, sequence = event["cpu"], int(event["sequence"])
        gaps += sequence - last.get(cpu, 0) - 1
        last[cpu] = sequence

    # forks have numbers too, but no event
    assert gaps >= flood.lost("exec") + flood.lost("exit")


def test_recovery(flood: Flood) -> None:
    """After the flood processes are complete again: exec, exit, parent."""
    leave = flood.later[0]["process_exec"]["process"]["binary"]
    born, gone = execs(flood.later, binary=leave), exits(flood.later, binary=leave)

    assert [body["process"]["arguments"] for body in born] == [
        str(n) for n in range(23)
    ]
    assert [body.get("status", 0) for body in gone] == list(range(23))
    assert {body["process"]["flags"] for body in born} == {"execve clone"}
    assert {body["parent"]["pid"] for body in born} == {os.getpid()}
    assert {body["parent"]["flags"] for body in born} == {"procFS"}
