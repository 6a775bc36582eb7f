# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.policy.check.policy: lists, options, enforcers, uprobes."""

from __future__ import annotations

from tests.unit.policy.texts import check_refused, policy_text, said, said_of


def test_refused():
    """Each broken rule is told with its place and a hint."""
    check_refused("check-policy")


def test_namespaced():
    """A namespaced policy says nothing about hosts."""
    spec = "hostSelector: {}\nkprobes: [{call: f}]"

    assert said_of(spec) == []
    assert said(policy_text(spec, kind="TracingPolicyNamespaced")) == [
        "6:17: error: spec.hostSelector: is not allowed in a namespaced policy"
    ]


def test_patterns_that_python_reads_differently():
    """A pattern may hang on the way Python nests sets, or be too deep for it."""
    spec = "lists: [{name: a, type: generated_ftrace, pattern: '%s'}]\nloader: true"

    assert said_of(spec % "[[:alpha:]]_") == []
    assert len(said_of(spec % ("(" * 256))) == 1


def test_several_sections():
    """One policy may have hooks of every kind."""
    spec = """
        kprobes: [{call: f}]
        fentries: [{call: f}, {call: f}]
        tracepoints: [{subsystem: s, event: e}]
        lsmhooks: [{hook: file_open}]
        uprobes: [{path: /x, addrs: [0x10]}]
        usdts: [{path: /x, provider: p, name: n}]
        """

    assert said_of(spec) == []
