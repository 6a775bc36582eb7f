# SPDX-License-Identifier: Apache-2.0
"""Places in the flat maps of the policy tables: runs of rows, given and taken back."""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING

from tetragon_py.errors import LimitError

if TYPE_CHECKING:
    from tetragon_py.libbpf import Map

__all__ = ["RowSpace"]


class RowSpace:
    """The rows of one array map. Row 0 is never given: it means nothing.

    Args:
        table: The map; its capacity counts.
        first: First row that may be given.
    """

    def __init__(self, table: Map, first: int = 1) -> None:
        self.table = table
        self._free = [(first, table.max_entries)]  # from, up to; ascending, apart

    def take(self, count: int) -> int:
        """The first of `count` rows in a run.

        Raises:
            LimitError: there is no such run.
        """
        for place, (start, end) in enumerate(self._free):
            if end - start >= count:
                self._free[place] = (start + count, end)
                if start + count == end:
                    del self._free[place]
                return start
        raise LimitError(
            f"the policy set does not fit into the map {self.table.name} "
            f"({self.table.max_entries} rows)"
        )

    def reserve(self, start: int, count: int) -> None:
        """Take these rows, which are free."""
        end = start + count
        for place, (first, last) in enumerate(self._free):
            if first <= start and end <= last:
                rest = [(first, start), (end, last)]
                self._free[place : place + 1] = [run for run in rest if run[0] < run[1]]
                return
        raise LimitError(f"rows {start} to {end} of {self.table.name} are not free")

    def give_back(self, start: int, count: int) -> None:
        """Take a run back; its rows may be given again."""
        if not count:
            return
        insort(self._free, (start, start + count))
        joined: list[tuple[int, int]] = []
        for run in self._free:
            if joined and joined[-1][1] == run[0]:
                joined[-1] = (joined[-1][0], run[1])
            else:
                joined.append(run)
        self._free = joined

    def free_rows(self) -> int:
        """How many rows are left."""
        return sum(end - start for start, end in self._free)

    def write(self, start: int, values: bytes) -> None:
        """Write consecutive rows from `start` on."""
        count = len(values) // self.table.value_size
        keys = b"".join(i.to_bytes(4, "little") for i in range(start, start + count))
        self.table.update_many(keys, values)
