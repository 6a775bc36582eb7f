# SPDX-License-Identifier: Apache-2.0
"""Classes: one number per process that answers for all hooks."""

from __future__ import annotations

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.plan import ClassPlan
from tetragon_py.compiler.selectors.conditions import Followed
from tetragon_py.compiler.tables.classes import Classes, class_rows
from tetragon_py.compiler.tables.patterns import Alternatives, PatternTable


def table(*patterns, is_negative=False):
    """The first of two selectors asks for them."""
    return PatternTable([(0b01, [Alternatives(patterns, is_negative)])], 0b11)


def test_classes_are_numbered_by_their_patterns():
    """Class 0 is no pattern at all; patterns of followed sets have classes too."""
    init = Followed(binaries=frozenset((b"/init\0",)))
    pids = Followed(pids=frozenset((7, 9)))
    both = Followed(binaries=frozenset((b"/init\0", b"/x\0")))
    classes = Classes([b"/i", b"/a\0"], [b"hs"], [init, pids, both])

    assert classes.plan() == ClassPlan(
        begins=((b"/a\0", 1), (b"/i", 2), (b"/init\0", 3), (b"/x\0", 4)),
        ends=((b"hs", 1),),
        begin_follows=(0, 0, 0, 0b101, 0b100),
        end_follows=(0, 0),
        pids=((7, 0b010), (9, 0b010)),
    )


def test_numbers_stay():
    """A pattern keeps its class, and a set its bit, whatever comes before them."""
    first, second = (Followed(pids=frozenset((pid,))) for pid in (1, 2))
    before = Classes([b"/b\0"], [b"hs"], [first])
    after = Classes([b"/a\0", b"/b\0"], [b"h", b"hs"], [second, first], before)

    assert after.plan() == ClassPlan(
        begins=((b"/a\0", 2), (b"/b\0", 1)),
        ends=((b"h", 2), (b"hs", 1)),
        begin_follows=(0, 0, 0),
        end_follows=(0, 0, 0),
        pids=((1, 0b01), (2, 0b10)),
    )


def test_a_table_speaks_of_what_begins_with_a_pattern():
    """Each once, also where it asks for both; of nothing else."""
    patterns = [b"/b", b"/bin/", b"/bin/a\0", b"/bin/sh\0", b"/c\0"]
    classes = Classes(patterns, [b"h", b"hs", b"x"], [])

    assert classes.reached(c.BINARY_PARENT_BEGIN, [b"/bin/", b"/bin/a\0"]) == (
        (b"/bin/", 2),
        (b"/bin/a\0", 3),
        (b"/bin/sh\0", 4),
    )
    assert classes.reached(c.BINARY_END, [b"h"]) == ((b"h", 1), (b"hs", 2))
    assert classes.reached(c.BINARY_BEGIN, [b"/c\0"]) == ((b"/c\0", 5),)
    assert classes.reached(c.BINARY_BEGIN, []) == ()


def test_a_class_stands_for_all_shorter_patterns():
    """Also where the hook asks only for one of those; what misses is in no last row."""
    reached = ((b"/bin/", 2), (b"/bin/sh\0", 3))
    refused = ((b"h", 1), (b"hs", 2))

    assert class_rows(table(b"/bin/"), reached) == (
        c.DIMENSION_CLASS,
        ((0, 0b10), (1, 0b10), (2, 0b11), (3, 0b11)),
    )
    assert class_rows(table(b"h", is_negative=True), refused) == (
        c.DIMENSION_CLASS,
        ((0, 0b11), (1, 0b10), (2, 0b10)),
    )


def test_few_of_many_classes_are_searched():
    """Bounds instead of rows where these are many, and more than twice as many."""
    few = ((b"/a\0", 99), (b"/b\0", 7), (b"/c\0", 8))
    bounds = ((0, 0b10), (7, 0b11), (9, 0b10), (99, 0b11), (100, 0b10))

    assert class_rows(table(b"/a\0", b"/b\0", b"/c\0"), few) == (
        c.DIMENSION_RANGE,
        bounds,
    )
    kind, rows = class_rows(table(b"/a\0"), ((b"/a\0", 63),))
    assert (kind, len(rows)) == (c.DIMENSION_CLASS, 64)
    kind, rows = class_rows(table(b"/a\0"), ((b"/a\0", 64),))
    assert (kind, len(rows)) == (c.DIMENSION_RANGE, 3)
    many = tuple((b"/%02d\0" % n, 2 * n) for n in range(40))
    kind, rows = class_rows(table(*(pattern for pattern, _ in many)), many)
    assert (kind, len(rows)) == (c.DIMENSION_CLASS, 79)


def test_a_table_that_always_misses_has_no_rows():
    """A pattern that is wanted and refused changes nothing."""
    both = PatternTable(
        [
            (
                0b01,
                [Alternatives((b"/a\0",)), Alternatives((b"/a\0",), is_negative=True)],
            )
        ],
        0b11,
    )

    assert class_rows(both, ((b"/a\0", 9),)) == (c.DIMENSION_CLASS, ())


def test_no_policies_no_classes():
    """The empty plan is the default one."""
    assert Classes([], [], []).plan() == ClassPlan()
