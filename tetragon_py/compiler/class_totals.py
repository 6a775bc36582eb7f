# SPDX-License-Identifier: Apache-2.0
"""What the classes of processes, and the tables that look them up, take of the maps.

Bounds as in totals.py: never too low, kept as sums.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tetragon_py.compiler.tables.classes import SMALL, SPARSE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["ClassTotals", "SideTotals"]

_NUL = b"\0"
#: Behind all patterns that begin with the same: UTF-8 has no such byte.
_LAST = b"\xff"


@dataclass(slots=True)
class SideTotals:
    """Patterns of one side of paths, and how many tables ask for each.

    `reach` is the number of classes that these tables speak of: of the patterns that
    they ask for, and of those that begin with one of these.
    """

    asked: Counter[bytes] = field(default_factory=Counter)
    tables: int = 0
    reach: int = 0
    _ordered: list[bytes] = field(default_factory=list)
    #: Lengths of patterns that others can begin with.
    _lengths: set[int] = field(default_factory=set)

    def ask(self, patterns: Iterable[bytes]) -> None:
        """Take what one table asks for; of a table only what is new to it."""
        self.asked.update(patterns)

    def know(self, patterns: Iterable[bytes]) -> None:
        """Take what has a class, and no table asks for."""
        for pattern in patterns:
            self.asked.setdefault(pattern, 0)

    def add(self, more: SideTotals) -> None:
        """Take what a policy brings."""
        self.reach += self._gain(more)
        self.tables += more.tables
        for pattern in more.asked.keys() - self.asked.keys():
            insort(self._ordered, pattern)
            if not pattern.endswith(_NUL):
                self._lengths.add(len(pattern))
        self.asked.update(more.asked)

    def take(self, more: SideTotals) -> tuple[int, int, int]:
        """Return classes, rows and bounds with what a policy brings, at most."""
        classes = len(self.asked) + len(more.asked.keys() - self.asked.keys())
        tables = self.tables + more.tables
        # A table with k classes has 2k + 1 bounds at most, or rows: SMALL, or SPARSE
        # times as many, or one for each class there is.
        bounds = 2 * (self.reach + self._gain(more)) + tables
        rows = min(tables * (classes + 1), tables * SMALL + SPARSE * bounds)
        if classes < SMALL:
            return classes, rows, 0
        return classes, rows, min(tables * (classes // SPARSE), bounds)

    # Each new question reaches a pattern and what begins with it, each new pattern is
    # reached by those who ask for its beginnings.
    def _gain(self, more: SideTotals) -> int:
        new = sorted(more.asked.keys() - self.asked.keys())
        gain = sum(more.asked.values())
        for pattern, tables in more.asked.items():
            if tables and not pattern.endswith(_NUL):
                followers = _begin_with(pattern, self._ordered)
                gain += tables * (followers + _begin_with(pattern, new))
        for pattern in new:
            for beginning in self._beginnings(pattern):
                gain += self.asked[beginning]
        return gain

    def _beginnings(self, pattern: bytes) -> Iterator[bytes]:
        for length in self._lengths:
            if length < len(pattern) and pattern[:length] in self.asked:
                yield pattern[:length]


def _begin_with(pattern: bytes, ordered: list[bytes]) -> int:
    """Return how many others begin with `pattern`."""
    start = bisect_left(ordered, pattern)
    end = bisect_left(ordered, pattern + _LAST)
    return end - start - (ordered[start : start + 1] == [pattern])


@dataclass(slots=True)
class ClassTotals:
    """What the classes of processes are made of."""

    begins: SideTotals = field(default_factory=SideTotals)
    ends: SideTotals = field(default_factory=SideTotals)
    pids: set[tuple[bool, int]] = field(default_factory=set)

    def add(self, more: ClassTotals) -> None:
        """Take what a policy brings."""
        self.begins.add(more.begins)
        self.ends.add(more.ends)
        self.pids |= more.pids

    def rows(self, more: ClassTotals) -> dict[str, int]:
        """Return the rows that are taken with what a policy brings, by map."""
        begins, begin_rows, begin_bounds = self.begins.take(more.begins)
        ends, end_rows, end_bounds = self.ends.take(more.ends)
        return {
            "texts": begins + ends,
            "rows": begin_rows + end_rows,
            "bounds": begin_bounds + end_bounds,
            "follow_rows": begins + 1 + ends + 1,  # class 0 is none
            "followed_pids": len(self.pids) + len(more.pids - self.pids),
        }
