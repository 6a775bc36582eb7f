# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.daemon.reload: one at a time, and each has a result."""

from __future__ import annotations

import threading

import pytest
import structlog.testing

from tests.unit.compiler.policies import kprobe
from tests.unit.daemon.policy_host import OPENAT
from tetragon_py.daemon.control import Control
from tetragon_py.daemon.reload import Reloads
from tetragon_py.errors import KernelError, PolicyError

BAD = {"kprobes": [kprobe(call="no_such", args=[])]}


class Bench:
    """Reloads of a set without a kernel; `told` has what came of each."""

    def __init__(self, host, control):
        self.policies = host.policies()
        self.control = control
        self.told = []
        self.before = 0
        self.reloads = Reloads(self.policies, control, self.tell, self.count)

    def tell(self, event):
        self.told.append(event)
        if not self.reloads._next:
            self.control.stop()

    def count(self):
        self.before += 1

    def reload(self, trigger="sighup"):
        """Ask, and wait for what comes of it."""
        self.control.is_stopping = False
        self.reloads.request(trigger)
        self.control.run()
        return self.told[-1]


@pytest.fixture
def bench(host):
    with Control() as control:
        yield Bench(host, control)


def test_the_first_load_is_told(host, bench):
    """With what is left out; no policies are not worth a word."""
    bench.reloads.first()
    assert bench.told == []
    host.write("a", {"kprobes": [OPENAT]})
    other = Bench(host, bench.control)
    bad = host.write("b", BAD)
    other.reloads.first()
    [event] = other.told
    [problem] = event.problems

    assert (event.result, event.trigger, event.policies) == ("applied", "start", 1)
    assert (event.added, event.attached) == (("a",), ("syscall openat x64",))
    assert (problem.file, problem.line) == (str(bad), 10)
    assert problem.field == "spec.kprobes[0].call"
    assert (other.reloads.good, other.reloads.bad) == (0, 0)


def test_the_first_load_can_fail(host, tmp_path):
    """Then nothing starts."""
    with Control() as control:
        policies = host.policies(tmp_path / "none.yaml")
        with pytest.raises(PolicyError):
            Reloads(policies, control, lambda _: None).first()


def test_a_good_reload(host, bench):
    """The difference is told; the same again is told as that."""
    bench.reloads.first()
    host.write("a", {"kprobes": [OPENAT]})
    event = bench.reload()
    same = bench.reload("watch")

    assert (event.result, event.added, event.generation) == ("applied", ("a",), 1)
    assert len(event.digest) == 64
    assert (same.result, same.trigger, same.generation) == ("unchanged", "watch", 1)
    assert (same.added, same.digest) == ((), event.digest)
    assert (bench.reloads.good, bench.reloads.bad, bench.before) == (2, 0, 2)
    assert bench.reloads.last is same


def test_a_bad_reload(host, bench):
    """The diagnostics are told and logged; what is in force is named as before."""
    host.write("a", {"kprobes": [OPENAT]})
    bench.reloads.first()
    [first] = bench.told
    bad = host.write("b", BAD)
    with structlog.testing.capture_logs() as logs:
        event = bench.reload()

    assert event.result == "refused"
    assert (event.digest, event.generation) == (first.digest, first.generation)
    [problem] = event.problems
    assert (problem.file, problem.message) == (
        str(bad),
        "the kernel has no function 'no_such'",
    )
    assert logs == [
        {
            "event": "policies are refused",
            "log_level": "error",
            "error": problem.message,
            "file": str(bad),
            "line": problem.line,
            "field": problem.field,
        },
        {
            "event": "the policies before stay in force",
            "log_level": "warning",
            "policies": 1,
            "generation": 1,
            "errors": 1,
        },
    ]
    assert (bench.reloads.good, bench.reloads.bad) == (0, 1)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (KernelError("update", 12), "update: Cannot allocate memory (ENOMEM)"),
        (RuntimeError("a bug"), "RuntimeError('a bug')"),
    ],
)
def test_whatever_fails_the_agent_lives(host, bench, error, text):
    """A failure of the kernel, and of our own, is a bad reload."""
    host.write("a", {"kprobes": [OPENAT]})
    bench.reloads.first()
    [made] = host.made
    made.error = error
    host.write("b", {"kprobes": [OPENAT]})
    event = bench.reload()

    assert (event.result, event.problems[0].message) == ("refused", text)
    made.error = None
    assert bench.reload().result == "applied"


def test_many_requests_are_one_more(bench):
    """However often one asks while a reload runs."""
    free = threading.Event()
    load = bench.policies.load
    calls = []

    def slow():
        calls.append(1)
        assert free.wait(30)
        return load()

    bench.policies.load = slow
    bench.reloads.request("first")
    for number in range(1000):
        bench.reloads.request(f"{number}")
    assert bench.reloads.is_running
    free.set()
    bench.control.run()

    assert [event.trigger for event in bench.told] == ["first", "999"]
    assert (len(calls), bench.reloads.is_running) == (2, False)


def test_wait_ends_it(host, bench):
    """At the end of the agent no other one begins."""
    host.write("a", {"kprobes": [OPENAT]})
    bench.reloads.request("one")
    bench.reloads.request("two")
    bench.reloads.wait()

    assert not bench.reloads.is_running
    bench.reloads.wait()
    assert bench.policies.change.policies == 1
