# SPDX-License-Identifier: Apache-2.0
"""What the tests of the library share: its policies in one agent, and where to act."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.e2e.agent import ROOT, Agent
from tests.e2e.library.doors import DOORS, GUARDS, PROGRAMS, TARGETS, VICTIMS
from tests.e2e.library.places import make_places
from tetragon_py.loader.kernel import KernelTarget
from tetragon_py.policy.catalog import LIBRARY, load_library, set_mode
from tetragon_py.policy.model.options import PolicyMode
from tetragon_py.policy.source import load_policies

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.events import Event
    from tests.e2e.library.actions import Action

POLICIES = load_library()
#: What a module of tests runs in, if it has no other MODE: all policies enforce.
ENFORCE = "enforce"
#: Those that stand before others' doors only monitor.
UNGUARDED = "unguarded"
#: The file system of what is tried on no door.
_PLAIN = "plain"


class Deed(NamedTuple):
    """What a process of a test did: its pid, and the errno it ended with or 0."""

    pid: int
    errno: int


class Library:
    """A running agent with the library, and the file systems to act in."""

    def __init__(self, agent: Agent, places: dict[str, Path]) -> None:
        self.agent = agent
        self.places = places
        self.place = places[_PLAIN]
        self._hits: defaultdict[tuple[str, int], list[Event]] = defaultdict(list)
        self._read = 0

    def do(self, act: Action) -> Deed:
        """Act in a process of its own."""
        pid = os.fork()
        if not pid:
            _act(act, self.place)
        _, status = os.waitpid(pid, 0)
        return Deed(pid, os.waitstatus_to_exitcode(status))

    def hits(self, policy: str, pid: int, hook: str = "") -> list[Event]:
        """The events of a policy that a process caused; of one hook."""
        events = self.agent.events()
        start, self._read = self._read, len(events)
        for event in events[start:]:
            for body in event.values():
                if isinstance(body, dict) and "policy_name" in body:
                    key = (body["policy_name"], body["process"]["pid"])
                    self._hits[key].append(body)
        found = self._hits[policy, pid]
        return [body for body in found if body["function_name"].endswith(hook)]

    def wait_for(self, policy: str, pid: int, hook: str = "") -> Event:
        """The first of these."""
        what = f"event of {policy} by {hook or 'any hook'} for {pid}"
        return self.agent.until(lambda: self.hits(policy, pid, hook), 3, what)[0]

    def wait_for_denial(self, policy: str, pid: int, hook: str = "") -> None:
        """The same of one that the policy denied."""
        body = self.wait_for(policy, pid, hook)
        assert body["action"].endswith("_OVERRIDE"), body["action"]

    def require(self, policy: str) -> None:
        """Skip what this kernel is too old for."""
        if policy not in runnable():
            pytest.skip(f"needs Linux {POLICIES[policy].kernel}")


# In the child, which never returns.
def _act(act: Action, place: Path) -> None:
    status = 0
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        act(place)
    except OSError as error:
        status = error.errno or 255
    except BaseException:  # noqa: BLE001 - there is nobody to tell
        status = 255
    os._exit(status)


@cache
def runnable() -> list[str]:
    """The policies whose hooks this kernel has; fails if it is not too old."""
    target = KernelTarget()
    release = tuple(map(int, os.uname().release.split("-")[0].split(".")[:2]))
    found = []
    for name, policy in POLICIES.items():
        [loaded] = load_policies([LIBRARY / f"{name}.yaml"]).policies
        lacks = [
            hook.hook
            for hook in loaded.policy.spec.lsmhooks
            if target.lsm_hook(hook.hook) is None
        ]
        since = tuple(map(int, (policy.kernel or "5.10").split(".")))
        assert not lacks or release < since, f"{name}: no {lacks}"
        if release >= since:
            found.append(name)
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each module in its mode: one agent for all that have the same."""
    if "mode" in metafunc.fixturenames:
        mode = getattr(metafunc.module, "MODE", ENFORCE)
        metafunc.parametrize("mode", [mode], scope="package")


@pytest.fixture(scope="package")
def library(mode: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """All policies that can run here, or those that a mode needs, in one agent.

    It ends with this package: what it denies, the tests after these have to do.
    """
    folder = tmp_path_factory.mktemp("policies")
    folder.chmod(0o755)
    if mode == ENFORCE:
        _enable(runnable(), folder)
    else:
        _write_unguarded(folder)
    log = tmp_path_factory.mktemp("agent")
    # Before the agent: it would refuse to make them.
    with (
        make_places((_PLAIN, *(door.name for door in DOORS))) as places,
        Agent(log, "--tracing-policy-dir", str(folder)) as agent,
    ):
        yield Library(agent, places)
        assert agent.stop() == 0


def _enable(policies: list[str], folder: Path) -> None:
    command = [sys.executable, "-m", "tetragon_py", "policy", "library", "enable"]
    command += [*policies, "--mode", "enforce", "--dir", str(folder)]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


# Only what guarded doors lead to, by no command: a guest takes long for both.
def _write_unguarded(folder: Path) -> None:
    guards = {*GUARDS.values()}
    needed = {*guards, *VICTIMS, *TARGETS, *PROGRAMS["temporary"].values()}
    for name in needed.intersection(runnable()):
        mode = PolicyMode.MONITOR if name in guards else PolicyMode.ENFORCE
        (folder / f"{name}.yaml").write_text(set_mode(POLICIES[name], mode))
