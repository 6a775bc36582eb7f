# SPDX-License-Identifier: Apache-2.0
"""From the conditions of all selectors on a hook to its dimensions and their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.plan import DimensionPlan
from tetragon_py.compiler.selectors.conditions import Bits, Followed, Within
from tetragon_py.compiler.tables.addresses import address_rows
from tetragon_py.compiler.tables.automaton import build_automaton
from tetragon_py.compiler.tables.classes import class_rows
from tetragon_py.compiler.tables.intervals import cut
from tetragon_py.compiler.tables.patterns import (
    Alternatives,
    PatternTable,
    longest_prefixes,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tetragon_py.compiler.plan import ArgumentPlan, Rows, Vector
    from tetragon_py.compiler.selectors.conditions import Lookup, Test
    from tetragon_py.compiler.tables.classes import Reached

__all__ = [
    "Demand",
    "SharedNumbers",
    "Surroundings",
    "build_dimensions",
    "dimension_count",
]

#: The value meets one condition by what is found in it: each further one looks again.
_ONE_TEST_EACH = (c.DIMENSION_BITS, c.DIMENSION_SUBSTRING)

#: What is cheap and decides much goes first: the rest is not looked up if nothing is
#: left. Within one rank, properties of the process come before arguments.
_COSTS = {
    c.DIMENSION_ADDRESS: 1,
    **dict.fromkeys((c.DIMENSION_TEXT, c.DIMENSION_TEXT_END), 2),
    c.DIMENSION_TEXT_WHOLE: 3,
    c.DIMENSION_SUBSTRING: 4,
}


class Demand(NamedTuple):
    """What one selector wants at one look-up."""

    bit: Vector
    tests: tuple[Test, ...]


class SharedNumbers(NamedTuple):
    """What a hook depends on of the rest of the policy set."""

    classes: Mapping[Lookup, Reached]  #: of each look-up of classes
    followed: Mapping[Followed, int]  #: set -> number of its bit


class Surroundings(NamedTuple):
    """What the dimensions of a hook depend on besides its conditions."""

    everyone: Vector  #: all selectors
    deniers: Vector  #: those that match what cannot be read
    slots: Mapping[ArgumentPlan, int]
    shared: SharedNumbers


def dimension_count(lookup: Lookup, tests: Sequence[Test]) -> int:
    """Return how many dimensions a selector's tests at one look-up need."""
    return len(tests) if lookup.kind in _ONE_TEST_EACH else 1


def build_dimensions(
    demands: Mapping[Lookup, Sequence[Demand]], around: Surroundings
) -> tuple[DimensionPlan, ...]:
    """Return the dimensions in the order in which the kernel looks them up."""
    ordered = sorted(demands, key=lambda lookup: _rank(lookup, around))
    return tuple(
        dimension
        for lookup in ordered
        for dimension in _build(lookup, demands[lookup], around)
    )


def _rank(lookup: Lookup, around: Surroundings) -> tuple[int | bool, ...]:
    place = lookup.place
    slot, width = _slots(lookup, around)
    is_argument = place.argument is not None
    return (
        *(place.at_return, _COSTS.get(lookup.kind, 0), is_argument, place.source),
        *(slot, place.offset, width, place.is_signed, lookup.kind),
        lookup.ignores_case,
    )


def _slots(lookup: Lookup, around: Surroundings) -> tuple[int, int]:
    place = lookup.place
    slot, width = place.slot, place.width
    if place.argument is not None:
        slot = around.slots[place.argument]
    if place.before is not None:
        width = around.slots[place.before]
    return slot, width


def _build(
    lookup: Lookup, demands: Sequence[Demand], around: Surroundings
) -> Iterator[DimensionPlan]:
    if lookup.kind in _ONE_TEST_EACH:
        for number in range(max(len(demand.tests) for demand in demands)):
            layer = [
                Demand(bit, tests[number : number + 1])
                for bit, tests in demands
                if number < len(tests)
            ]
            yield _one(lookup, layer, around)
    else:
        yield _one(lookup, demands, around)


def _one(
    lookup: Lookup, demands: Sequence[Demand], around: Surroundings
) -> DimensionPlan:
    place = lookup.place
    slot, width = _slots(lookup, around)
    demanding = 0
    for demand in demands:
        demanding |= demand.bit
    content = around.everyone & ~demanding
    kind, rows, miss = _table(lookup, demands, content, around)
    return DimensionPlan(
        kind=kind,
        source=place.source,
        rows=rows,
        miss=miss,
        error=content | demanding & around.deniers,
        slot=slot,
        offset=place.offset,
        width=width,
        flags=(c.DIMENSION_SIGNED if place.is_signed else 0)
        | (c.DIMENSION_AT_RETURN if place.at_return else 0),
    )


# Its kind, its rows, and what is in none of them.
def _table(
    lookup: Lookup, demands: Sequence[Demand], content: Vector, around: Surroundings
) -> tuple[int, Rows, Vector]:
    if lookup.kind == c.DIMENSION_CLASS:
        table = PatternTable(_alternatives(demands), around.everyone)
        return *class_rows(table, around.shared.classes[lookup]), table.miss
    return lookup.kind, *_rows(lookup, demands, content, around)


def _rows(
    lookup: Lookup, demands: Sequence[Demand], content: Vector, around: Surroundings
) -> tuple[Rows, Vector]:
    match lookup.kind:
        case c.DIMENSION_RANGE:
            wanted = [
                (bit, test.intervals)
                for bit, tests in demands
                for test in tests
                if isinstance(test, Within)
            ]
            return cut(wanted, content), content
        case c.DIMENSION_BITS:
            return _bit_rows(demands, around), content
        case c.DIMENSION_NO_BITS:
            return _bit_rows(demands, around), around.everyone
        case c.DIMENSION_SUBSTRING:
            found = _by_pattern(demands)
            return build_automaton(found, ignore_case=lookup.ignores_case), content
    return _pattern_rows(lookup, demands, around)


def _bit_rows(
    demands: Sequence[Demand], around: Surroundings
) -> tuple[tuple[int, Vector], ...]:
    by_bit: dict[int, Vector] = {}
    for vector, tests in demands:
        for test in tests:
            for bit in _bits(test, around):
                by_bit[bit] = by_bit.get(bit, 0) | vector
    return tuple(sorted(by_bit.items()))


def _bits(test: Test, around: Surroundings) -> Iterator[int]:
    if isinstance(test, Followed):
        yield around.shared.followed[test]
    elif isinstance(test, Bits):
        mask = test.mask
        while mask:
            lowest = mask & -mask
            yield lowest.bit_length() - 1
            mask ^= lowest


def _by_pattern(demands: Sequence[Demand]) -> dict[bytes, Vector]:
    found: dict[bytes, Vector] = {}
    for bit, alternatives in _alternatives(demands):
        for condition in alternatives:
            for pattern in condition.patterns:
                found[pattern] = found.get(pattern, 0) | bit
    return found


def _alternatives(
    demands: Sequence[Demand],
) -> Iterator[tuple[Vector, list[Alternatives]]]:
    for bit, tests in demands:
        yield bit, [test for test in tests if isinstance(test, Alternatives)]


def _pattern_rows(
    lookup: Lookup, demands: Sequence[Demand], around: Surroundings
) -> tuple[Rows, Vector]:
    table = PatternTable(_alternatives(demands), around.everyone)
    if lookup.kind == c.DIMENSION_TEXT_WHOLE:
        return table.whole_rows(), table.miss
    patterns = table.patterns
    rows = table.prefix_rows(patterns, longest_prefixes(patterns))
    if lookup.kind == c.DIMENSION_ADDRESS:
        return address_rows(rows), table.miss
    return rows, table.miss
