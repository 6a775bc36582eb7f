# SPDX-License-Identifier: Apache-2.0
"""Runs of rows are given once, taken back, and joined again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetragon_py.errors import LimitError
from tetragon_py.loader.rows import RowSpace


def table(rows: int) -> Any:
    """An array map that remembers what was written."""
    written: list[tuple[bytes, bytes]] = []
    return SimpleNamespace(
        name="bounds",
        max_entries=rows,
        value_size=2,
        written=written,
        update_many=lambda keys, values: written.append((keys, values)),
    )


def test_row_zero_is_never_given():
    """Row 0 means nothing, so the first run begins at 1."""
    space = RowSpace(table(10))

    assert space.take(4) == 1
    assert space.take(5) == 5
    with pytest.raises(LimitError, match=r"map bounds \(10 rows\)"):
        space.take(1)


def test_rows_are_written_in_their_order():
    """The keys are the rows of the run, little-endian."""
    bounds = table(10)
    RowSpace(bounds).write(3, b"aabb")

    assert bounds.written == [(b"\3\0\0\0\4\0\0\0", b"aabb")]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=20), st.randoms())
def test_all_that_is_given_back_can_be_given_again(counts, random):
    """Runs never overlap, and after all came back the whole space is one run."""
    space = RowSpace(table(200))
    taken = [(space.take(count), count) for count in counts]
    rows = [row for start, count in taken for row in range(start, start + count)]

    assert len(rows) == len(set(rows))
    assert space.free_rows() == 199 - len(rows)
    random.shuffle(taken)
    for start, count in taken:
        space.give_back(start, count)
    assert space.take(199) == 1
