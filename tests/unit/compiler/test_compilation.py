# SPDX-License-Identifier: Apache-2.0
"""A whole set: what is refused does not change what is not."""

from __future__ import annotations

from tests.unit.compiler.fake_target import FUNCTIONS, FakeTarget
from tests.unit.compiler.interpret import Hit, Process, matches, number, path
from tests.unit.compiler.policies import kprobe, load, load_yaml
from tetragon_py.compiler.compilation import compile_policies
from tetragon_py.compiler.plan import Plan

BAD = """\
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata:
  name: bad
spec:
  kprobes:
  - call: security_file_permission
    syscall: false
  - call: fd_instal
    syscall: false
  selectorsMacros:
    shells:
      matchParentBinaries:
      - {operator: In, values: [/bin/sh], followChildren: true}
  tracepoints:
  - subsystem: raw_syscalls
    event: sys_enter
    selectors:
    - macros: [shells]
"""


def test_a_refused_policy_leaves_no_trace():
    """Not at its good hooks either; all of its errors are told, with their places."""
    [bad] = load_yaml(BAD, "bad.yaml")
    good = load({"kprobes": [kprobe()]}, "good")
    target = FakeTarget()

    result = compile_policies([bad, good], target)

    assert result.plan == compile_policies([good], target).plan
    assert result.refused == {"bad": result.diagnostics}
    assert [str(diagnostic) for diagnostic in result.diagnostics] == [
        "bad.yaml:9:11: error: spec.kprobes[1].call: the kernel has no function "
        "'fd_instal'\n  hint: did you mean 'fd_install'?",
        "bad.yaml:14:9: error: spec.selectorsMacros.shells."
        "matchParentBinaries[0]: followChildren does not work in matchParentBinaries"
        "\n  hint: use it in matchBinaries",
    ]


def test_nothing_is_nothing():
    """An empty set is a plan without hooks and classes."""
    assert compile_policies([], FakeTarget()).plan == Plan()


def test_equal_hooks_have_equal_plans():
    """A policy elsewhere changes nothing here: tables of this hook can stay."""
    entry = {"index": 0, "operator": "Prefix", "values": ["/etc/"]}
    one = load({"kprobes": [kprobe([{"matchArgs": [entry]}])]}, "one")
    two = load({"kprobes": [kprobe([{"matchArgs": [entry]}], call="vfs_write")]}, "two")
    target = FakeTarget()

    [alone] = compile_policies([one], target).plan.hooks
    [first, _] = compile_policies([one, two], target).plan.hooks

    assert alone == first
    assert hash(alone) == hash(first)


def test_a_thousand_policies():
    """On two hooks: every one of them finds what it wants, and only that."""
    target = FakeTarget()
    target.functions["other"] = FUNCTIONS["security_file_permission"]
    calls = ("security_file_permission", "other")
    policies = [
        load(
            {
                "kprobes": [
                    kprobe(
                        [
                            {
                                "matchBinaries": [
                                    {"operator": "In", "values": [f"/bin/{n % 100}"]}
                                ],
                                "matchArgs": [
                                    {
                                        "index": 0,
                                        "operator": "Prefix",
                                        "values": [f"/srv/{n}/"],
                                    },
                                    {
                                        "index": 1,
                                        "operator": "Equal",
                                        "values": [f"{n % 7}"],
                                    },
                                ],
                            }
                        ],
                        call=calls[n % 2],
                    )
                ]
            },
            f"p{n}",
        )
        for n in range(1000)
    ]
    result = compile_policies(policies, target)

    assert not result.diagnostics
    assert [len(hook.selectors) for hook in result.plan.hooks] == [500, 500]
    for n in range(0, 1000, 37):
        hook = result.plan.hooks[n % 2]
        process = Process(binaries=(b"/bin/%d" % (n % 100),))
        slots = {0: path(b"/srv/%d/x" % n), 1: number(n % 7)}

        found = matches(hook, result.plan.classes, Hit(slots, process))
        assert found == [(f"p{n}", "spec.kprobes[0]", 0)]
        slots[1] = number(n % 7 + 1)
        assert matches(hook, result.plan.classes, Hit(slots, process)) == []
