# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.daemon.policies: one set after the other."""

from __future__ import annotations

import pytest

from tests.unit.compiler.policies import kprobe
from tests.unit.daemon.policy_host import OPENAT, load
from tetragon_py.errors import LimitError, PolicyError


def test_a_set_is_changed(host):
    """What did not change is neither read, nor compiled, nor another plan."""
    host.write("a", {"kprobes": [OPENAT]})
    host.write("b", {"kprobes": [kprobe()]})
    policies = host.policies()
    load(policies)
    host.write("c", {"kprobes": [kprobe()]})
    count, [said] = load(policies)
    [made] = host.made
    first, second = made.plans

    assert count == 3
    assert (said["policies"], said["hooks"]) == (3, 2)
    assert second.hooks[0] is first.hooks[0]
    assert [s.policy for s in second.hooks[1].selectors] == ["b", "c"]
    assert made.targets[0] is made.targets[1]
    for path in host.folder.iterdir():
        path.unlink()
    assert load(policies)[0] == 0
    assert made.plans[2].hooks == ()


def test_remarks_are_logged_when_they_are_new(host):
    """Not again with every change."""
    post = {"action": "Post", "kernelStackTrace": True}
    kill = kprobe([{"matchActions": [{"action": "Sigkill"}, post]}])
    host.write("a", {"kprobes": [kill]})
    policies = host.policies()
    _, first = load(policies)
    host.write("b", {"kprobes": [kill]})
    _, second = load(policies)

    assert len(first) == len(second) == 3
    assert {entry["file"] for entry in second[:-1]} == {str(host.folder / "b.yaml")}


def test_a_change_that_fails_changes_nothing(host):
    """A wrong policy is refused before, a hook that fails after it was tried."""
    host.write("a", {"kprobes": [OPENAT]})
    policies = host.policies()
    load(policies)
    [made] = host.made
    bad = host.write("b", {"kprobes": [kprobe(call="no_such", args=[])]})
    with pytest.raises(PolicyError, match="no_such"):
        policies.load()
    bad.unlink()
    made.error = LimitError("too large")
    with pytest.raises(PolicyError, match="too large"):
        policies.load()

    assert host.made == [made]
    assert (len(made.plans), made.closed) == (1, 0)
    made.error = None
    assert load(policies)[0] == 1
    assert made.plans[0].hooks[0] is made.plans[1].hooks[0]


def test_a_kernel_that_changed_is_asked_again(host):
    """A module came: what was known may be wrong."""
    host.write("a", {"kprobes": [OPENAT]})
    policies = host.policies()
    load(policies)
    [made] = host.made
    made.targets[0].is_current = False
    load(policies)
    load(policies)
    first, second, third = made.targets

    assert first is not second
    assert second is third
    assert made.plans[1].hooks[0] is made.plans[2].hooks[0]
