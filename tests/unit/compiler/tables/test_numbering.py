# SPDX-License-Identifier: Apache-2.0
"""Numbers stay as long as they can, and have no gaps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tetragon_py.compiler.tables.numbering import renumber

SETS = st.lists(st.lists(st.integers(0, 12), unique=True), max_size=6)


def test_what_is_new_comes_last():
    """In its order; all others keep their numbers."""
    before = {"a": 1, "b": 2}

    assert renumber(before, ["c", "a", "b", "d"], 1) == {"c": 3, "a": 1, "b": 2, "d": 4}
    assert renumber({}, ["b", "a"]) == {"b": 0, "a": 1}


def test_gaps_are_filled():
    """By what is new, else by who has the highest number."""
    before = {"a": 0, "b": 1, "c": 2, "d": 3}

    assert renumber(before, ["a", "c", "d", "e"]) == {"a": 0, "c": 2, "d": 3, "e": 1}
    assert renumber(before, ["b", "c", "d"]) == {"b": 1, "c": 2, "d": 0}


@given(SETS, st.integers(0, 1))
def test_numbers_of_random_sets(sets, first):
    """Whatever comes and goes: dense, and as few move as have left."""
    numbers: dict[int, int] = {}
    for wanted in sets:
        before, numbers = numbers, renumber(numbers, wanted, first)
        both = before.keys() & numbers.keys()
        moved = [key for key in both if numbers[key] != before[key]]

        assert sorted(numbers.values()) == [first + n for n in range(len(wanted))]
        assert list(numbers) == wanted
        assert len(moved) <= len(before.keys() - numbers.keys())
