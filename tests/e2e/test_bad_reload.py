# SPDX-License-Identifier: Apache-2.0
"""Reloads by signal and by watch: what is good comes into force, nothing else."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.agent import ROOT, SLOWNESS, Agent, until
from tests.e2e.events import one
from tests.e2e.reloading import Reloading, policy, seek

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_STORM = 1000


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Reloading]:
    """One whose set has a policy that tells lseek(-5)."""
    made = Reloading(tmp_path)
    policy(made.policies, "seek", seek(-5, "first"))
    with made:
        yield made
        assert made.stop() == 0


def messages(agent: Agent, triggers: Path) -> list[str]:
    """What is told of a process that calls lseek(-5) once."""
    run = agent.run([triggers / "seek_once"])
    bodies = [
        event["process_kprobe"] for event in run.events if "process_kprobe" in event
    ]
    return [body["message"] for body in bodies if body["process"]["pid"] == run.pid]


def said(agent: Reloading) -> tuple[int, str]:
    """Exit status and words of `tetragon-py status`."""
    command = [sys.executable, "-m", "tetragon_py", "status"]
    done = subprocess.run(
        [*command, "--runtime-dir", str(agent.runtime)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    return done.returncode, done.stdout


def test_a_change_by_file_and_signal(agent: Reloading, triggers: Path) -> None:
    """The next hit is judged by the new set; the event and the log say what is new."""
    assert messages(agent, triggers) == ["first"]
    policy(agent.policies, "seek", seek(-5, "second"))
    policy(agent.policies, "more", seek(-6))
    last = agent.reload()

    assert messages(agent, triggers) == ["second"]
    change = agent.changes()[-1]
    assert (change["result"], change["trigger"]) == ("applied", "sighup")
    assert (change["added"], change["changed"]) == (["more"], ["seek"])
    assert change["hooks_rebuilt"] == ["syscall lseek x64"]
    assert (change["policies"], change["hooks"], change["generation"]) == (2, 1, 2)
    assert last == {key: change[key] for key in last}
    [line] = [line for line in agent.log().splitlines() if "generation=2" in line]
    assert "policies in force" in line
    assert change["digest"][:12] in line

    (agent.policies / "more.yaml").unlink()
    policy(agent.policies, "seek", seek(-5, "first"))
    agent.reload()
    agent.settle()
    first, _, third = agent.changes()
    assert third["digest"] == first["digest"] != change["digest"]
    assert third["removed"] == ["more"]


def test_nothing_changed(agent: Reloading, triggers: Path) -> None:
    """It is said, and the generation stays."""
    result = agent.reload()

    assert (result["result"], result["generation"]) == ("unchanged", 1)
    assert "policies are unchanged" in agent.log()
    assert messages(agent, triggers) == ["first"]


def unreadable(folder: Path) -> None:
    os.mkfifo(folder / "fifo.yaml")


def writable(folder: Path) -> None:
    policy(folder, "bad", seek(-5))
    (folder / "bad.yaml").chmod(0o666)


def broken(folder: Path) -> None:
    (folder / "bad.yaml").write_text("kind: [")


def unknown(folder: Path) -> None:
    policy(folder, "bad", {"call": "no_such_function", "syscall": False})


def deleted(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


@pytest.mark.parametrize("spoil", [unreadable, writable, broken, unknown, deleted])
def test_a_bad_set_changes_nothing(
    agent: Reloading, triggers: Path, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    """The set before stays in force; log, event and status say why."""
    spare = tmp_path / "spare"
    shutil.copytree(agent.policies, spare)
    spoil(agent.policies)
    result = agent.reload()

    assert (result["result"], result["generation"]) == ("refused", 1)
    assert messages(agent, triggers) == ["first"]
    assert agent.changes()[-1] == result | {"time": agent.changes()[-1]["time"]}
    problem = one(result["errors"])
    assert problem["file"].startswith(str(agent.policies))
    assert problem["message"] in agent.log()
    status, text = said(agent)
    assert status == 1
    assert "degraded: " in text
    assert problem["message"] in text

    shutil.rmtree(agent.policies, ignore_errors=True)
    spare.rename(agent.policies)
    policy(agent.policies, "seek", seek(-5, "second"))
    assert agent.reload()["result"] == "applied"
    assert messages(agent, triggers) == ["second"]
    assert said(agent)[0] == 0


def test_files_that_are_replaced_meanwhile(agent: Reloading, triggers: Path) -> None:
    """A set is read as it is: each file whole, old or new."""
    is_over = threading.Event()

    def replace() -> None:
        number = 0
        while not is_over.is_set():
            number += 1
            policy(agent.policies, "seek", seek(-5, f"number {number}"))

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        results = {agent.reload()["result"] for _ in range(20)}
    finally:
        is_over.set()
        thread.join()
    policy(agent.policies, "seek", seek(-5, "last"))
    agent.reload()

    assert "refused" not in results
    assert messages(agent, triggers) == ["last"]


def test_a_storm_of_signals(agent: Reloading, triggers: Path) -> None:
    """1,000 signals are few reloads, and the last state of the files is in force."""
    for number in range(_STORM):
        if number % 100 == 0:
            policy(agent.policies, "seek", seek(-5, f"number {number}"))
        agent.hang_up()
    policy(agent.policies, "seek", seek(-5, "last"))
    agent.reload()
    until(lambda: messages(agent, triggers) == ["last"], 20, "last state in force")

    assert agent.status()["reloads"]["bad"] == 0
    assert agent.done() < _STORM / 2


def test_the_log_level_is_read_again(tmp_path: Path) -> None:
    """Other settings are not; a mistake changes nothing."""
    config = tmp_path / "config"
    config.mkdir()
    level = config / "level.yaml"
    level.write_text("log-level: error")
    agent = Reloading(tmp_path, "--config-dir", str(config))
    with contextlib.ExitStack() as stack:
        agent.start()
        stack.push(agent.__exit__)
        agent.until((agent.runtime / "status.json").exists, 30, "status")
        agent.reload()
        assert agent.log() == ""
        level.write_text("log-level: info")
        agent.reload()
        assert "policies are unchanged" in agent.log()
        level.write_text("log-levle: debug")
        agent.reload()

        assert "settings stay as they are" in agent.log()
        assert agent.stop() == 0


def test_watched_files(tmp_path: Path, triggers: Path) -> None:
    """Without a signal: new, changed, renamed and deleted files, each one reload."""
    agent = Reloading(tmp_path, "--watch-policies")
    path = agent.policies / "seek.yaml"

    def add() -> None:
        policy(agent.policies, "seek", seek(-5, "first"))

    def edit() -> None:
        path.write_text(path.read_text().replace("first", "second"))

    def rename() -> None:
        path.rename(path.with_name("other.yml"))

    def remove() -> None:
        path.with_name("other.yml").unlink()

    with agent:
        for ask, told in (
            (add, ["first"]),
            (edit, ["second"]),
            (rename, ["second"]),
            (remove, []),
        ):
            agent.reload(ask)
            assert messages(agent, triggers) == told
        assert agent.stop() == 0
        changes = agent.changes()

    assert [change["trigger"] for change in changes] == ["watch"] * 4
    results = [change["result"] for change in changes]
    assert results == ["applied", "applied", "unchanged", "applied"]


def test_a_bad_file_at_the_start(tmp_path: Path, triggers: Path) -> None:
    """The others are in force; it is told as an event and by `status`."""
    agent = Reloading(tmp_path)
    policy(agent.policies, "seek", seek(-5, "first"))
    broken(agent.policies)
    with agent:
        assert messages(agent, triggers) == ["first"]
        [change] = agent.changes()
        status, text = said(agent)
        assert agent.stop() == 0

    assert (change["result"], change["trigger"]) == ("applied", "start")
    assert one(change["errors"])["file"] == str(agent.policies / "bad.yaml")
    assert (status, "policies are left out" in text) == (1, True)
    assert "policy file is left out" in agent.log()


_FAILING = """
import sys
from tetragon_py.cli import main
from tetragon_py.daemon.drain import Drain
def fail(self): raise RuntimeError("the test wants this")
Drain.run = fail
main(sys.argv[1:])
"""


def test_the_thread_of_the_events_fails(tmp_path: Path) -> None:
    """The agent ends with status 1 and one line; the status file knows."""
    agent = Reloading(tmp_path)
    command = [sys.executable, "-c", _FAILING, *agent.command[3:]]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=30 * SLOWNESS,
        check=False,
    )

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] == (
        "tetragon-py: events are not read any more: RuntimeError: the test wants this"
    )
    assert agent.status()["state"] == "failed"


def test_life_and_death_in_the_status(tmp_path: Path) -> None:
    """Heartbeats come at their interval; who was stopped or killed does not run."""
    agent = Reloading(tmp_path, "--heartbeat-interval", "0.2")
    assert said(agent)[0] == 1
    with agent:
        first = agent.wait_for(lambda event: "heartbeat" in event)
        at = agent.events().index(first)
        second = agent.wait_for(lambda event: "heartbeat" in event, since=at + 1)
        status, text = said(agent)
        assert agent.kill() == -signal.SIGKILL
        died = said(agent)
        agent.start()
        agent.wait_until_runs()
        assert agent.stop() == 0
        stopped = said(agent)

    assert (status, text.startswith("well: ")) == (0, True), text
    assert died[0] == stopped[0] == 1
    assert "died without a word" in died[1]
    assert "was stopped" in stopped[1]
    state: dict[str, Any] = second["heartbeat"]
    assert state["uptime_seconds"] > first["heartbeat"]["uptime_seconds"]
    assert state["problems"] == []
    assert state["memory"]["rss_bytes"] < 200 << 20
    assert set(state["rings"]) == {"lifecycle", "verdict", "policy"}
