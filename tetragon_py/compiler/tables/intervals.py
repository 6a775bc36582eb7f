# SPDX-License-Identifier: Apache-2.0
"""Sets of 64-bit numbers as intervals, and the table of all such sets of a dimension.

A number stands in the order of the kernel's look-up: unsigned, and signed ones with
their sign bit flipped, see `in_order`. Both ends of an interval belong to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tetragon_py.compiler.plan import Vector

__all__ = [
    "EVERYTHING",
    "LAST",
    "Intervals",
    "complement",
    "cut",
    "in_order",
    "intersection",
    "union",
]

LAST = (1 << 64) - 1
_SIGN_BIT = 1 << 63

#: Ascending, neither overlapping nor touching: equal sets are equal tuples.
Intervals: TypeAlias = tuple[tuple[int, int], ...]

EVERYTHING: Intervals = ((0, LAST),)


def in_order(number: int, *, is_signed: bool) -> int:
    """Return the place of a number among those of its sign."""
    return (number & LAST) ^ (_SIGN_BIT if is_signed else 0)


def union(parts: Iterable[tuple[int, int]]) -> Intervals:
    """Return the set of all numbers in any of `parts`."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(parts):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return tuple(merged)


def complement(intervals: Intervals) -> Intervals:
    """Return the set of all other numbers."""
    others = []
    start = 0
    for low, high in intervals:
        if start < low:
            others.append((start, low - 1))
        start = high + 1
    if start <= LAST:
        others.append((start, LAST))
    return tuple(others)


def intersection(left: Intervals, right: Intervals) -> Intervals:
    """Return the set of the numbers in both."""
    found = []
    i = j = 0
    while i < len(left) and j < len(right):
        low = max(left[i][0], right[j][0])
        high = min(left[i][1], right[j][1])
        if low <= high:
            found.append((low, high))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return tuple(found)


def cut(
    wanted: Iterable[tuple[Vector, Intervals]], always: Vector
) -> tuple[tuple[int, Vector], ...]:
    """Return the rows of DIMENSION_RANGE.

    Args:
        wanted: The bit of a selector, and the numbers that it is content with.
        always: The bits of those that are content with every number.
    """
    # At each boundary some selectors change their mind: one sweep over all of them.
    changes: dict[int, Vector] = {0: 0}
    for bit, intervals in wanted:
        for low, high in intervals:
            changes[low] = changes.get(low, 0) ^ bit
            if high < LAST:
                changes[high + 1] = changes.get(high + 1, 0) ^ bit
    rows: list[tuple[int, Vector]] = []
    vector = always
    for low in sorted(changes):
        vector ^= changes[low]
        if not rows or vector != rows[-1][1]:
            rows.append((low, vector))
    return tuple(rows)
