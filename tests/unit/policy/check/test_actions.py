# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.policy.check.actions: where actions work, what they need."""

from __future__ import annotations

import pytest

from tests.unit.policy.texts import check_refused, said_of


def test_refused():
    """Each broken rule is told with its place and a hint."""
    check_refused("check-actions")


@pytest.mark.parametrize(
    ("section", "hook", "action"),
    [
        ("kprobes", "call: f", "action: post, rateLimit: 5m, rateLimitScope: Global"),
        ("fentries", "call: f", "action: Override, argError: -4095"),
        ("fentries", "call: f", "action: Sigkill"),
        ("lsmhooks", "hook: file_open", "action: Post, imaHash: true"),
        ("lsmhooks", "hook: file_open", "action: Signal, argSig: 64"),
        ("tracepoints", "subsystem: s, event: e", "action: GetUrl, argUrl: http://x"),
        ("tracepoints", "subsystem: s, event: e", "action: DnsLookup, argFqdn: x.y"),
        ("uprobes", "path: /x, symbols: [f]", "action: Override, argNewAddr: 1"),
        ("usdts", "path: /x, provider: p, name: n", "action: NoPost"),
    ],
)
def test_accepted(section, hook, action):
    """What the rules allow draws nothing."""
    spec = f"{section}: [{{{hook}, selectors: [{{matchActions: [{{{action}}}]}}]}}]"

    assert said_of(spec) == []


def test_return_actions():
    """With the return of the function, its actions are allowed."""
    spec = """
        kprobes:
        - call: f
          return: true
          returnArg: {type: int}
          selectors:
          - matchReturnArgs: [{operator: LT, values: ['0']}]
            matchReturnActions: [{action: Sigkill}]
        """

    assert said_of(spec) == []
