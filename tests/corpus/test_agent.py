# SPDX-License-Identifier: Apache-2.0
"""The best known policies in one agent, together, from files to its export file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.corpus.attempt import Attempt, run_trigger
from tests.corpus.kernel_side import EXCUSED_LOSSES
from tests.corpus.patterns import call, file, function, number, policy_body, size
from tests.corpus.policies import unique_text
from tests.corpus.table import EXAMPLES
from tests.corpus.triggers.editing import edit
from tests.e2e.agent import Agent
from tests.e2e.events import losses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.corpus.patterns import Event, Pattern
    from tests.corpus.told import Told
    from tests.corpus.triggers.system import Place

_FOLLOW = Path(__file__).with_name("follow_fd.yaml")
#: Where kprobes are missing: the entries that are system calls.
_CALLS_FROM = '  - call: "sys_write"'
#: Together: some share hooks, some names.
_TOGETHER = (
    "tracingpolicy/tcp-connect.yaml",
    "tracingpolicy/tcp-connect-with-selectors.yaml",
    "tracingpolicy/tcp-connect-only-local-addrs.yaml",
    "tracingpolicy/open_geturl.yaml",
    "tracingpolicy/sys_mount.yaml",
    "tracingpolicy/sys_setuid.yaml",
    "tracingpolicy/list-syscalls.yaml",
    "tracingpolicy/rawtp.yaml",
)


@pytest.fixture(scope="module")
def unique_names(
    kernel_name: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Agent, dict[str, str]]]:
    """An agent with these policies and the one of this folder; file -> name there."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    folder = tmp_path_factory.mktemp("policies")
    text = _FOLLOW.read_text()
    is_hardened = kernel_name == "hardened"
    if is_hardened:
        head, calls = text.split("  - call:", 1)[0], text[text.index(_CALLS_FROM) :]
        text = head + calls
    (folder / "follow.yaml").write_text(text)
    names = {}
    for example in EXAMPLES:
        if example.file in _TOGETHER and (example.native or not is_hardened):
            name, data = unique_text(example.file)
            (folder / f"{name}.yaml").write_bytes(data)
            names[example.file] = name
    log = tmp_path_factory.mktemp("agent")
    with Agent(log, "--tracing-policy-dir", str(folder)) as agent:
        yield agent, names
        lost = losses(agent.events())
        assert [one for one in lost if one["cause"] not in EXCUSED_LOSSES] == []
        assert agent.stop() == 0


def _reader(agent: Agent) -> Callable[[], list[Event]]:
    agent.forget()
    at = 0

    def read() -> list[Event]:
        nonlocal at
        events = agent.events()
        start, at = at, len(events)
        return events[start:]

    return read


@pytest.mark.parametrize("published", _TOGETHER)
def test_published_among_others(
    unique_names: tuple[Agent, dict[str, str]], published: str, own_place: Place
) -> None:
    """The policy's trigger makes it fire, under its own name, beside all others."""
    agent, names = unique_names
    if published not in names:
        pytest.skip("this kernel has no kprobes")
    [example] = [found for found in EXAMPLES if found.file == published]
    assert example.trigger is not None
    assert example.expect is not None
    read = _reader(agent)
    pid, told = run_trigger(example.trigger, own_place)
    expected = example.expect(told)
    for pattern in expected:
        pattern["policy_name"] = names[published]
    Attempt(read, pid, by_anyone=False).wait_for(expected, list)


def _edited(told: Told, *, is_hardened: bool) -> list[Pattern]:
    opened = file(told["path"], told["permission"])
    written = {"bytes_arg": told["data"]}
    calls = [
        call("write", opened, written, size(told["size"])),
        call("close", number(told["fd"])),
    ]
    if is_hardened:
        return calls
    return [function("fd_install", number(told["fd"]), opened), *calls]


def test_followed_descriptors(
    unique_names: tuple[Agent, dict[str, str]], kernel_name: str, own_place: Place
) -> None:
    """An old policy with FollowFD tells the file's name at its open and its write."""
    agent, _ = unique_names
    read = _reader(agent)
    pid, told = run_trigger(edit, own_place)
    expected = _edited(told, is_hardened=kernel_name == "hardened")
    attempt = Attempt(read, pid, by_anyone=False)
    attempt.wait_for(expected, list)
    bodies = [policy_body(event)[1] for event in attempt.events]
    written = [
        body["args"][0]["file_arg"]["path"]
        for body in bodies
        if body["policy_name"] == "follow-fd"
        and body.get("function_name", "").endswith("write")
    ]
    assert set(written) == {told["path"]}
