# SPDX-License-Identifier: Apache-2.0
"""Counters of selectors: all CPUs together, and as Tetragon names them."""

from __future__ import annotations

import struct

import pytest

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.plan import AttachPoint, HookPlan, SelectorPlan
from tetragon_py.loader.counters import (
    ActionKey,
    SelectorCounters,
    SelectorKey,
    count_actions,
    match_key,
    sum_counters,
)

POINT = AttachPoint("syscall", "lseek", "x64")
POST, SIGNAL, OVERRIDE = c.ACTION_POST, c.ACTION_SIGNAL, c.ACTION_OVERRIDE
NOTIFY, SET, ENFORCE = c.ACTION_NOTIFY_ENFORCER, c.ACTION_SET, c.ACTION_ENFORCE
COUNTED = SelectorCounters(
    matched=100,
    posted=10,
    limited=20,
    signalled=3,
    overridden=4,
    notified=5,
    monitored=99,
    failed=6,
    repeated=7,
    lost=8,
)
NOTHING_DONE = COUNTED._replace(signalled=0, overridden=0, notified=0)


def plan(actions: int, number: int = 0, **changes) -> SelectorPlan:
    return SelectorPlan("p", "spec.kprobes[0]", number, 1, actions, **changes)


def key(number: int = 0) -> SelectorKey:
    return SelectorKey(("p", "spec.kprobes[0]", POINT), number)


def test_fields_are_those_of_the_struct():
    """In its order."""
    assert SelectorCounters._fields == c.SELECTOR_COUNTERS_FIELDS


def test_cpus_are_summed():
    """One value each."""
    values = [struct.pack("<10Q", *range(n, n + 10)) for n in (0, 100)]

    assert sum_counters(values) == tuple(range(100, 120, 2))


@pytest.mark.parametrize(
    ("selector", "counted", "expected"),
    [
        (plan(POST), NOTHING_DONE, {"post": 25}),
        (plan(c.ACTION_NO_POST), NOTHING_DONE, {"nopost": 100}),
        (plan(POST | SIGNAL), NOTHING_DONE, {"post": 25, "signal": 0}),
        (
            plan(POST | SIGNAL | OVERRIDE | NOTIFY),
            COUNTED,
            {"post": 25, "signal": 3, "override": 4, "notify_enforcer": 5},
        ),
        (
            plan(
                POST | SIGNAL | OVERRIDE | NOTIFY | SET,
                monitored=SIGNAL | OVERRIDE | NOTIFY | SET,
            ),
            COUNTED,
            {
                "post": 25,
                "monitor_signal": 99,
                "monitor_override": 99,
                "monitor_notify_enforcer": 99,
                "monitor_set": 99,
            },
        ),
        (
            plan(POST | ENFORCE),
            COUNTED._replace(signalled=0, notified=0),
            {"post": 25, "signal": 0, "override": 4},
        ),
        # the option on-failure
        (
            plan(OVERRIDE),
            NOTHING_DONE._replace(signalled=2),
            {"override": 0, "signal": 2},
        ),
    ],
)
def test_actions(selector, counted, expected):
    """Tetragon's words, of what was asked for and of what was done."""
    found = count_actions([HookPlan(POINT, (), (), (selector,))], {key(): counted})

    assert {one.action: count for one, count in found.items()} == expected


def test_places():
    """Policy, hook, selector with its label; nothing of selectors without a row."""
    selectors = (
        plan(0),  # another part carries it out
        plan(POST),
        plan(c.ACTION_NO_POST, 1, label="quiet"),
        plan(POST, 2),
    )
    hook = HookPlan(POINT, (), (), selectors)
    counters = {key(0): NOTHING_DONE, key(1): NOTHING_DONE}

    assert match_key(POINT, selectors[0]) == key().match
    assert count_actions([hook], counters) == {
        ActionKey("p", "spec.kprobes[0]", POINT, 0, "", "post"): 25,
        ActionKey("p", "spec.kprobes[0]", POINT, 1, "quiet", "nopost"): 100,
    }
