# SPDX-License-Identifier: Apache-2.0
"""Life without the agent: killed, stopped, replaced by another version.

What is enforced is enforced all the time; what happens meanwhile is told by the next
agent, once and with the right process.
"""

from __future__ import annotations

import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.agent import scaled
from tests.e2e.enforcement import needs_denial, write_policy
from tests.e2e.events import execs, exits, losses, one
from tests.e2e.kept import Attempts, KeptAgent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.events import Event

TRIES = scaled(50, 10)


class Way:
    """A policy that stops one program, and what it does."""

    def __init__(self, kind: str, folder: Path, triggers: Path, scratch: Path) -> None:
        self.kind = kind
        forbidden = scratch / "forbidden"
        forbidden.write_text("x")
        self.binary = triggers / ("seeks" if kind == "killed" else "open_once")
        selector: dict[str, Any] = {
            "matchBinaries": [{"operator": "In", "values": [str(self.binary)]}]
        }
        hook: dict[str, Any] = {"selectors": [selector], "syscall": True}
        if kind == "killed":
            self._command = [str(self.binary), "-77", "1"]
            hook |= {"call": "sys_lseek", "args": [{"index": 0, "type": "int"}]}
            selector["matchArgs"] = [
                {"index": 0, "operator": "Equal", "values": ["-77"]}
            ]
            selector["matchActions"] = [{"action": "Sigkill"}]
        else:
            self._command = [str(self.binary), str(forbidden)]
            hook |= {"call": "sys_openat", "args": [{"index": 1, "type": "string"}]}
            selector["matchArgs"] = [
                {"index": 1, "operator": "Equal", "values": [str(forbidden)]}
            ]
            selector["matchActions"] = [{"action": "Override", "argError": -1}]
        self.policy = write_policy(folder, "stop", {"kprobes": [hook]})

    def attempts(self) -> Attempts:
        """Those of a test."""
        return Attempts(self._command)


@pytest.fixture(params=["killed", pytest.param("denied", marks=needs_denial)])
def way(
    request: pytest.FixtureRequest, tmp_path: Path, triggers: Path, scratch: Path
) -> Way:
    return Way(request.param, tmp_path, triggers, scratch)


def kept_agent(folder: Path, way: Way, *options: str, keeps: bool = True) -> KeptAgent:
    return KeptAgent(folder, f"--tracing-policy={way.policy}", *options, keeps=keeps)


def stopped(events: list[Event], pid: int) -> list[Event]:
    """What was told of an attempt."""
    bodies = [event["process_kprobe"] for event in events if "process_kprobe" in event]
    return [body for body in bodies if body["process"]["pid"] == pid]


def check_told(events: list[Event], attempts: Attempts, binary: Path) -> None:
    """Exec, stop and exit of each attempt are told once, of one process."""
    for pid in attempts.pids:
        process = one(execs(events, pid, binary=str(binary)))["process"]
        body = one(stopped(events, pid))

        assert body["process"]["exec_id"] == process["exec_id"]
        assert body["process"]["binary"] == str(binary)
        assert body["policy_name"] == "stop"
        gone = exits(events, pid, binary=str(binary))  # the number may be used again
        assert one(gone)["process"]["exec_id"] == process["exec_id"]


def test_enforcement_goes_on_when_the_agent_is_killed(tmp_path: Path, way: Way) -> None:
    """Nobody gets through before, while and after it is away, and all of it is told."""
    attempts = way.attempts()
    with kept_agent(tmp_path, way) as agent:
        attempts.make(TRIES)
        agent.kill()
        attempts.make(TRIES)
        agent.again()
        attempts.make(TRIES)
        agent.settle()
        events = agent.events()

        assert agent.stop() == 0
        attempts.make(TRIES)  # SIGTERM keeps them too
    assert "goes on with what was pinned" in agent.log()
    assert attempts.through == 0
    assert losses(events) == []
    attempts.pids = attempts.pids[: 3 * TRIES]
    check_told(events, attempts, way.binary)


def test_a_process_that_ends_meanwhile_is_known(tmp_path: Path, triggers: Path) -> None:
    """Who began before the agent died and ended before the next start is itself."""
    command = [str(triggers / "seek_rate"), "-1", "100"]
    with KeptAgent(tmp_path) as agent:
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        ) as process:
            agent.wait_for(lambda event: bool(execs([event], process.pid)))
            agent.kill()
        agent.again()
        agent.settle()
        events = agent.events()
    began = one(execs(events, process.pid))["process"]
    ended = one(exits(events, process.pid))["process"]

    for key in ("exec_id", "binary", "arguments", "cwd", "flags", "parent_exec_id"):
        assert ended[key] == began[key], key
    assert began["binary"] == command[0]
    one(execs(events, 0))  # what lived at the first start is told by it only


@pytest.mark.parametrize(
    "other", [{}, {"objects": "0"}, {"abi": "0"}], ids=["same", "objects", "abi"]
)
def test_upgrade_without_a_gap(tmp_path: Path, way: Way, other: dict[str, Any]) -> None:
    """While another version takes over, nobody gets through."""
    attempts = way.attempts()
    is_over = threading.Event()

    def go_on() -> None:
        while not is_over.is_set():
            attempts.make()

    with kept_agent(tmp_path, way) as agent:
        thread = threading.Thread(target=go_on)
        thread.start()
        agent.kill()
        agent.pretend(**other)
        agent.again()
        is_over.set()
        thread.join()
        agent.settle()
        events = agent.events()
    stops = [event["process_kprobe"] for event in events if "process_kprobe" in event]
    told = {body["process"]["pid"] for body in stops}
    lost = sum(int(loss["total"]) for loss in losses(events))

    assert len(attempts.pids) > TRIES / 2
    assert attempts.through == 0
    took_over = "took over from an earlier agent" in agent.log()
    assert took_over is bool(other)
    assert len(list(agent.pins.parent.glob(f"{agent.name}*"))) == 0
    if "abi" in other:
        causes = {loss["cause"] for loss in losses(events)}
        assert causes == {"other_version"}
        assert lost > 0
    else:
        assert lost == 0
        assert told == set(attempts.pids)


def test_two_agents(tmp_path: Path, way: Way) -> None:
    """The second says who runs, and ends with status 1; the first goes on."""
    attempts = way.attempts()
    with kept_agent(tmp_path, way) as agent:
        command = [*agent.command[:-2], "--export-filename", str(tmp_path / "other")]
        second = subprocess.run(command, capture_output=True, text=True, check=False)
        attempts.make()

        assert second.returncode == 1
        assert f"an agent (pid {agent.pid}) is at work" in second.stderr
        assert "Traceback" not in second.stderr
    assert attempts.through == 0


def test_an_agent_that_keeps_nothing_takes_over(tmp_path: Path, way: Way) -> None:
    """It removes what is pinned when its own is in force; with its end all is over."""
    attempts, later = way.attempts(), way.attempts()
    with kept_agent(tmp_path, way) as agent:
        attempts.make()
        agent.kill()
        attempts.make()
        agent.command.remove("--keep-sensors-on-exit")
        agent.again()
        attempts.make()
        agent.settle()
        events = agent.events()

        assert not agent.pins.exists()
        assert agent.log().count("took over from an earlier agent") == 1
        assert agent.stop() == 0
        later.make()
    assert attempts.through == 0
    assert later.through == 1
    check_told(events, attempts, way.binary)


def test_other_policies_at_the_next_start(tmp_path: Path, way: Way) -> None:
    """They are in force instead of those that were pinned."""
    attempts, free = way.attempts(), way.attempts()
    with kept_agent(tmp_path, way) as agent:
        attempts.make()
        agent.kill()
        text = way.policy.read_text()
        way.policy.write_text(text.replace(str(way.binary), "/not/this/one"))
        attempts.make()
        agent.again()
        free.make()
        agent.kill()
        way.policy.write_text(text)
        agent.again()
        attempts.make()
        agent.settle()
        events = agent.events()
    assert attempts.through == 0
    assert free.through == 1
    check_told(events, attempts, way.binary)


def test_a_wrong_policy_at_the_next_start(tmp_path: Path, way: Way) -> None:
    """The start fails, and what is pinned stays in force."""
    attempts = way.attempts()
    with kept_agent(tmp_path, way) as agent:
        agent.kill()
        text = way.policy.read_text()
        way.policy.write_text(text.replace("matchArgs", "matchArg"))
        agent.start()
        assert agent.wait() == 2
        attempts.make()
        way.policy.write_text(text)
        agent.again()
        attempts.make()
        agent.settle()
        events = agent.events()
    assert attempts.through == 0
    check_told(events, attempts, way.binary)


def _no_state(agent: KeptAgent) -> None:
    for path in agent.state.glob("*/state"):
        path.unlink()


def _bad_state(agent: KeptAgent) -> None:
    for path in agent.state.glob("*/state"):
        path.write_bytes(path.read_bytes()[:-40])


def _bad_header(agent: KeptAgent) -> None:
    for path in agent.state.glob("*/state"):
        path.write_bytes(b"\xff\n")


def _bad_journal(agent: KeptAgent) -> None:
    for path in agent.state.glob("*/journal"):
        path.write_bytes(b"x" * 100)


def _no_map(agent: KeptAgent) -> None:
    for path in agent.pins.glob("*/maps/texts"):
        path.unlink()


def _no_ring(agent: KeptAgent) -> None:
    for path in agent.pins.glob("*/maps/lifecycle"):
        path.unlink()


def _no_program(agent: KeptAgent) -> None:
    for path in agent.pins.glob("*/programs/*process_exit"):
        path.unlink()


def _no_process_link(agent: KeptAgent) -> None:
    for path in agent.pins.glob("*/links/*process_fork"):
        path.unlink()


def _half_made(agent: KeptAgent) -> None:
    (agent.pins / "7" / "maps").mkdir(parents=True)
    (agent.pins / "strange").mkdir()


@pytest.mark.parametrize(
    "damage",
    [
        _no_state,
        _bad_state,
        _bad_header,
        _bad_journal,
        _no_map,
        _no_ring,
        _no_program,
        _no_process_link,
        _half_made,
    ],
)
def test_damaged_pins(
    tmp_path: Path,
    triggers: Path,
    scratch: Path,
    damage: Callable[[KeptAgent], None],
) -> None:
    """What cannot be used is replaced: no gap, no traceback, nothing of it is left."""
    way = Way("killed", tmp_path, triggers, scratch)
    attempts = way.attempts()
    with kept_agent(tmp_path, way) as agent:
        agent.kill()
        damage(agent)
        attempts.make()
        agent.again()
        attempts.make()
        agent.settle()

        assert "Traceback" not in agent.log()
        assert len(list(agent.pins.iterdir())) == 1
        assert stopped(agent.events(), attempts.pids[-1])
    assert attempts.through == 0
