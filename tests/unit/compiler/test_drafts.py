# SPDX-License-Identifier: Apache-2.0
"""A hook keeps its plan while nothing that it depends on changes."""

from __future__ import annotations

from tests.unit.compiler.fake_target import FakeTarget
from tests.unit.compiler.policies import kprobe, load
from tetragon_py.abi import _generated as c
from tetragon_py.compiler.drafts import Draft
from tetragon_py.compiler.entries import compile_entries
from tetragon_py.compiler.selectors.conditions import Followed
from tetragon_py.compiler.tables.classes import Classes


def draft(**filters):
    """Of a policy with one filter of each of these kinds."""
    selector = {key: [entry] for key, entry in filters.items()}
    loaded = load({"kprobes": [kprobe([selector])]})
    entries, _ = compile_entries(loaded.policy, FakeTarget())
    return Draft(entries)


def binaries(operator, *values, **more):
    return {"operator": operator, "values": list(values), **more}


INIT = Followed(binaries=frozenset((b"/init\0",)))


def test_what_it_asks_for():
    """Patterns by the side of the path, and sets."""
    found = draft(
        matchBinaries=binaries("In", "/bin/b", "/bin/a"),
        matchParentBinaries=binaries("NotPostfix", "sh"),
    )
    children = draft(matchBinaries=binaries("In", "/init", followChildren=True))

    assert found.patterns(ends=False) == {b"/bin/a\0", b"/bin/b\0"}
    assert found.patterns(ends=True) == {b"hs"}
    assert (found.followed, children.followed) == ((), (INIT,))
    assert found.addition.rows["selectors"] == 1


def test_foreign_patterns_change_nothing():
    """Nor does what they do to the numbers of others."""
    found = draft(matchBinaries=binaries("Prefix", "/bin/"))
    before = Classes([b"/bin/", b"/c\0"], [], [])
    plan = found.plan(before)

    assert found.plan(before) is plan
    assert found.plan(Classes([b"/a\0", b"/bin/"], [b"x"], [INIT], before)) is plan


def test_its_own_classes_change_it():
    """A pattern that begins with one of its own, another number."""
    found = draft(matchBinaries=binaries("Prefix", "/bin/"))
    before = Classes([b"/bin/"], [], [])
    plan = found.plan(before)
    more = Classes([b"/bin/", b"/bin/sh\0"], [], [], before)
    [dimension] = found.plan(more).dimensions

    assert len(dimension.rows) == 3
    assert found.plan(before) == plan
    moved = Classes([b"/a\0", b"/bin/"], [], [])
    assert found.plan(moved).dimensions[0].rows == ((0, 0), (1, 0), (2, 1))


def test_another_bit_of_its_set_changes_it():
    """The bit is what its table asks for."""
    found = draft(matchBinaries=binaries("In", "/init", followChildren=True))
    other = Followed(pids=frozenset((1,)))
    rows = [
        found.plan(Classes([], [], followed)).dimensions[0].rows
        for followed in ([INIT], [INIT, other], [other, INIT])
    ]

    assert rows == [((0, 1),), ((0, 1),), ((1, 1),)]
    assert found.plan(Classes([], [], [INIT])).dimensions[0].source == c.SOURCE_FOLLOWED
