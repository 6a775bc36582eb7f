# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.daemon.policies: one set after the other."""

from __future__ import annotations

import pytest

from tests.unit.compiler.policies import kprobe
from tests.unit.daemon.policy_host import OPENAT, load
from tetragon_py.compiler.plan import AttachPoint
from tetragon_py.errors import KernelError, LimitError, PolicyError
from tetragon_py.loader.generation import HookError


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
    host.write("b", {"kprobes": [kprobe(call="no_such", args=[])]})
    with pytest.raises(PolicyError, match="no_such"):
        policies.load()
    host.write("b", {"kprobes": [kprobe()]})
    made.error = LimitError("too large")
    with pytest.raises(PolicyError, match="too large"):
        policies.load()

    assert host.made == [made]
    assert (len(made.plans), made.closed) == (1, 0)
    assert policies.change.policies == 1
    made.error = None
    assert load(policies)[0] == 2
    assert made.plans[0].hooks[0] is made.plans[1].hooks[0]


def test_a_kernel_that_changed_is_asked_again(host):
    """A module came: what was known may be wrong."""
    host.write("a", {"kprobes": [OPENAT]})
    policies = host.policies()
    load(policies)
    [made] = host.made
    made.targets[0].is_current = False
    host.write("b", {"kprobes": [kprobe()]})
    load(policies)
    host.write("c", {"kprobes": [kprobe()]})
    load(policies)
    first, second, third = made.targets

    assert first is not second
    assert second is third
    assert made.plans[1].hooks[0] is made.plans[2].hooks[0]


def test_nothing_new_switches_nothing(host):
    """Neither the same files nor comments and layout are a change."""
    path = host.write("a", {"kprobes": [OPENAT]})
    policies = host.policies()
    first = policies.load()
    same = policies.load()
    path.write_text("# a comment\n" + path.read_text())
    with_comment = policies.load()
    [made] = host.made

    assert len(made.plans) == 1
    assert (first.is_switch, same.is_switch, with_comment.is_switch) == (1, 0, 0)
    assert first.digest == same.digest == with_comment.digest
    assert not same.difference
    assert same.generation == 1


def test_what_changed_is_told(host):
    """Names by what became of them; a text that only events show is a change too."""
    host.write("a", {"kprobes": [OPENAT]})
    host.write("b", {"kprobes": [OPENAT]})
    policies = host.policies()
    policies.load()
    host.write("a", {"kprobes": [OPENAT | {"message": "other words"}]})
    host.write("b", {"kprobes": [OPENAT]}).unlink()
    host.write("c", {"kprobes": [OPENAT]})
    change = policies.load()
    [made] = host.made
    found = change.difference

    assert (found.added, found.removed, found.changed) == (("c",), ("b",), ("a",))
    assert made.renamed == [frozenset(), frozenset({"a"})]
    assert [loaded.policy.name for loaded in policies.policies] == ["a", "c"]


# ---- files that are wrong ----

BAD = {"kprobes": [kprobe(call="no_such", args=[])]}


def test_a_bad_file_does_not_stop_the_others(host):
    """At the start it is left out, whatever is wrong with it, and told."""
    host.missing = {"fentry", "kprobe"}
    host.write("a", {"kprobes": [OPENAT]})
    host.write("b", BAD)
    host.write("c", {"kprobes": [OPENAT]}).write_text("no: policy")
    host.write("d", {"kprobes": [OPENAT]}, {"kprobes": [kprobe()]})  # no back end
    policies = host.policies()
    count, logs = load(policies)
    files = [error.file.rpartition("/")[2] for error in policies.change.left_out]

    assert count == 1
    assert set(files) == {"b.yaml", "c.yaml", "d.yaml"}
    told = [entry["file"] for entry in logs if entry["log_level"] == "error"]
    assert [file.rpartition("/")[2] for file in told] == files


def test_strict_starts_with_all_or_nothing(host):
    """With `strict` one bad file is enough."""
    host.write("a", {"kprobes": [OPENAT]})
    host.write("b", BAD)

    assert "b.yaml" in host.refusal()


def test_what_is_named_on_purpose_is_strict(host, tmp_path):
    """A typo on the command line is one: files and directories of the option."""
    host.write("a", {"kprobes": [OPENAT]})
    bad = host.write("b", BAD)
    other = tmp_path / "other"
    for paths, settings in (
        ([bad], {}),
        ([host.folder], {}),
        ([tmp_path / "missing.yaml"], {}),
        ([], {"tracing_policy_dir": other}),
    ):
        with pytest.raises(PolicyError):
            host.policies(*paths, **settings).load()


def test_a_reload_is_all_or_nothing(host):
    """What is left out at the start refuses a reload, until it is put right."""
    host.write("a", {"kprobes": [OPENAT]})
    bad = host.write("b", BAD)
    policies = host.policies()
    first = policies.load()
    host.write("c", {"kprobes": [OPENAT]})
    with pytest.raises(PolicyError, match="no_such"):
        policies.load()
    assert policies.change is first
    bad.unlink()

    assert policies.load().difference.added == ("c",)


def test_a_hook_that_fails_costs_only_its_files(host):
    """At the start, what the kernel refuses at the last moment is left out too."""
    cause = KernelError("attach", 2)
    error = HookError(AttachPoint("function", "tcp_connect"), ["b"], cause)
    error.__cause__ = cause
    host.error = error
    host.write("a", {"kprobes": [OPENAT]})
    host.write("b", {"kprobes": [kprobe(call="tcp_connect", args=[])]})
    policies = host.policies()
    make = host.make

    def make_once(*arguments):
        made = make(*arguments)
        host.error = None
        return made

    policies._make_generations = make_once

    assert load(policies)[0] == 1
    assert [error.file for error in policies.change.left_out] == [
        str(host.folder / "b.yaml")
    ]
    assert [made.closed for made in host.made] == [1, 0]
