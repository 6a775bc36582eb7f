# SPDX-License-Identifier: Apache-2.0
"""Processes that live before the agent, and those that come and go while it starts."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.agent import Agent, scaled, until
from tests.e2e.events import execs, exits, one

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.events import Event


@contextlib.contextmanager
def _sleeper(*arguments: str, cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`cat` with arguments waits for its input to end."""
    command = ["cat", "-", *arguments]
    with subprocess.Popen(command, cwd=cwd, stdin=subprocess.PIPE) as process:
        until(lambda: _program(process.pid) == "cat", 10, "exec of cat")
        yield process


def _program(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def test_existing_process(tmp_path: Path) -> None:
    """A process that lives already is told once, and its end has the same exec id."""
    with (
        _sleeper("/dev/null", "/dev/null", cwd=tmp_path) as cat,
        Agent(tmp_path) as agent,
    ):
        assert cat.stdin is not None
        cat.stdin.close()
        events = agent.settle()
        told = one(execs(events, cat.pid))["process"]
        end = one(exits(events, cat.pid))["process"]

    assert told["binary"].endswith("/cat")
    assert {
        "arguments": "- /dev/null /dev/null",
        "cwd": str(tmp_path),
        "flags": "procFS",
        "exec_id": end["exec_id"],
    } == {key: told[key] for key in ("arguments", "cwd", "flags", "exec_id")}
    # The exit was told about what the scan had found.
    assert end["arguments"] == told["arguments"]


def test_exec_of_existing_process(tmp_path: Path) -> None:
    """An exec after the start has the image that the scan found as its parent."""
    script = ["/bin/sh", "-c", "read line; exec /bin/true after"]
    with (
        subprocess.Popen(script, stdin=subprocess.PIPE) as shell,
        Agent(tmp_path) as agent,
    ):
        shell.communicate(b"\n")
        events = agent.settle()
        seeded, later = execs(events, shell.pid)

    assert seeded["process"]["flags"] == "procFS"
    assert later["process"]["flags"] == "execve"
    assert later["process"]["parent_exec_id"] == seeded["process"]["exec_id"]


def test_kernel(tmp_path: Path) -> None:
    """The kernel comes first, its threads have their names in brackets."""
    with Agent(tmp_path) as agent:
        told = execs(agent.events())

    assert (told[0]["process"]["pid"], told[0]["process"]["binary"]) == (0, "<kernel>")
    kthreadd = one([body for body in told if body["process"]["pid"] == 2])
    assert kthreadd["process"]["binary"] == "[kthreadd]"
    assert kthreadd["parent"]["binary"] == "<kernel>"


def test_parents_come_first(tmp_path: Path) -> None:
    """Whoever reads from the start knows the parent of each process told later."""
    with Agent(tmp_path) as agent:
        events = agent.settle()
    known = {"", None}
    strangers = []
    for body in execs(events):
        process, parent = body["process"], body.get("parent")
        known.add(process["exec_id"])
        # a parent without an event of its own is a fork, or hidden from the agent
        if parent and parent["flags"].startswith("procFS"):
            strangers += [process] * (parent["exec_id"] not in known)

    assert strangers == []


def test_churn_during_start(tmp_path: Path, triggers: Path) -> None:
    """While thousands of processes come and go, none is lost, doubled or left over."""
    command = [triggers / "churn", triggers / "leave"]
    wanted = scaled(10_007, 1009)
    with (
        (tmp_path / "told").open("wb") as out,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out) as churn,
    ):
        try:
            with Agent(tmp_path) as agent:
                running_ns = time.time_ns()
                agent.until(lambda: len(agent.events()) > wanted, 60, "many events")
                assert churn.stdin is not None
                churn.stdin.close()
                churn.wait()
                events = agent.settle()
                left = _dead_without_exit(agent)
        finally:
            churn.kill()
    told = [json.loads(line) for line in (tmp_path / "told").read_text().splitlines()]
    late = [pid for pid, made_ns in told if made_ns > running_ns]
    born = [b for b in execs(events) if b.get("parent", {}).get("pid") == churn.pid]
    gone = [b for b in exits(events) if b.get("parent", {}).get("pid") == churn.pid]

    assert len(late) > wanted // 10
    assert late == [body["process"]["pid"] for body in born][-len(late) :]
    assert late == [body["process"]["pid"] for body in gone][-len(late) :]
    for counts in (_counts(execs(events)), _counts(exits(events))):
        assert [exec_id for exec_id, count in counts.items() if count != 1] == []
    assert _strangers(events) == []
    assert left == set()


def _counts(bodies: list[Event]) -> Counter[str]:
    """exec id -> events."""
    return Counter(body["process"]["exec_id"] for body in bodies)


def _strangers(events: list[Event]) -> list[Event]:
    """Exits of unknown processes, though each was told or forked from one that was."""
    return [body for body in exits(events) if body["process"]["flags"] == "unknown"]


def _dead_without_exit(agent: Agent) -> set[str]:
    """Exec ids whose end is not told and does not come, though the process is gone."""
    left = _dead(agent)

    def all_told() -> bool:
        left.intersection_update(_dead(agent))  # others may be ending right now
        return not left

    with contextlib.suppress(AssertionError):
        agent.until(all_told, 5, "end of all")
    return left


def _dead(agent: Agent) -> set[str]:
    events = agent.events()
    last = {b["process"]["pid"]: b["process"]["exec_id"] for b in execs(events)}
    ended = {body["process"]["exec_id"] for body in exits(events)}
    return {
        exec_id
        for pid, exec_id in last.items()
        if pid and exec_id not in ended and not Path(f"/proc/{pid}").exists()
    }


def test_start_time(tmp_path: Path, triggers: Path, record_property) -> None:
    """With 300 more processes to look at, the first event is there within 5 s."""
    sleepers = [subprocess.Popen(["sleep", "600"]) for _ in range(300)]
    try:
        agent = Agent(tmp_path)
        started = time.monotonic()
        with agent:
            first = agent.until(lambda: agent.events()[1:], 5, "first event")
            seconds = time.monotonic() - started
            told = execs(agent.events(), arguments="600")
    finally:
        for sleeper in sleepers:
            sleeper.kill()
            sleeper.wait()
    record_property("start_seconds", round(seconds, 3))

    assert "process_exec" in first[0]
    assert {s.pid for s in sleepers} <= {body["process"]["pid"] for body in told}
