# SPDX-License-Identifier: Apache-2.0
"""All filters of a selector together, and the places of what is wrong."""

from __future__ import annotations

from tests.unit.compiler.fake_target import FakeTarget
from tests.unit.compiler.interpret import Hit, Process, matches, number, path
from tests.unit.compiler.policies import (
    findings,
    kprobe,
    load_yaml,
    one_hook,
    problem,
)
from tetragon_py.compiler.compilation import compile_policies

SELECTOR = {
    "matchPIDs": [{"operator": "In", "values": [100]}],
    "matchBinaries": [{"operator": "Prefix", "values": ["/bin/"]}],
    "matchArgs": [
        {"index": 0, "operator": "Prefix", "values": ["/etc/"]},
        {"index": 1, "operator": "Mask", "values": ["2"]},
    ],
    "matchData": [{"args": [1], "operator": "GT", "values": ["3"]}],
    "matchReturnArgs": [{"index": 0, "operator": "Equal", "values": ["-1"]}],
}
DATA = [
    {"source": "current_task", "resolve": "pid"},
    {"source": "current_task", "resolve": "flags"},
]


def hit(**change):
    """One that matches, with one thing changed."""
    slots = {0: path(b"/etc/x"), 1: number(2), 2: number(0), 3: number(4)}
    slots |= {4: number(-1)} | change.pop("slots", {})
    return Hit(slots, Process(**change))


def test_every_filter_must_match():
    """Of the process, of arguments, of data and of what is returned."""
    returned = {"returnArg": {"index": 0, "type": "int"}, "return": True}
    hook, classes = one_hook(SELECTOR, data=DATA, **returned)

    assert matches(hook, classes, hit())
    for change in (
        {"pids": (101,)},
        {"binaries": (b"/sbin/x",)},
        {"slots": {0: path(b"/etc")}},
        {"slots": {1: number(1)}},
        {"slots": {3: number(3)}},
        {"slots": {4: number(0)}},
        {"slots": {4: None}},
    ):
        assert not matches(hook, classes, hit(**change)), change


def test_impossible_filters_are_told():
    """The policy runs; its author probably meant something else."""
    entries = [
        {"index": 1, "operator": "Equal", "values": [value]} for value in ("1", "2")
    ]

    assert findings({"kprobes": [kprobe([{"matchArgs": entries}])]}) == [
        (
            "spec.kprobes[0].selectors[0]",
            "never matches: its filters leave no number",
        )
    ]


def test_all_mistakes_are_told():
    """One run of the compiler shows them all, at the line of each."""
    [loaded] = load_yaml("""\
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: mistakes}
spec:
  kprobes:
  - call: security_bprm_check
    syscall: false
    args:
    - {index: 0, resolve: argc}
    - {index: 3, type: int}
    - {index: 0, type: nop}
    selectors:
    - matchArgs:
      - args: [0]
        operator: Equal
        values: ["1", "x"]
      - args: [0]
        operator: Prefix
        values: ["/"]
      - args: [1]
        operator: Equal
        values: ["1"]
      matchParentBinaries:
      - {operator: In, values: [/bin/sh], followChildren: true}
""")
    result = compile_policies([loaded], FakeTarget())

    assert [(d.line, d.column, d.message) for d in result.diagnostics] == [
        (10, 7, "'security_bprm_check' has no argument 3"),
        (24, 9, "followChildren does not work in matchParentBinaries"),
        (16, 23, "'x' is no whole number"),
        (18, 19, "Prefix does not work on type int32"),
    ]


def test_expressions_cannot_run():
    """They are understood by the policy package and refused here."""
    entry = {"operator": "CelExpr", "values": ["arg0 == 1"]}
    spec = kprobe([{"matchArgs": [entry]}], args=[{"index": 1, "type": "int"}])

    assert problem({"kprobes": [spec]})[:2] == (
        "spec.kprobes[0].selectors[0].matchArgs[0].operator",
        "CelExpr cannot run in this release",
    )
