# SPDX-License-Identifier: Apache-2.0
"""Conditions of one selector: those on the same number become one."""

from __future__ import annotations

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.selectors.conditions import (
    Bits,
    Condition,
    Conditions,
    Followed,
    Lookup,
    Place,
    Within,
    follow_set,
)

PID = Lookup(Place(c.SOURCE_PID), c.DIMENSION_RANGE)
NAMESPACE_PID = Lookup(Place(c.SOURCE_NAMESPACE_PID), c.DIMENSION_RANGE)
MASK = Lookup(Place(c.SOURCE_CAPABILITIES), c.DIMENSION_BITS)


def all_of(*conditions):
    found = Conditions()
    for condition in conditions:
        found.add(condition)
    return found


def test_numbers_are_intersected():
    """Other places keep their own set."""
    found = all_of(
        Condition(PID, Within(((0, 5), (9, 20)))),
        Condition(NAMESPACE_PID, Within(((1, 1),))),
        Condition(PID, Within(((4, 10),))),
    )

    assert list(found) == [
        (PID, (Within(((4, 5), (9, 10))),)),
        (NAMESPACE_PID, (Within(((1, 1),)),)),
    ]
    assert not found.is_impossible
    found.add(Condition(PID, Within(((6, 8),))))
    assert found.is_impossible


def test_masks_stay_apart():
    """Two masks are two questions; the same one twice is one."""
    found = all_of(*(Condition(MASK, Bits(mask)) for mask in (1, 6, 1)))

    assert list(found) == [(MASK, (Bits(1), Bits(6)))]


def test_sets_of_processes():
    """In one of them, or in none."""
    values = Followed(pids=frozenset((1, 2)))
    inside = follow_set(values, is_negative=False)
    outside = follow_set(values, is_negative=True)

    assert inside.test == outside.test == values
    assert (inside.lookup.kind, outside.lookup.kind) == (
        c.DIMENSION_BITS,
        c.DIMENSION_NO_BITS,
    )
