# SPDX-License-Identifier: Apache-2.0
"""Classes of processes: what the whole policy set asks about paths of executables.

A process is classified once, at its exec: the class is the number of the longest
pattern that its path begins with, and of the longest one that it ends with. A hook then
only looks its class up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.plan import ClassPlan
from tetragon_py.compiler.tables.patterns import longest_prefixes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tetragon_py.compiler.plan import Vector
    from tetragon_py.compiler.selectors.conditions import Followed
    from tetragon_py.compiler.tables.patterns import PatternTable

__all__ = ["Classes"]

_ENDS = (c.BINARY_END, c.BINARY_PARENT_END)


class _Side:
    """The patterns of one side of paths; class n is pattern n - 1, 0 is none."""

    def __init__(self, patterns: Iterable[bytes]) -> None:
        self.patterns = sorted(set(patterns))
        self.prefixes = longest_prefixes(self.patterns)

    def rows(self, table: PatternTable) -> tuple[tuple[int, Vector], ...]:
        found = table.prefix_rows(self.patterns, self.prefixes)
        vectors = (vector for _, vector in found)
        return tuple(enumerate((table.miss, *vectors)))

    def classes(self) -> tuple[tuple[bytes, int], ...]:
        return tuple((p, number) for number, p in enumerate(self.patterns, 1))


class Classes:
    """The classes of one policy set."""

    def __init__(
        self,
        begins: Iterable[bytes],
        ends: Iterable[bytes],
        followed: Mapping[Followed, int],
    ) -> None:
        """Take all patterns and the number of the bit of each followed set."""
        own = [pattern for values in followed for pattern in values.binaries]
        self._begins = _Side([*begins, *own])
        self._ends = _Side(ends)
        self._followed = followed

    def rows(self, slot: int, table: PatternTable) -> tuple[tuple[int, Vector], ...]:
        """Return the rows of DIMENSION_CLASS for process_class.binary[slot]."""
        side = self._ends if slot in _ENDS else self._begins
        return side.rows(table)

    def plan(self) -> ClassPlan:
        """Return what the kernel side needs to classify processes."""
        by_binary: dict[bytes, int] = {}
        by_pid: dict[bool, dict[int, int]] = {False: {}, True: {}}
        for values, bit in self._followed.items():
            for binary in values.binaries:
                by_binary[binary] = by_binary.get(binary, 0) | 1 << bit
            pids = by_pid[values.in_namespace]
            for pid in values.pids:
                pids[pid] = pids.get(pid, 0) | 1 << bit
        # Whole paths only: no other pattern begins with one.
        follows = tuple(by_binary.get(binary, 0) for binary in self._begins.patterns)
        return ClassPlan(
            begins=self._begins.classes(),
            ends=self._ends.classes(),
            begin_follows=(0, *follows),
            end_follows=(0,) * (len(self._ends.patterns) + 1),
            pids=tuple(sorted(by_pid[False].items())),
            namespace_pids=tuple(sorted(by_pid[True].items())),
        )
