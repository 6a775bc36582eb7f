# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.loader.notes; tests/bpf/test_notes.py has it in the kernel."""

from __future__ import annotations

import pytest

from tests.unit.compiler.policies import compiled, kprobe
from tests.unit.loader.fake_objects import FakeShared
from tetragon_py.errors import KernelError
from tetragon_py.loader.notes import VerdictNotes, leaves_notes


def plan(action, *, mode="enforce"):
    action = {"action": action} | ({"argError": -1} if action != "Sigkill" else {})
    return compiled(
        {
            "kprobes": [kprobe([{"matchActions": [action]}])],
            "enforcers": [{"calls": ["security_bprm_check"]}],
            "options": [{"name": "policy-mode", "value": mode}],
        }
    )


def test_who_leaves_notes():
    """Who notifies, and does it."""
    assert leaves_notes(plan("NotifyEnforcer"))
    assert not leaves_notes(plan("NotifyEnforcer", mode="monitor"))
    assert not leaves_notes(plan("Sigkill"))


@pytest.fixture
def shared():
    return FakeShared()


def test_it_is_there_while_it_is_wanted(shared):
    """Once, and nothing stays."""
    notes = VerdictNotes(shared)
    notes.end()
    for _ in range(2):
        notes.begin()
        notes.begin()
        assert shared.attached == ["forget_verdict"]
        notes.end()
        notes.end()
        assert (shared.attached, shared.objects) == ([], [])


def test_a_failure_leaves_nothing(shared):
    """The next attempt starts anew."""
    notes = VerdictNotes(shared)
    shared.cannot_attach.add("")  # a tracepoint needs no target
    with pytest.raises(KernelError):
        notes.begin()
    assert shared.objects == []
    shared.cannot_attach.clear()
    notes.begin()
    assert shared.attached == ["forget_verdict"]
