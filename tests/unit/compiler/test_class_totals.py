# SPDX-License-Identifier: Apache-2.0
"""Rows of classes: counted one policy after the other, never too low."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.class_totals import ClassTotals, SideTotals
from tetragon_py.compiler.tables.classes import Classes, class_rows
from tetragon_py.compiler.tables.patterns import Alternatives, PatternTable

PATTERNS = st.text("ab", min_size=1, max_size=4).flatmap(
    lambda text: st.sampled_from([text.encode(), text.encode() + b"\0"])
)
#: What tables ask for, one after the other; each is a policy's.
TABLES = st.lists(st.lists(PATTERNS, min_size=1, max_size=4, unique=True), max_size=8)


def one_table(*patterns):
    more = SideTotals(tables=1)
    more.ask(patterns)
    return more


def total(tables):
    side = SideTotals()
    for patterns in tables:
        side.add(one_table(*patterns))
    return side


def test_reach():
    """What is asked for, and what begins with it; in whatever order it comes."""
    tables = [[b"/a\0", b"/bin/"], [b"/bin/sh\0"], [b"/bin/", b"/c\0"], [b"/bin/a"]]

    for turn in range(4):
        side = total(tables[turn:] + tables[:turn])
        assert side.reach == 2 * 3 + 1 + 1 + 1 + 1
        assert side.tables == 4
        assert len(side.asked) == 5


def test_rows_and_bounds():
    """Of few tables all could have either; many that ask for little have few rows."""
    crowd = one_table(*(b"/%04d\0" % n for n in range(1000)))
    side = SideTotals()
    side.add(crowd)

    assert side.take(SideTotals()) == (1000, 1001, 500)
    assert side.take(one_table(b"/0007\0")) == (1000, 2002, 1000)
    for n in range(300):
        side.add(one_table(b"/%04d\0" % n))
    bounds = 2 * 1300 + 301
    assert side.take(SideTotals()) == (1000, 301 * 64 + 2 * bounds, bounds)


def test_what_is_followed_has_a_class_and_no_table():
    """Its pids are counted once."""
    totals, more = ClassTotals(), ClassTotals()
    more.begins.know([b"/a\0", b"/b\0"])
    more.pids |= {(False, 1), (True, 1)}
    totals.add(more)

    assert totals.rows(more) == totals.rows(ClassTotals())
    assert totals.rows(more) == {
        "texts": 2,
        "rows": 0,
        "bounds": 0,
        "follow_rows": 4,
        "followed_pids": 2,
    }


@given(TABLES, st.sampled_from([0, 62, 64, 200]))
def test_bounds_of_random_tables(tables, others):
    """The compiler never makes more rows or bounds, of whatever numbers."""
    if others:
        tables = [[b"/%03d\0" % n for n in range(others)], *tables]
    side = total(tables)
    patterns, rows, bounds = side.take(SideTotals())
    classes = Classes({p for table in tables for p in table}, [], [])
    made = {c.DIMENSION_CLASS: 0, c.DIMENSION_RANGE: 0}
    reach = 0
    for asked in tables:
        reached = classes.reached(c.BINARY_BEGIN, sorted(asked))
        reach += len(reached)
        # Each pattern has a selector of its own: nothing merges.
        conditions = [
            (1 << n, [Alternatives((pattern,))]) for n, pattern in enumerate(asked)
        ]
        table = PatternTable(conditions, (1 << len(asked)) - 1)
        kind, its = class_rows(table, reached)
        made[kind] += len(its)

    assert patterns == len(classes.plan().begins)
    assert made[c.DIMENSION_CLASS] <= rows
    assert made[c.DIMENSION_RANGE] <= bounds
    assert reach <= side.reach
