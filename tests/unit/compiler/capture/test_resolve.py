# SPDX-License-Identifier: Apache-2.0
"""`resolve`: attributes become steps, wrong ones are told."""

from __future__ import annotations

import pytest

from tests.unit.compiler.fake_target import CHAR, TASK, UINT, FakeTarget
from tetragon_py.compiler.capture.resolve import check_steps, resolve
from tetragon_py.policy.diagnostic import PolicyValueError


@pytest.mark.parametrize(
    ("path", "steps", "offset", "kind"),
    [
        ("flags", (), 44, UINT),
        ("wake_cpu", (), 56, None),
        ("mm.owner.flags", ((1000, True), (64, True)), 44, UINT),
        ("mm.saved_auxv[3]", ((1000, True),), 120, None),
        ("mm.exe_file.f_path.mnt", ((1000, True), (72, True), (64, False)), 0, None),
        ("mm.pages[1].f_flags", ((1000, True), (508, True)), 88, UINT),
        ("mm.table.f_flags", ((1000, True), (600, True), (0, True)), 88, UINT),
        ("mm.table[2].f_flags", ((1000, True), (600, True), (16, True)), 88, UINT),
        ("mm.pages[1]", ((1000, True),), 508, None),
        ("real_parent[2].flags", ((1200, True), (18000, False)), 44, UINT),
        ("comm[15]", (), 1415, CHAR),
    ],
)
def test_steps(path, steps, offset, kind):
    """Pointers are followed, embedded structs and arrays are gone into."""
    found = resolve(path, TASK, FakeTarget())

    assert (found.steps, found.offset) == (steps, offset)
    assert kind is None or found.type == kind


@pytest.mark.parametrize(
    ("path", "message", "hint"),
    [
        (
            "mm.ownr.pid",
            "struct mm_struct has no member 'ownr'",
            "did you mean 'owner'?",
        ),
        ("pid.val", "'pid' has no members: it is int", ""),
        ("stack.val", "'stack' has no members: it is void", ""),
        ("stack[0]", "'stack' is no array but void *", ""),
        ("flags[0]", "'flags' is no array but unsigned int", ""),
        ("comm[16]", "16 is beyond the end of 'comm'", "it is char[16]"),
        ("sched_reset", "'sched_reset' is a bit field", "it cannot be read"),
    ],
)
def test_wrong_attributes(path, message, hint):
    """The attribute that is wrong is named, with what it is."""
    with pytest.raises(PolicyValueError) as caught:
        resolve(path, TASK, FakeTarget())

    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_too_many_steps():
    """The kernel side follows ten."""
    check_steps(((0, True),) * 10)
    with pytest.raises(PolicyValueError, match="needs 11 steps"):
        check_steps(((0, True),) * 11)
    with pytest.raises(PolicyValueError, match="leads out of the struct"):
        check_steps(((1 << 31, False),))
