# SPDX-License-Identifier: Apache-2.0
"""Sigkill and Signal by the system call dispatcher: after the fact, and told so."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.agent import Agent, scaled
from tests.e2e.attempts import attempt, race
from tests.e2e.enforcement import write_policy
from tetragon_py.libbpf.btf import has_preemptible_tracepoints
from tetragon_py.libbpf.features import probe

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.e2e.events import Event

_TRIES = scaled(10_000, 1_000)
_CALL = "import ctypes; ctypes.CDLL(None).lseek(-77, 0, 0); print('lives')"


def _lseek(*actions: dict[str, Any], mode: str = "enforce") -> dict[str, Any]:
    selector = {
        "matchArgs": [{"index": 0, "operator": "Equal", "values": ["-77"]}],
        "matchActions": list(actions),
    }
    args = [{"index": 0, "type": "int"}]
    hook = {"call": "sys_lseek", "syscall": True, "args": args, "selectors": [selector]}
    options = [{"name": "policy-mode", "value": mode}]
    return {"kprobes": [hook], "options": options}


def _bodies(events: Iterable[Event]) -> list[dict[str, Any]]:
    return [event["process_kprobe"] for event in events if "process_kprobe" in event]


@pytest.mark.parametrize(
    ("actions", "mode", "status", "effect", "action"),
    [
        ([{"action": "Sigkill"}], "enforce", -signal.SIGKILL, "signalled", "SIGKILL"),
        (
            [{"action": "Signal", "argSig": 10}],
            *("enforce", -signal.SIGUSR1, "signalled", "SIGNAL"),
        ),
        (
            [{"action": "Signal", "argSig": 10}, {"action": "Sigkill"}],
            *("enforce", -signal.SIGKILL, "signalled", "SIGKILL"),
        ),
        ([{"action": "Sigkill"}], "monitor", 0, "observed", "SIGKILL"),
    ],
)
def test_signals(
    tmp_path: Path,
    actions: list[dict[str, Any]],
    mode: str,
    status: int,
    effect: str,
    action: str,
) -> None:
    """The process ends by the signal; in monitor mode it lives."""
    policy = write_policy(tmp_path, "signals", _lseek(*actions, mode=mode))
    with Agent(tmp_path, "--tracing-policy", str(policy), "--fields=extended") as agent:
        seen = agent.run([sys.executable, "-c", _CALL])
        [body] = _bodies(seen.events)
        assert agent.stop() == 0

    assert seen.status == status
    assert bool(seen.output) is (status == 0)
    assert (body["action"], body["hit"]["effect"]) == (
        f"KPROBE_ACTION_{action}",
        effect,
    )


def test_what_kills_comes_after_the_call(
    tmp_path: Path, triggers: Path, scratch: Path
) -> None:
    """The folder is there that Sigkill punishes for: only Override prevents."""
    name = "killed-mkdirat"
    (triggers / name).unlink(missing_ok=True)
    (triggers / name).hardlink_to(triggers / "attempt_names")
    selector = {
        "matchBinaries": [{"operator": "In", "values": [str(triggers / name)]}],
        "matchActions": [{"action": "Sigkill"}],
    }
    hook = {"call": "sys_mkdirat", "syscall": True, "selectors": [selector]}
    policy = write_policy(tmp_path, "late", {"kprobes": [hook]})
    with Agent(tmp_path, "--tracing-policy", str(policy)) as agent:
        found = attempt("mkdirat", triggers, scratch, program=name)
        assert agent.stop() == 0

    assert found == ("killed", signal.SIGKILL, True)


def _kill_exec(program: Path, path: str, *options: tuple[str, str]) -> dict[str, Any]:
    selector = {
        "matchBinaries": [{"operator": "In", "values": [str(program)]}],
        "matchArgs": [{"index": 0, "operator": "Postfix", "values": [path]}],
        "matchActions": [{"action": "Sigkill"}],
    }
    args = [{"index": 0, "type": "string"}]
    hook = {"call": "sys_execve", "syscall": True, "args": args}
    return {
        "kprobes": [hook | {"selectors": [selector]}],
        "options": [{"name": name, "value": value} for name, value in options],
    }


def test_a_killed_exec_runs_no_instruction(
    tmp_path: Path, triggers: Path, scratch: Path
) -> None:
    """10,000 processes of 4 threads are killed at the entry of the call."""
    spec = _kill_exec(triggers / "race_exec", "orbidden", ("on-read-error", "deny"))
    policy = write_policy(tmp_path, "exec", spec)
    with Agent(tmp_path, "--tracing-policy", str(policy)) as agent:
        status, told = race("race_exec", triggers, scratch, _TRIES)
        assert agent.stop() == 0

    passed = told["got_through"] + told["allowed"]
    assert told["killed"] + passed == _TRIES
    if not has_preemptible_tracepoints():  # as policy check says there
        assert (status, passed) == (0, 0), told


def test_what_the_entry_does_not_see_gets_through(
    tmp_path: Path, triggers: Path, scratch: Path
) -> None:
    """A path that is not in memory yet, or that another thread changes afterwards.

    LSM hooks see what the kernel has taken: tests/e2e/test_prevention.py.
    """
    policy = write_policy(
        tmp_path, "exec", _kill_exec(triggers / "race_exec", "/forbidden")
    )
    with Agent(tmp_path, "--tracing-policy", str(policy)) as agent:
        status, told = race("race_exec", triggers, scratch, _TRIES)
        assert agent.stop() == 0

    assert (status, told["got_through"] > 0) == (1, True), told


def test_the_strongest_action_of_all_policies_is_done(tmp_path: Path) -> None:
    """One policy watches, one sends a signal, one kills: each tells what it did."""
    wanted: dict[str, dict[str, Any]] = {
        "watches": {"action": "Post"},
        "signals": {"action": "Signal", "argSig": int(signal.SIGURG)},
        "kills": {"action": "Sigkill"},
    }
    options = []
    for name, action in wanted.items():
        path = write_policy(tmp_path, name, _lseek(action))
        options += ["--tracing-policy", str(path)]
    with Agent(tmp_path, *options, "--fields=extended") as agent:
        done = subprocess.run([sys.executable, "-c", _CALL], check=False)
        bodies = {b["policy_name"]: b for b in _bodies(agent.settle())}
        assert agent.stop() == 0

    assert done.returncode == -signal.SIGKILL
    assert {name: body["hit"]["effect"] for name, body in bodies.items()} == {
        "watches": "observed",
        "signals": "signalled",
        "kills": "signalled",
    }


@pytest.mark.skipif(not probe("kprobe").available, reason="this kernel has no kprobes")
def test_nobody_is_signalled_in_an_interrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a packet interrupts is not its cause: a signal is refused, and told.

    By an agent with all capabilities of root: it takes addresses of the kernel.
    """
    monkeypatch.setattr("tests.e2e.agent._UNNEEDED", [])
    selector = {"matchActions": [{"action": "Signal", "argSig": int(signal.SIGURG)}]}
    hook = {"call": "__udp_enqueue_schedule_skb", "syscall": False}
    policy = write_policy(
        tmp_path, "packets", {"kprobes": [hook | {"selectors": [selector]}]}
    )
    with (
        Agent(tmp_path, "--tracing-policy", str(policy), "--fields=extended") as agent,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        server.bind(("127.0.0.1", 0))
        client.sendto(b"x", server.getsockname())
        told = {
            (body["hit"]["effect"], body["hit"].get("error"))
            for body in _bodies(agent.settle())
        }
        assert agent.stop() == 0

    assert told == {("failed", "ESRCH")}
