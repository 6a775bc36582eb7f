# SPDX-License-Identifier: Apache-2.0
"""One policy by itself."""

from __future__ import annotations

import pytest

from tests.unit.compiler.fake_target import FakeTarget
from tests.unit.compiler.policies import kprobe, load, load_yaml, problem
from tetragon_py.compiler.entries import compile_entries

SELECTED = {"matchLabels": {"app": "db"}}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("podSelector", SELECTED),
        ("containerSelector", {"matchLabels": {"name": "db"}}),
        ("hostSelector", {}),
        ("nodeSelector", SELECTED),
    ],
)
def test_workloads_are_not_told_apart(key, value):
    """Such a policy would apply to too many processes, or too few."""
    assert problem({"kprobes": [kprobe()], key: value})[:2] == (
        f"spec.{key}",
        f"{key} cannot run in this release: workloads are not told apart",
    )


def test_later_parts():
    """Namespaced policies, and events of the loader."""
    assert problem({"kprobes": [kprobe()], "loader": True})[:2] == (
        "spec.loader",
        "loader events cannot run in this release",
    )
    [loaded] = load_yaml(
        "{apiVersion: cilium.io/v1alpha1, kind: TracingPolicyNamespaced, "
        "metadata: {name: a, namespace: b}, spec: {kprobes: [{call: read}]}}"
    )
    _, found = compile_entries(loaded.policy, FakeTarget())
    assert [(f.path, f.message) for f in found] == [
        (("kind",), "a namespaced policy cannot run in this release")
    ]


def test_the_same_is_said_once():
    """A list with a mistake is used by two hooks, and its argument by all points."""
    spec = {
        "lists": [{"name": "a", "values": ["fd_install", "fd_instal", "tcp_close"]}],
        "kprobes": [
            {
                "call": "list:a",
                "syscall": False,
                "args": [{"index": 3, "type": "int"}],
            }
        ]
        * 2,
    }
    _, found = compile_entries(load(spec).policy, FakeTarget())

    assert [(finding.path[1:3], finding.message) for finding in found] == [
        (("lists", 0), "the kernel has no function 'fd_instal'"),
        (("kprobes", 0), "'fd_install' has no argument 3"),
        (("kprobes", 0), "'tcp_close' has no argument 3"),
        (("kprobes", 1), "'fd_install' has no argument 3"),
        (("kprobes", 1), "'tcp_close' has no argument 3"),
    ]


def test_a_hook_without_selectors():
    """It always matches, and posts."""
    entries, found = compile_entries(load({"kprobes": [kprobe()]}).policy, FakeTarget())

    [entry] = entries
    [selector] = entry.selectors
    assert not found
    assert (selector.number, list(selector.conditions), selector.denies) == (
        0,
        [],
        False,
    )
    assert entry.place == "spec.kprobes[0]"
