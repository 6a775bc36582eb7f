# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.policy.model.policy: the document's own fields."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tests.unit.policy.texts import policy_text, read_policy, said
from tetragon_py.policy.documents import load_text


@pytest.mark.parametrize("name", ["a", "a.b-c", "process.credentials", "x" * 253])
def test_names(name):
    """A name is one of DNS: lower case letters, digits, minus and dots."""
    assert said(policy_text("kprobes: [{call: f}]", name=name)) == []


@pytest.mark.parametrize("name", ["A", "a_b", "-a", "a.", "a..b", "'a b'", "x" * 254])
def test_wrong_names(name):
    """Anything else is refused with the rule."""
    [line] = said(policy_text("kprobes: [{call: f}]", name=name))

    assert line.startswith("4:9: error: metadata.name: '")
    assert "hint: use lower case letters, digits" in line


def test_head():
    """What makes a document a policy is required and must be right."""
    assert said(
        "apiVersion: cilium.io/v1\nkind: TracingPolcy\nspec: {kprobe: []}\n"
    ) == [
        "1:1: error: metadata: is required",
        "1:13: error: apiVersion: 'cilium.io/v1' is not allowed\n"
        "  hint: did you mean 'cilium.io/v1alpha1'?",
        "2:7: error: kind: unknown kind 'TracingPolcy'\n"
        "  hint: did you mean 'TracingPolicy'?",
        "3:8: error: spec.kprobe: unknown field\n  hint: did you mean 'kprobes'?",
    ]


def test_metadata_of_a_cluster():
    """A policy that was read from a cluster loads as it is."""
    text = policy_text("kprobes: [{call: f}]").replace(
        "  name: test\n",
        "  name: test\n  creationTimestamp: 2024-01-01T00:00:00Z\n  generation: 3\n"
        "  managedFields: [{manager: kubectl}]\n  labels: {a: b}\n",
    )

    assert said(text) == []


def test_namespaces():
    """Only a namespaced policy has a namespace."""
    assert read_policy("kprobes: [{call: f}]").namespace == ""
    text = policy_text("kprobes: [{call: f}]", kind="tracingpolicynamespaced")
    [loaded] = load_text(text.encode(), "f").policies
    assert loaded.policy.namespace == "default"
    [loaded] = load_text(
        text.replace("name: test", "name: test\n  namespace: web").encode(), "f"
    ).policies
    assert loaded.policy.namespace == "web"


def test_hooks():
    """All hooks come with the section and position that lead to them."""
    policy = read_policy(
        "lsmhooks: [{hook: file_open}]\nkprobes: [{call: f}, {call: g}]\nusdts:\n"
    )

    assert [(section, index) for section, index, _ in policy.hooks()] == [
        ("kprobes", 0),
        ("kprobes", 1),
        ("lsmhooks", 0),
    ]


def test_frozen():
    """Nobody changes a policy that was checked."""
    policy = read_policy("kprobes: [{call: f}]")

    with pytest.raises(ValidationError):
        policy.spec.kprobes[0].call = "g"  # type: ignore[misc]
