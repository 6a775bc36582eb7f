# SPDX-License-Identifier: Apache-2.0
"""What a selector demands of a hit: conditions, each on a value at some place.

Conditions do not know slots or the numbers of selectors: these depend on the other
policies. Conditions of several selectors at the same place share a dimension.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.tables.intervals import Intervals, intersection
from tetragon_py.compiler.tables.patterns import Alternatives

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tetragon_py.compiler.plan import ArgumentPlan

__all__ = [
    "Bits",
    "Condition",
    "Conditions",
    "Followed",
    "Lookup",
    "Place",
    "Test",
    "Within",
    "follow_set",
]


class Place(NamedTuple):
    """Where a value is: the fields of DimensionPlan, before slots have numbers."""

    source: int  #: SOURCE_*
    argument: ArgumentPlan | None = None
    #: Of SOURCE_CAPABILITIES_GAINED: the argument with the capabilities before.
    before: ArgumentPlan | None = None
    slot: int = 0
    offset: int = 0
    width: int = 8
    is_signed: bool = False
    at_return: bool = False


class Lookup(NamedTuple):
    """How a value is looked up; equal look-ups of all selectors are one dimension."""

    place: Place
    kind: int  #: DIMENSION_*
    ignores_case: bool = False


@dataclass(frozen=True, slots=True)
class Followed:
    """Processes by binary (patterns of whole paths) or by pid, and their descendants.

    Its bit in process_class.followed is given when all policies are known.
    """

    binaries: frozenset[bytes] = frozenset()
    pids: frozenset[int] = frozenset()
    #: The pids are those of each process's own pid namespace.
    in_namespace: bool = False


class Within(NamedTuple):
    """The number is in this set."""

    intervals: Intervals


class Bits(NamedTuple):
    """The number has a bit of this mask; with DIMENSION_NO_BITS: has none."""

    mask: int


#: RANGE: Within; BITS and NO_BITS: Bits or Followed; all others: Alternatives, of
#: ADDRESS those of addresses.py.
Test: TypeAlias = Within | Bits | Followed | Alternatives


class Condition(NamedTuple):
    """A value is looked up, and what comes out must pass the test."""

    lookup: Lookup
    test: Test


def follow_set(values: Followed, *, is_negative: bool) -> Condition:
    """Return the condition that a process, or an ancestor of it, is in the set."""
    kind = c.DIMENSION_NO_BITS if is_negative else c.DIMENSION_BITS
    return Condition(Lookup(Place(c.SOURCE_FOLLOWED), kind), values)


class Conditions:
    """All conditions of one selector: each must hold.

    Those on the same number are one set of intervals.
    """

    def __init__(self) -> None:
        self._tests: dict[Lookup, list[Test]] = {}

    def add(self, condition: Condition) -> None:
        """Demand one more."""
        lookup, test = condition
        tests = self._tests.setdefault(lookup, [])
        if tests and isinstance(test, Within) and isinstance(tests[0], Within):
            both = intersection(tests[0].intervals, test.intervals)
            tests[0] = Within(both)
        elif test not in tests:
            tests.append(test)

    def __iter__(self) -> Iterator[tuple[Lookup, tuple[Test, ...]]]:
        """Yield each look-up and its tests, in the order of the policy."""
        for lookup, tests in self._tests.items():
            yield lookup, tuple(tests)

    @property
    def is_impossible(self) -> bool:
        """True if no number is in all sets that are wanted of it."""
        return any(Within(()) in tests for tests in self._tests.values())
