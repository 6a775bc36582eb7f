# SPDX-License-Identifier: Apache-2.0
"""However the agent ends: the file is whole, and nothing stays in the kernel."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.agent import Agent, until
from tests.e2e.events import execs, exits, one
from tests.e2e.kernel_objects import exists, held_by

if TYPE_CHECKING:
    from pathlib import Path


def _assert_gone(objects: set[tuple[str, int]]) -> None:
    # the kernel frees them a moment after the last reference is gone
    until(lambda: not any(exists(*each) for each in objects), 10, "end of all objects")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal(tmp_path: Path, triggers: Path, number: int) -> None:
    """A signal ends it with status 0, after all that had happened was written."""
    with Agent(tmp_path) as agent:
        objects = held_by(agent.pid)
        subprocess.run(
            [triggers / "storm", "2003", "23", triggers / "leave"], check=True
        )
        assert agent.signal(number) == 0
        leave = f"{triggers}/leave"

        assert len(execs(agent.events(), binary=leave)) == 2003
        assert len(exits(agent.events(), binary=leave)) == 2003
        assert agent.totals()["lost"] == 0
        assert agent.stdout_path.read_bytes() == b""
    assert {kind for kind, _ in objects} >= {"prog_id", "map_id"}
    _assert_gone(objects)


def test_kill(tmp_path: Path, triggers: Path) -> None:
    """After SIGKILL nothing stays loaded, and a new start goes on in the same file."""
    with Agent(tmp_path) as agent:
        objects = held_by(agent.pid)
        assert agent.kill() == -signal.SIGKILL
        _assert_gone(objects)
        with Agent(tmp_path) as second:
            run = second.run([triggers / "leave", "23"])

            assert run.exit["status"] == 23
            kernels = execs(second.events(), 0)
            assert len(kernels) == 2  # one scan by each


def test_line_cut_by_a_crash(tmp_path: Path, triggers: Path) -> None:
    """A line that a crash has cut is ended, so that no event is glued to it."""
    export = tmp_path / "events.jsonl"
    export.write_bytes(b'{"process_ex')
    with Agent(tmp_path) as agent:
        agent.stop()
        first, second, third, *_ = export.read_bytes().split(b"\n")

    assert first == b'{"process_ex'
    assert second.startswith(b'{"start":{')
    assert third.startswith(b'{"process_exec":{')


def test_private_file(tmp_path: Path) -> None:
    """The export file is for its owner only."""
    with Agent(tmp_path) as agent:
        agent.stop()
        assert agent.export is not None
        assert agent.export.stat().st_mode & 0o777 == 0o600


def test_two_agents(tmp_path: Path, triggers: Path) -> None:
    """Two agents at once see the same, with the same exec ids."""
    (tmp_path / "other").mkdir()
    with Agent(tmp_path) as first, Agent(tmp_path / "other") as second:
        run = first.run([triggers / "leave"])
        events = second.settle()

        assert one(execs(events, run.pid))["process"]["pid"] == run.pid
        assert len(exits(events, run.pid)) == 1
