# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.daemon.judgement: all that is to be said, and nothing twice."""

from __future__ import annotations

import pytest

from tests.unit.compiler.policies import kprobe
from tests.unit.daemon.policy_host import KILL, Target
from tetragon_py.daemon.judgement import enforcing_actions, judge
from tetragon_py.policy.diagnostic import Cause
from tetragon_py.policy.source import load_policies


def test_monitoring_that_was_asked_for_is_not_announced(host):
    """A policy in monitor mode gets what it wants."""
    monitor = [{"name": "policy-mode", "value": "monitor"}]
    path = host.write("a", {"kprobes": [KILL], "options": monitor})
    [loaded] = load_policies([path]).policies

    assert enforcing_actions(loaded.policy) == []


def said(host, target=None, probe=None):
    found = judge(load_policies([host.folder]), target or Target(), probe)
    return [f"{d.severity}: {d.path}: {d.message}" for d in found.diagnostics], found


TO_FILL = {"values": ["${MASK}"]}


def test_without_probes_nothing_is_said_about_attaching(host):
    """Who may not try hooks gets a judgement of the document."""
    host.missing = {"fentry", "kprobe"}
    host.write("a", {"kprobes": [kprobe()]})

    assert said(host)[0] == []
    assert len(said(host, probe=host.probe)[1].errors) == 1


def test_what_does_not_run_is_said_once(host):
    """Where the compiler refuses a part, the note for it is left out."""
    host.write("a", {"uprobes": [{"path": "/bin/sh", "symbols": ["main"]}]})

    assert said(host)[0] == [
        "error: spec.uprobes[0]: uprobes cannot run in this release"
    ]


@pytest.mark.parametrize(
    ("spec", "cause"),
    [
        ({"kprobes": [kprobe()]}, Cause.KERNEL),  # no back end
        ({"kprobes": [{"call": "mseal"}]}, Cause.KERNEL),
        ({"kprobes": [{"call": "opnat"}]}, Cause.MISTAKE),
        ({"uprobes": [{"path": "/bin/sh", "symbols": ["main"]}]}, Cause.RELEASE),
        (
            {
                "kprobes": [
                    kprobe(
                        [{"matchArgs": [{"index": 1, "operator": "Equal"} | TO_FILL]}]
                    )
                ]
            },
            Cause.PLACEHOLDER,
        ),
    ],
)
def test_whatever_the_cause_the_set_is_refused(host, spec, cause):
    """What `policy check` has a note for is an error here."""
    host.missing = {"fentry", "kprobe"}
    host.write("a", spec)
    found = judge(load_policies([host.folder]), Target(), host.probe)

    assert [error.cause for error in found.errors] == [cause]
    assert ": error: " in host.refusal()
    assert host.made == []


@pytest.mark.parametrize(
    ("spec", "subject", "path", "what"),
    [
        (
            {"tracepoints": [{"subsystem": "a", "event": "b"}]},
            "tracepoints",
            "spec.tracepoints[0].event",
            "tracepoint 'a/b'",
        ),
        (
            {"kprobes": [kprobe(call="tcp_connects", args=[])]},
            "functions",
            "spec.kprobes[0].call",
            "function 'tcp_connects'",
        ),
        (
            {"lsmhooks": [{"hook": "file_opens"}]},
            "types",
            "spec.lsmhooks[0].hook",
            "LSM hook 'file_opens'",
        ),
    ],
)
def test_what_cannot_be_told(host, spec, subject, path, what):
    """A name that cannot be looked up is not said to be missing; the hint says why."""
    host.write("a", spec)
    texts, found = said(host, Target(**{subject: "root only"}))

    assert texts == [f"error: {path}: it cannot be told whether the kernel has {what}"]
    assert [(d.hint, d.cause) for d in found.errors] == [("root only", Cause.KERNEL)]
    assert said(host)[0] == [f"error: {path}: the kernel has no {what}"]


def test_order_is_that_of_files_and_lines(host):
    """What is said about one file stands together, from its first line on."""
    stack = {"matchActions": [{"action": "Post", "kernelStackTrace": True}]}
    host.write("a", {"kprobes": [kprobe([stack]), kprobe(call="no_such", args=[])]})
    host.write("b", {"kprobes": [kprobe([stack])]})

    assert [text.split(":")[1].strip() for text in said(host)[0]] == [
        "spec.kprobes[0].selectors[0].matchActions[0].kernelStackTrace",
        "spec.kprobes[1].call",
        "spec.kprobes[0].selectors[0].matchActions[0].kernelStackTrace",
    ]
