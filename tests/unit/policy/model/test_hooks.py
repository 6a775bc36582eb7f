# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.policy.model.hooks: fields of hooks."""

from __future__ import annotations

import pytest

from tests.unit.policy.texts import check_refused, policy_text
from tetragon_py.policy.documents import load_text
from tetragon_py.policy.model.hooks import (
    SECTIONS,
    HookSection,
    KprobeHook,
    UprobeHook,
)


def test_refused():
    """Each wrong field is told with its place and a hint."""
    check_refused("model-hooks")


def test_defaults():
    """A function is a system call unless the policy says otherwise."""
    hook = KprobeHook.model_validate({"call": "sys_open"})

    assert (hook.syscall, hook.return_, hook.ignore.call_not_found) == (
        True,
        False,
        False,
    )


def test_long_texts_are_cut():
    """What is too long for an event is cut, and that is a warning."""
    spec = f"kprobes: [{{call: f, message: {'m' * 300}, tags: [{'t' * 200}, ok]}}]"
    result = load_text(policy_text(spec).encode(), "f")

    assert [d.severity for d in result.diagnostics] == ["warning", "warning"]
    hook = result.policies[0].policy.spec.kprobes[0]
    assert hook.message == "m" * 256
    assert hook.tags == ("t" * 128, "ok")


@pytest.mark.parametrize(
    "digest",
    ["sha1:" + "aB" * 20, "sha256:" + "0" * 64, "build-id:abcd", "SHA512:" + "f" * 128],
)
def test_digests(digest):
    """Digests name their kind and have all their digits."""
    hook = UprobeHook.model_validate({"path": "/x", "binaryDigests": [digest]})

    assert hook.binary_digests == (digest,)


def test_sections():
    """Every section has a model."""
    assert set(SECTIONS) == set(HookSection)
