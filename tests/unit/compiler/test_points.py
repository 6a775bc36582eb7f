# SPDX-License-Identifier: Apache-2.0
"""Several policies on one point: slots, numbers, ends."""

from __future__ import annotations

from tests.unit.compiler.interpret import Hit, number, path, winners
from tests.unit.compiler.policies import compiled, kprobe
from tetragon_py.abi import _generated as c


def equal(value):
    entry = {"index": 1, "operator": "Equal", "values": [f"{value}"]}
    return {"matchArgs": [entry]}


def test_numbers_follow_the_policies():
    """Policy, then hook, then selector; each hook entry has its own end."""
    first = {"kprobes": [kprobe([equal(1), {}]), kprobe(call="fd_install", args=[])]}
    second = {"kprobes": [kprobe([equal(2)]), kprobe([{}, {}, {}])]}
    plan = compiled(first, second)
    shared, alone = plan.hooks

    assert [(s.policy, s.hook_entry, s.number, s.last) for s in shared.selectors] == [
        ("p0", "spec.kprobes[0]", 0, 1),
        ("p0", "spec.kprobes[0]", 1, 1),
        ("p1", "spec.kprobes[0]", 0, 2),
        ("p1", "spec.kprobes[1]", 0, 5),
        ("p1", "spec.kprobes[1]", 1, 5),
        ("p1", "spec.kprobes[1]", 2, 5),
    ]
    assert [s.hook_entry for s in alone.selectors] == ["spec.kprobes[1]"]
    hit = Hit({0: path(b"/"), 1: number(1)})
    assert winners(shared, plan.classes, hit) == [
        ("p0", "spec.kprobes[0]", 0),
        ("p1", "spec.kprobes[1]", 0),
    ]


def test_slots_are_shared():
    """What one policy filters and the other only shows is captured once."""
    swapped = [{"index": 1, "type": "int"}, {"index": 0, "type": "file"}]
    wide = [{"index": 1, "type": "int64"}]
    plan = compiled(
        {"kprobes": [kprobe([equal(1)])]},
        {"kprobes": [kprobe(args=swapped)]},
        {"kprobes": [kprobe(args=wide)]},
    )
    [hook] = plan.hooks

    assert [(a.type, a.flags) for a in hook.arguments] == [
        (c.ARGUMENT_FILE, 0),
        (c.ARGUMENT_INT32, c.ARGUMENT_FILTERED),
        (c.ARGUMENT_INT64, 0),
    ]
    assert [s.arguments for s in hook.selectors] == [(0, 1), (1, 0), (2,)]


def test_nop_takes_no_slot():
    """It is not shown either."""
    arguments = [{"index": 0, "type": "nop"}, {"index": 1, "type": "int"}]
    [hook] = compiled({"kprobes": [kprobe([equal(1)], args=arguments)]}).hooks

    assert [a.type for a in hook.arguments] == [c.ARGUMENT_INT32]
    assert hook.selectors[0].arguments == (0,)


def test_returns():
    """Only those who asked tell it, but the hook waits for it."""
    returning = kprobe(returnArg={"index": 0, "type": "int"}) | {"return": True}
    silent = kprobe(returnArg={"index": 0, "type": "int"})
    [hook] = compiled({"kprobes": [kprobe()]}, {"kprobes": [returning]}).hooks

    assert hook.wants_return
    assert [(s.tells_return, s.return_slot) for s in hook.selectors] == [
        (False, None),
        (True, 2),
    ]
    [hook] = compiled({"kprobes": [silent]}).hooks
    assert not hook.wants_return
    assert len(hook.arguments) == 2


def test_both_sets_of_capabilities_gained_are_captured_first():
    """The dimension names two slots."""
    entry = {"args": [1, 0], "operator": "CapabilitiesGained"}
    arguments = [
        {"index": 2, "type": "cap_effective"},
        {"index": 2, "type": "cap_permitted"},
    ]
    spec = kprobe([{"matchArgs": [entry]}], call="capset_hook", args=arguments)
    [hook] = compiled({"kprobes": [spec]}).hooks

    assert [a.flags for a in hook.arguments] == [c.ARGUMENT_FILTERED] * 2
    assert [(d.slot, d.width) for d in hook.dimensions] == [(1, 0)]
