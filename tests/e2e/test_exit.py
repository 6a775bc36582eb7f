# SPDX-License-Identifier: Apache-2.0
"""How processes end: each exactly once, with the status that wait(2) tells."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.agent import Agent, scaled
from tests.e2e.events import execs, exits, losses, one

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.events import Event


@pytest.mark.parametrize("status", [0, 1, 23, 255])
def test_status(agent: Agent, triggers: Path, status: int) -> None:
    """The exit status is told, and left out when it is 0."""
    run = agent.run([triggers / "leave", str(status)])

    assert (run.status, run.exit.get("status", 0)) == (status, status)
    assert ("status" in run.exit, "signal" in run.exit) == (status != 0, False)


@pytest.mark.parametrize("name", ["SIGHUP", "SIGKILL", "SIGTERM", "SIGALRM", "SIGSYS"])
def test_signal(agent: Agent, triggers: Path, name: str) -> None:
    """A process that a signal ended has its name and no status."""
    number = int(signal.Signals[name])
    run = agent.run([triggers / "die", str(number)])

    assert run.status == -number
    assert (run.exit["signal"], "status" in run.exit) == (name, False)


def test_realtime_signal(agent: Agent, triggers: Path) -> None:
    """Real-time signals are counted from the first one."""
    run = agent.run([triggers / "die", str(int(signal.SIGRTMIN) + 3)])

    # the C library keeps the first two for itself
    assert run.exit["signal"] in {"SIGRTMIN+3", "SIGRTMIN+5"}


def test_core_dump(agent: Agent, triggers: Path, scratch: Path) -> None:
    """A dumped core is told by a key of its own; the signal has its plain name."""

    def allow() -> None:
        with contextlib.suppress(ValueError):  # not every root may raise it
            resource.setrlimit(resource.RLIMIT_CORE, (1 << 24, 1 << 24))

    command = [str(triggers / "die"), str(int(signal.SIGSEGV))]
    process = subprocess.Popen(command, cwd=scratch, preexec_fn=allow)  # noqa: PLW1509 - one thread
    _, status = os.waitpid(process.pid, 0)
    process.returncode = -os.WTERMSIG(status)  # subprocess would hide the other bit
    end = one(exits(agent.settle(), process.pid, arguments=command[1]))

    assert (process.returncode, end["signal"]) == (-signal.SIGSEGV, "SIGSEGV")
    assert end.get("core_dumped", False) == os.WCOREDUMP(status)


def test_no_core_dump(agent: Agent, triggers: Path) -> None:
    """Without a core there is no such key."""

    def forbid() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(4)[1]))

    command = [str(triggers / "die"), str(int(signal.SIGSEGV))]
    run = agent.run(command, preexec_fn=forbid)

    assert (run.exit["signal"], "core_dumped" in run.exit) == ("SIGSEGV", False)


def test_leader_first(agent: Agent, triggers: Path) -> None:
    """A process whose first thread ended early ends once, as its last thread says."""
    run = agent.run([triggers / "leader_first"])

    assert (run.status, run.exit["status"]) == (7, 7)
    assert run.exit["process"]["exec_id"] == run.process["exec_id"]


def test_threads_are_no_processes(agent: Agent, triggers: Path) -> None:
    """Threads come and go without events."""
    run = agent.run([triggers / "threads", "1", "23"])
    mine = exits(run.events, parent_exec_id=run.process["exec_id"])

    assert _statuses(mine) == run.told["statuses"]
    assert len(execs(run.events, binary=f"{triggers}/threads")) == 1


def test_all_threads_at_once(tmp_path: Path, triggers: Path) -> None:
    """1,009 processes whose 8 threads end at the same moment end exactly once each."""
    with Agent(tmp_path) as agent:
        count = scaled(1009, 101)
        run = agent.run([triggers / "threads", str(count), "8"])
        mine = exits(run.events, parent_exec_id=run.process["exec_id"])

        assert len({body["process"]["exec_id"] for body in mine}) == len(mine) == count
        assert _statuses(mine) == run.told["statuses"]
        assert losses(run.events) == []


def _statuses(bodies: list[Event]) -> dict[str, int]:
    return {str(body["process"]["pid"]): body["status"] for body in bodies}
