# SPDX-License-Identifier: Apache-2.0
"""What the tables of the kernel side can hold: policies are admitted one by one.

A policy that does not fit is refused as a whole and leaves room for the next one.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.selectors.conditions import Followed
from tetragon_py.compiler.tables.automaton import STATES_MAX
from tetragon_py.compiler.tables.dimensions import dimension_count
from tetragon_py.compiler.tables.patterns import Alternatives
from tetragon_py.policy.diagnostic import Finding, error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tetragon_py.compiler.entries import HookEntry
    from tetragon_py.compiler.plan import ArgumentPlan, AttachPoint
    from tetragon_py.compiler.selectors.conditions import Lookup, Test

__all__ = ["Admission"]

#: Hook number 0 is none.
_POINTS_MAX = c.HOOKS_MAX - 1
_NAMES_SHOWN = 8


@dataclass(slots=True)
class _Use:
    """What is in use of one point."""

    selectors: int = 0
    slots: set[ArgumentPlan] = field(default_factory=set)
    dimensions: dict[Lookup, int] = field(default_factory=dict)
    searched: dict[Lookup, set[bytes]] = field(default_factory=dict)
    policies: list[str] = field(default_factory=list)


class Admission:
    """The policies that were admitted, and the room that they left."""

    def __init__(self) -> None:
        #: Set -> number of its bit in process_class.followed.
        self.followed: dict[Followed, int] = {}
        self._uses: dict[AttachPoint, _Use] = {}

    def admit(self, entries: Sequence[HookEntry]) -> list[Finding]:
        """Take all entries of a policy, or none: then what does not fit is returned."""
        by_point: dict[AttachPoint, list[HookEntry]] = defaultdict(list)
        for entry in entries:
            by_point[entry.point].append(entry)
        followed = dict.fromkeys(_followed(entries))
        more = [values for values in followed if values not in self.followed]
        found = list(self._check_totals(entries, by_point, len(more)))
        added = {}
        for point, its in by_point.items():
            added[point] = _added(self._uses.get(point, _Use()), its)
            found += _check(point, self._uses.get(point, _Use()), added[point], its)
        if found:
            return found
        for values in more:
            self.followed[values] = len(self.followed)
        for point, use in added.items():
            _add(self._uses.setdefault(point, _Use()), use)
        return []

    def _check_totals(
        self, entries: Sequence[HookEntry], points: Iterable[AttachPoint], sets: int
    ) -> Iterator[Finding]:
        if sets + len(self.followed) > c.FOLLOW_SETS_MAX:
            yield error(
                entries[0].path,
                f"more than {c.FOLLOW_SETS_MAX} different sets are followed",
                "all policies with followChildren or followForks share them",
            )
        if len({*points, *self._uses}) > _POINTS_MAX:
            text = f"all policies together have more than {_POINTS_MAX} attach points"
            yield error(entries[0].path, text)


def _followed(entries: Sequence[HookEntry]) -> Iterator[Followed]:
    for test in _tests(entries):
        if isinstance(test, Followed):
            yield test


def _tests(entries: Sequence[HookEntry]) -> Iterator[Test]:
    for entry in entries:
        for selector in entry.selectors:
            for _, tests in selector.conditions:
                yield from tests


# What a point gets in addition; of dimensions the new total.
def _added(use: _Use, entries: Sequence[HookEntry]) -> _Use:
    more = _Use(policies=[entries[0].policy])
    for entry in entries:
        more.slots.update(plan for plan in entry.arguments if plan not in use.slots)
        more.selectors += len(entry.selectors)
        for selector in entry.selectors:
            for lookup, tests in selector.conditions:
                count = dimension_count(lookup, tests)
                known = more.dimensions.get(lookup, use.dimensions.get(lookup, 0))
                more.dimensions[lookup] = max(count, known)
                if lookup.kind == c.DIMENSION_SUBSTRING:
                    more.searched.setdefault(lookup, set()).update(_patterns(tests))
    return more


def _patterns(tests: Sequence[Test]) -> Iterator[bytes]:
    for test in tests:
        if isinstance(test, Alternatives):
            yield from test.patterns


def _check(
    point: AttachPoint, use: _Use, more: _Use, entries: Sequence[HookEntry]
) -> Iterator[Finding]:
    dimensions = sum((use.dimensions | more.dimensions).values())
    searched = max(
        (
            sum(map(len, patterns | use.searched.get(lookup, set())))
            for lookup, patterns in more.searched.items()
        ),
        default=0,
    )
    for count, limit, what in (
        (use.selectors + more.selectors, c.SELECTORS_MAX, "selectors"),
        (len(use.slots) + len(more.slots), c.HOOK_ARGUMENTS_MAX, "different arguments"),
        (dimensions, c.DIMENSIONS_MAX, "different properties to compare"),
        (searched, STATES_MAX - 1, "bytes of texts to search for"),
    ):
        if count > limit:
            yield error(
                entries[0].path,
                f"{point.kind} {point.name} gets {count} {what}, more than {limit}",
                _together(use.policies),
            )


def _together(policies: Sequence[str]) -> str:
    if not policies:
        return "split the policy over several hooks"
    shown = ", ".join(policies[:_NAMES_SHOWN])
    rest = len(policies) - _NAMES_SHOWN
    return f"together with {shown}" + (f" and {rest} more" if rest > 0 else "")


def _add(use: _Use, more: _Use) -> None:
    use.selectors += more.selectors
    use.slots |= more.slots
    use.dimensions |= more.dimensions
    for lookup, patterns in more.searched.items():
        use.searched.setdefault(lookup, set()).update(patterns)
    use.policies += more.policies
