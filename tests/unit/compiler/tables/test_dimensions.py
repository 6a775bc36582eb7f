# SPDX-License-Identifier: Apache-2.0
"""Dimensions: one per property as far as that goes, in the order of their cost."""

from __future__ import annotations

from tests.unit.compiler.interpret import Hit, matches, number, path
from tests.unit.compiler.policies import compiled, kprobe, one_hook
from tetragon_py.abi import _generated as c


def args(*entries):
    return {
        "matchArgs": [
            {"index": index, "operator": operator, "values": list(values)}
            for index, operator, *values in entries
        ]
    }


def kinds(hook):
    return [dimension.kind for dimension in hook.dimensions]


def test_one_property_is_one_dimension():
    """However many selectors ask, and whatever for."""
    hook, _ = one_hook(
        args((1, "Equal", "1"), (1, "GT", "0")),
        args((1, "NotInRange", "4:9")),
        args((0, "Equal", "/a"), (0, "NotPrefix", "/b")),
        args((0, "Prefix", "/a"), (0, "Prefix", "/abc")),
    )

    assert kinds(hook) == [c.DIMENSION_RANGE, c.DIMENSION_TEXT]


def test_what_one_look_up_cannot_hold():
    """Two masks of one selector are two dimensions; other selectors share the first."""
    hook, classes = one_hook(
        args((1, "Mask", "1"), (1, "Mask", "6")), args((1, "Mask", "4"))
    )

    assert kinds(hook) == [c.DIMENSION_BITS] * 2
    found = {
        value: [n for *_, n in matches(hook, classes, Hit({0: None, 1: number(value)}))]
        for value in (1, 2, 3, 4, 5)
    }
    assert found == {1: [], 2: [], 3: [0], 4: [1], 5: [0, 1]}


def test_order():
    """Process, numbers, texts, searches; what is known at the return comes last."""
    selector = args(
        (0, "SubString", "x"),
        (0, "Equal", "/" + "a" * 300),
        (0, "Postfix", "x"),
        (0, "Prefix", "/"),
        (1, "Mask", "1"),
        (1, "GT", "1"),
        (0, "FileType", "reg"),
    ) | {
        "matchReturnArgs": [{"index": 0, "operator": "Equal", "values": ["0"]}],
        "matchPIDs": [{"operator": "NotIn", "values": [1]}],
        "matchBinaries": [{"operator": "In", "values": ["/x"]}],
    }
    returned = {"returnArg": {"index": 0, "type": "int"}, "return": True}
    hook, _ = one_hook(selector, **returned)

    assert [(d.source, d.kind) for d in hook.dimensions] == [
        (c.SOURCE_PID, c.DIMENSION_RANGE),
        (c.SOURCE_BINARY, c.DIMENSION_CLASS),
        (c.SOURCE_ARGUMENT, c.DIMENSION_RANGE),
        (c.SOURCE_ARGUMENT, c.DIMENSION_BITS),
        (c.SOURCE_ARGUMENT, c.DIMENSION_RANGE),
        (c.SOURCE_ARGUMENT, c.DIMENSION_TEXT),
        (c.SOURCE_ARGUMENT, c.DIMENSION_TEXT_END),
        (c.SOURCE_ARGUMENT, c.DIMENSION_TEXT_WHOLE),
        (c.SOURCE_ARGUMENT, c.DIMENSION_SUBSTRING),
        (c.SOURCE_ARGUMENT, c.DIMENSION_RANGE),
    ]
    last = hook.dimensions[-1]
    assert last.flags == c.DIMENSION_AT_RETURN | c.DIMENSION_SIGNED
    assert not any(d.flags & c.DIMENSION_AT_RETURN for d in hook.dimensions[:-1])


def test_who_does_not_ask_does_not_care():
    """Selectors without a condition match what others cannot read."""
    asked = args((0, "NotEqual", "/a"))
    plan = compiled({"kprobes": [kprobe([asked, {}])]}, {"kprobes": [kprobe()]})
    [hook] = plan.hooks

    def found(value):
        return [e[::2] for e in matches(hook, plan.classes, Hit({0: value}))]

    assert found(path(b"/b")) == [("p0", 0), ("p0", 1), ("p1", 0)]
    assert found(path(b"/a")) == found(None) == [("p0", 1), ("p1", 0)]


def test_deny_on_read_error():
    """Enforcing selectors of a policy that wants it match what cannot be read."""
    kill = {"matchActions": [{"action": "Sigkill"}]}
    selectors = [args((0, "Prefix", "/a")) | kill, args((0, "Prefix", "/a"))]
    deny = {"options": [{"name": "on-read-error", "value": "deny"}]}
    plan = compiled(
        {"kprobes": [kprobe(selectors)]} | deny, {"kprobes": [kprobe(selectors)]}
    )
    [hook] = plan.hooks

    found = [e[::2] for e in matches(hook, plan.classes, Hit({0: None}))]
    assert found == [("p0", 0)]
    assert matches(hook, plan.classes, Hit({0: path(b"/b")})) == []
