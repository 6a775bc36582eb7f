# SPDX-License-Identifier: Apache-2.0
"""What does not fit is refused as a whole, and says with whom it does not fit."""

from __future__ import annotations

import pytest

from tests.unit.compiler.fake_target import FUNCTIONS, FakeTarget
from tests.unit.compiler.policies import kprobe, load
from tetragon_py.abi import _generated as c
from tetragon_py.compiler import limits
from tetragon_py.compiler.compilation import compile_policies


def compile_specs(specs, target=None):
    policies = [load(spec, f"p{number}") for number, spec in enumerate(specs)]
    result = compile_policies(policies, target or FakeTarget())
    refused = {
        name: [(d.path, d.message, d.hint) for d in errors]
        for name, errors in result.refused.items()
    }
    return result.plan, refused


def equal(index, value):
    return {"index": index, "operator": "Equal", "values": [value]}


def test_selectors():
    """A policy that comes too late is left out everywhere; a smaller one still fits."""
    many = {"kprobes": [kprobe([{}] * 341)]}
    late = {"kprobes": [kprobe([{}] * 2), kprobe(call="fd_install", args=[])]}
    plan, refused = compile_specs([many, many, many, late, {"kprobes": [kprobe()]}])

    assert [len(hook.selectors) for hook in plan.hooks] == [c.SELECTORS_MAX]
    assert refused == {
        "p3": [
            (
                "spec.kprobes[0]",
                "function security_file_permission gets 1025 selectors, more than 1024",
                "together with p0, p1, p2",
            )
        ]
    }


def test_arguments():
    """Equal ones share a slot."""
    types = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
    specs = [
        {
            "kprobes": [
                {
                    "call": "no_btf",
                    "syscall": False,
                    "args": [{"index": index, "type": kind} for kind in types],
                }
            ]
        }
        for index in (0, 1, 0, 2, 1)
    ]
    plan, refused = compile_specs(specs)

    [hook] = plan.hooks
    assert len(hook.arguments) == c.HOOK_ARGUMENTS_MAX
    assert len(hook.selectors) == 4
    assert refused["p3"] == [
        (
            "spec.kprobes[0]",
            "function no_btf gets 24 different arguments, more than 16",
            "together with p0, p1, p2",
        )
    ]


def test_dimensions():
    """Each mask of one selector needs its own; alone the policy is at fault."""
    masks = [
        {"index": 1, "operator": "Mask", "values": [str(1 << bit)]} for bit in range(25)
    ]
    specs = [
        {"kprobes": [kprobe([{"matchArgs": masks}])]},
        {"kprobes": [kprobe([{"matchArgs": masks[:24]}])]},
        {"kprobes": [kprobe([{"matchArgs": masks[:3]}])]},
        {"kprobes": [kprobe([{"matchArgs": [equal(1, "1")]}])]},
    ]
    plan, refused = compile_specs(specs)

    assert len(plan.hooks[0].dimensions) == c.DIMENSIONS_MAX
    assert refused == {
        "p0": [
            (
                "spec.kprobes[0]",
                "function security_file_permission gets 25 different properties to "
                "compare, more than 24",
                "split the policy over several hooks",
            )
        ],
        "p3": [
            (
                "spec.kprobes[0]",
                "function security_file_permission gets 25 different properties to "
                "compare, more than 24",
                "together with p1, p2",
            )
        ],
    }


def test_searched_texts():
    """Policies that search for the same share its states."""

    def search(*values):
        entry = {"index": 0, "operator": "SubString", "values": list(values)}
        return {"kprobes": [kprobe([{"matchArgs": [entry]}])]}

    first = [f"{n:0200}" for n in range(9)]
    plan, refused = compile_specs([search(*first), search(*first), search("y" * 248)])

    assert len(plan.hooks[0].selectors) == 2
    assert [name for name, _ in refused.items()] == ["p2"]
    [(_, message, _)] = refused["p2"]
    assert message.endswith("gets 2048 bytes of texts to search for, more than 2047")


def test_followed_sets():
    """64 of all policies; equal sets are one."""

    def follow(number):
        entry = {
            "operator": "In",
            "values": [f"/bin/{number % 64}"],
            "followChildren": True,
        }
        return {"kprobes": [kprobe([{"matchBinaries": [entry]}])]}

    other = {"operator": "In", "values": [1], "followForks": True}
    specs = [follow(n) for n in range(70)]
    specs.append({"kprobes": [kprobe([{"matchPIDs": [other]}])]})
    plan, refused = compile_specs(specs)

    assert len(plan.hooks[0].selectors) == 70
    assert max(plan.classes.begin_follows) == 1 << 63
    assert refused == {
        "p70": [
            (
                "spec.kprobes[0]",
                "more than 64 different sets are followed",
                "all policies with followChildren or followForks share them",
            )
        ]
    }


def test_attach_points(monkeypatch):
    """Hooks have numbers, and there are only so many."""
    monkeypatch.setattr(limits, "_POINTS_MAX", 2)
    calls = ("read", "write", "close")
    plan, refused = compile_specs([{"kprobes": [{"call": call}]} for call in calls])

    assert len(plan.hooks) == 2
    assert [message for _, message, _ in refused["p2"]] == [
        "all policies together have more than 2 attach points"
    ]


def texts(operator, count, size, hooks=1):
    values = [f"{number:0{size}}" for number in range(count)]
    entry = {"index": 0, "operator": operator, "values": values}
    arguments = [{"index": 1, "type": "char_buf", "sizeArgIndex": 3}]
    whole = {"args": arguments} if operator == "Equal" else {}
    if whole:
        entry["index"] = 1
    selectors = [{"matchArgs": [entry]}]
    calls = ("vfs_write", "other")[:hooks]
    return {"kprobes": [kprobe(selectors, call=call, **whole) for call in calls]}


SHARED = {
    "automata": (
        texts("SubString", 5, 204, hooks=2),  # 2,042 rows of 2,048
        texts("SubString", 1, 7),
        texts("SubString", 1, 6),
        (2049, 2048, 4096),
    ),
    "short_texts": (
        texts("Equal", 2040, 7),
        texts("Equal", 9, 6),
        texts("Equal", 8, 5),
        (2049, 2048, 4096),
    ),
    "long_texts": (
        texts("Equal", 250, 480),
        texts("Equal", 7, 481),
        texts("Equal", 6, 482),
        (257, 256, 512),
    ),
    "counters": (
        {"kprobes": [kprobe([{}] * 1024, call=f"f{n}") for n in range(7)]},
        {"kprobes": [kprobe([{}] * 513, call=f"f{n}") for n in (7, 8)]},
        {"kprobes": [kprobe([{}] * 512, call=f"f{n}") for n in (7, 8)]},
        (8194, 8192, 16384),
    ),
}


@pytest.mark.parametrize("table", SHARED)
def test_tables_that_all_hooks_share(table):
    """Half is for one set; who comes too late is refused, who fits after it is not."""
    *specs, (count, limit, rows) = SHARED[table]
    target = FakeTarget()
    for name in ("other", *(f"f{n}" for n in range(9))):
        target.functions[name] = FUNCTIONS["vfs_write"]
    plan, refused = compile_specs(specs, target)
    names = {s.policy for hook in plan.hooks for s in hook.selectors}

    assert refused == {
        "p1": [
            (
                "spec.kprobes[0]",
                f"all policies together need up to {count} rows of the table {table}, "
                f"more than {limit}",
                f"half of its {rows} rows: a reload needs the old and the new ones at "
                "once",
            )
        ]
    }
    assert names == {"p0", "p2"}


@pytest.mark.parametrize("count", [9, 12])
def test_long_lists_of_policies_are_cut(count):
    """The first ones are named, the others counted."""
    specs = [{"kprobes": [kprobe([{}] * 100)]}] * count
    specs.append({"kprobes": [kprobe([{}] * 1000)]})
    _, refused = compile_specs(specs)

    [(_, _, hint)] = refused[f"p{count}"]
    policies = min(count, 10)
    assert (
        hint == f"together with p0, p1, p2, p3, p4, p5, p6, p7 and {policies - 8} more"
    )
