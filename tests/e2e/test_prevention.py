# SPDX-License-Identifier: Apache-2.0
"""No race wins against a denial, by each way of denying; monitoring changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.e2e.agent import Agent
from tests.e2e.attempts import REFUSAL, race
from tests.e2e.enforcement import needs_denial, write_policy
from tests.vm.expected import guest_kernel

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.e2e.events import Event

_TRIES = 10_000
#: Their kernel skips a program that a preempted task is in on the CPU, but for BPF LSM.
_PREEMPTING = frozenset(("7.2",))
_DENY = {"action": "Override", "argError": -REFUSAL}
_NOTIFY = {"action": "NotifyEnforcer", "argError": -REFUSAL}
_FORBIDDEN = "/forbidden"
_PORT = "4118"

pytestmark = needs_denial


class Way(NamedTuple):
    """A race, and the section of a policy against it."""

    race: str
    section: str
    hook: dict[str, Any]
    argument: dict[str, Any]
    operator: str
    value: str
    action: dict[str, Any] = _DENY
    enforcers: tuple[str, ...] = ()
    method: str = ""  # of the option override-method


def _call(name: str) -> dict[str, Any]:
    return {"call": f"sys_{name}", "syscall": True}


def _function(name: str) -> dict[str, Any]:
    return {"call": name, "syscall": False}


def _path(index: int, kind: str) -> tuple[dict[str, Any], str, str]:
    return {"index": index, "type": kind}, "Postfix", _FORBIDDEN


def _port(index: int) -> tuple[dict[str, Any], str, str]:
    return {"index": index, "type": "sockaddr"}, "SPort", _PORT


_ROOT = ({"index": 0, "type": "int"}, "Equal", "0")
_LSM = "lsmhooks"
_K = "kprobes"
WAYS = {
    "path by the call": Way("race_path", _K, _call("openat"), *_path(1, "string")),
    "path by LSM": Way("race_path", _LSM, {"hook": "file_open"}, *_path(0, "file")),
    "path by the function": Way(
        "race_path", _K, _function("security_file_open"), *_path(0, "file")
    ),
    "path by fmod_ret": Way(
        *("race_path", _K, _function("security_file_open")),
        *_path(0, "file"),
        method="fmod-ret",
    ),
    "cold path by the call": Way("race_cold", _K, _call("openat"), *_path(1, "string")),
    "address by the call": Way("race_connect", _K, _call("connect"), *_port(1)),
    "address by LSM": Way("race_connect", _LSM, {"hook": "socket_connect"}, *_port(1)),
    "address by the function": Way(
        "race_connect", _K, _function("security_socket_connect"), *_port(1)
    ),
    "address by fmod_ret": Way(
        *("race_connect", _K, _function("security_socket_connect")),
        *_port(1),
        method="fmod-ret",
    ),
    "exec by the call": Way("race_exec", _K, _call("execve"), *_path(0, "string")),
    "exec by LSM": Way(
        "race_exec", _LSM, {"hook": "bprm_check_security"}, *_path(0, "linux_binprm")
    ),
    # The program is in place then, and dies before its first instruction.
    "exec by Sigkill": Way(
        *("race_exec", _LSM, {"hook": "bprm_check_security"}),
        *_path(0, "linux_binprm"),
        {"action": "Sigkill"},
    ),
    "write by the call": Way("race_write", _K, _call("write"), *_path(0, "fd")),
    "uid by the call": Way("race_setuid", _K, _call("setuid"), *_ROOT),
    "uid by an enforcer": Way(
        "race_setuid", _K, _call("setuid"), *_ROOT, _NOTIFY, ("sys_setuid",)
    ),
}


def _spec(way: Way, binary: Path, mode: str) -> dict[str, Any]:
    selector = {
        "matchBinaries": [{"operator": "In", "values": [str(binary)]}],
        "matchArgs": [
            {
                "index": way.argument["index"],
                "operator": way.operator,
                "values": [way.value],
            }
        ],
        "matchActions": [way.action],
    }
    options = [{"name": "policy-mode", "value": mode}]
    if way.method:
        options.append({"name": "override-method", "value": way.method})
    spec: dict[str, Any] = {
        "options": options,
        way.section: [{**way.hook, "args": [way.argument], "selectors": [selector]}],
    }
    if way.enforcers:
        spec["enforcers"] = [{"calls": list(way.enforcers)}]
    return spec


def _hits(events: Iterable[Event]) -> list[dict[str, Any]]:
    """The bodies of what policies told, of whatever kind."""
    kinds = ("process_kprobe", "process_lsm")
    return [event[kind] for event in events for kind in kinds if kind in event]


@pytest.mark.parametrize("name", WAYS)
def test_nothing_gets_through(
    tmp_path: Path, triggers: Path, scratch: Path, name: str
) -> None:
    """Four threads try 10,000 times, and what they are refused is told."""
    way = WAYS[name]
    policy = write_policy(
        tmp_path, "prevent", _spec(way, triggers / way.race, "enforce")
    )
    with Agent(tmp_path, "--tracing-policy", str(policy), "--fields=extended") as agent:
        status, told = race(way.race, triggers, scratch, _TRIES)
        assert agent.stop() == 0
        events = agent.events()

    assert told["refused"] > 0
    assert told["other_errors"] == {}
    kernel = guest_kernel()
    may_skip = way.method or way.enforcers
    if may_skip and kernel is not None and kernel.name in _PREEMPTING:
        # As README says: who is preempted in a program lets others pass it, for as long
        # as he waits. How many depends on what else runs.
        return
    assert (status, told["got_through"]) == (0, 0), told
    bodies = _hits(events)
    assert {body["policy_name"] for body in bodies} == {"prevent"}
    done = "signalled" if way.action["action"] == "Sigkill" else "denied"
    assert done in {body["hit"]["effect"] for body in bodies}


@pytest.mark.parametrize("name", ["path by the call", "address by LSM"])
def test_monitor_mode_changes_nothing(
    tmp_path: Path, triggers: Path, scratch: Path, name: str
) -> None:
    """The same policies in monitor mode: all gets through, and is counted."""
    way = WAYS[name]
    policy = write_policy(tmp_path, "watch", _spec(way, triggers / way.race, "monitor"))
    with Agent(tmp_path, "--tracing-policy", str(policy), "--fields=extended") as agent:
        status, told = race(way.race, triggers, scratch, 1000)
        assert agent.stop() == 0
        events = agent.events()

    assert (status, told["refused"]) == (1, 0), told
    assert told["got_through"] > 0
    bodies = _hits(events)
    assert len(bodies) >= told["got_through"]
    assert {body["hit"]["effect"] for body in bodies} == {"observed"}
    assert {body["action"] for body in bodies} == {"KPROBE_ACTION_OVERRIDE"}
