# SPDX-License-Identifier: Apache-2.0
"""Intervals: sets of numbers, and the rows of all sets of a dimension."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tetragon_py.compiler.tables.intervals import (
    EVERYTHING,
    LAST,
    complement,
    cut,
    in_order,
    intersection,
    union,
)

EDGES = (0, 1, 2, 3, 7, 8, 1 << 63, LAST - 1, LAST)
POINTS = st.sampled_from(EDGES)
PARTS = st.lists(st.tuples(POINTS, POINTS).map(lambda pair: tuple(sorted(pair))))


def inside(intervals, point):
    return any(low <= point <= high for low, high in intervals)


@given(PARTS, PARTS)
def test_sets_are_sets(left, right):
    """Union, complement and intersection agree with the questions about each number."""
    one, two = union(left), union(right)

    for point in EDGES:
        assert inside(one, point) is inside(left, point)
        assert inside(complement(one), point) is not inside(left, point)
        both = inside(left, point) and inside(right, point)
        assert inside(intersection(one, two), point) is both
    assert complement(complement(one)) == one


def test_equal_sets_are_equal_tuples():
    """Parts that touch or overlap are one."""
    assert union([(8, 9), (1, 3), (4, 5), (2, 2)]) == ((1, 5), (8, 9))
    assert union([(0, 5), (6, LAST)]) == EVERYTHING
    assert complement(EVERYTHING) == ()


def test_negative_numbers_come_first():
    """The order of signed numbers is that of their rows."""
    numbers = [-(1 << 63), -2, -1, 0, 1, (1 << 63) - 1]
    places = [in_order(number, is_signed=True) for number in numbers]

    assert sorted(places) == places
    assert (places[0], places[-1]) == (0, LAST)
    assert in_order(-1, is_signed=False) == LAST


@given(st.lists(PARTS, max_size=6))
def test_rows_say_who_is_content(wanted):
    """The last row that is not above a number has the bits of all sets it is in."""
    always = 1 << len(wanted)
    rows = cut(((1 << n, union(parts)) for n, parts in enumerate(wanted)), always)

    assert rows[0][0] == 0
    assert sorted(rows) == list(rows)
    assert all(a[1] != b[1] for a, b in pairwise(rows))
    for point in EDGES:
        expected = always
        for number, parts in enumerate(wanted):
            expected |= inside(parts, point) << number
        assert [vector for low, vector in rows if low <= point][-1] == expected
