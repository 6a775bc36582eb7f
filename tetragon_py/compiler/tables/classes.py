# SPDX-License-Identifier: Apache-2.0
"""Classes of processes: what the whole policy set asks about paths of executables.

A process is classified once, at its exec: the class is the number of the longest
pattern that its path begins with, and of the longest one that it ends with. A hook then
only looks its class up.

A hook's table speaks of the classes that it asks for, and of those whose patterns
begin with one of these: for all others, also those to come, its answer is the miss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.plan import ClassPlan
from tetragon_py.compiler.tables.numbering import renumber
from tetragon_py.compiler.tables.patterns import longest_prefixes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from tetragon_py.compiler.plan import Vector
    from tetragon_py.compiler.selectors.conditions import Followed
    from tetragon_py.compiler.tables.patterns import PatternTable

__all__ = ["BINARY_ENDS", "SMALL", "SPARSE", "Classes", "Reached", "Side", "class_rows"]

#: Of process_class.binary: what is about the end of a path.
BINARY_ENDS = (c.BINARY_END, c.BINARY_PARENT_END)
#: A table is searched by bounds where it had more rows than this, and more than so many
#: times as many rows as bounds: one look-up is faster than a search.
SMALL = 64
SPARSE = 2

#: Patterns, ascending, and their classes.
Reached: TypeAlias = "tuple[tuple[bytes, int], ...]"
_Numbers: TypeAlias = "tuple[tuple[int, Vector], ...]"


class Side:
    """The patterns of one side of paths, and their classes; class 0 is none of them."""

    def __init__(self, patterns: Iterable[bytes], before: Mapping[bytes, int]) -> None:
        self.patterns = sorted(set(patterns))
        self.numbers = renumber(before, self.patterns, first=1)
        self._places = {pattern: i for i, pattern in enumerate(self.patterns)}

    def reached(self, asked: Sequence[bytes]) -> Reached:
        """Return the classes that have one of `asked`, which are ascending."""
        found: list[tuple[bytes, int]] = []
        patterns, place = self.patterns, 0
        for pattern in asked:
            place = max(place, self._places[pattern])
            # What begins with a pattern stands behind it.
            while place < len(patterns) and patterns[place].startswith(pattern):
                found.append((patterns[place], self.numbers[patterns[place]]))
                place += 1
        return tuple(found)


class Classes:
    """The classes of one policy set.

    Attributes:
        begins: By the beginnings of paths.
        ends: By their ends, reversed.
        followed: Set -> number of its bit in process_class.followed.
    """

    begins: Side
    ends: Side
    followed: Mapping[Followed, int]

    def __init__(
        self,
        begins: Iterable[bytes],
        ends: Iterable[bytes],
        followed: Collection[Followed],
        before: Classes | None = None,
    ) -> None:
        """Number what the whole set asks for.

        Args:
            begins: Patterns of the beginnings of paths; those of `followed` may lack.
            ends: Of the ends, reversed.
            followed: Sets, each once; new ones are numbered in this order.
            before: Of the set before: what it has too keeps its number if it can.
        """
        own = [pattern for values in followed for pattern in values.binaries]
        self.begins = Side([*begins, *own], before.begins.numbers if before else {})
        self.ends = Side(ends, before.ends.numbers if before else {})
        self.followed = renumber(before.followed if before else {}, followed)

    def reached(self, slot: int, asked: Sequence[bytes]) -> Reached:
        """Return the classes of process_class.binary[slot] that have one of `asked`.

        `asked` are patterns of this set, ascending.
        """
        side = self.ends if slot in BINARY_ENDS else self.begins
        return side.reached(asked)

    def plan(self) -> ClassPlan:
        """Return what the kernel side needs to classify processes."""
        by_binary: dict[bytes, int] = {}
        by_pid: dict[bool, dict[int, int]] = {False: {}, True: {}}
        for values, bit in self.followed.items():
            for binary in values.binaries:
                by_binary[binary] = by_binary.get(binary, 0) | 1 << bit
            pids = by_pid[values.in_namespace]
            for pid in values.pids:
                pids[pid] = pids.get(pid, 0) | 1 << bit
        begins, ends = self.begins.numbers, self.ends.numbers
        # Whole paths only: no other pattern begins with one.
        follows = {
            number: by_binary.get(binary, 0) for binary, number in begins.items()
        }
        return ClassPlan(
            begins=tuple(begins.items()),
            ends=tuple(ends.items()),
            begin_follows=(0, *(follows[n] for n in range(1, len(begins) + 1))),
            end_follows=(0,) * (len(ends) + 1),
            pids=tuple(sorted(by_pid[False].items())),
            namespace_pids=tuple(sorted(by_pid[True].items())),
        )


def class_rows(table: PatternTable, reached: Reached) -> tuple[int, _Numbers]:
    """Return the kind of dimension for a table of classes, and its rows.

    DIMENSION_CLASS, or DIMENSION_RANGE over the numbers of the classes if few of many
    are asked for.
    """
    patterns = [pattern for pattern, _ in reached]
    found = table.prefix_rows(patterns, longest_prefixes(patterns))
    classes = sorted(
        (number, vector)
        for (_, number), (_, vector) in zip(reached, found, strict=True)
        if vector != table.miss
    )
    count = classes[-1][0] + 1 if classes else 0
    bounds = _bounds(classes, table.miss)
    if count > max(SMALL, SPARSE * len(bounds)):
        return c.DIMENSION_RANGE, bounds
    by_class = dict(classes)
    rows = tuple((number, by_class.get(number, table.miss)) for number in range(count))
    return c.DIMENSION_CLASS, rows


def _bounds(classes: Iterable[tuple[int, Vector]], miss: Vector) -> _Numbers:
    rows = [(0, miss)]
    end = 0
    for number, vector in classes:
        if number > end and rows[-1][1] != miss:
            rows.append((end, miss))
        if vector != rows[-1][1]:
            rows.append((number, vector))
        end = number + 1
    if rows[-1][1] != miss:
        rows.append((end, miss))
    return tuple(rows)
