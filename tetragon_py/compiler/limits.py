# SPDX-License-Identifier: Apache-2.0
"""What the tables of the kernel side can hold: policies are admitted one by one.

A policy that does not fit is refused as a whole and leaves room for the next one.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.selectors.conditions import Followed
from tetragon_py.compiler.tables.automaton import STATES_MAX
from tetragon_py.compiler.totals import SHARED_ROWS, Addition, Totals, Use
from tetragon_py.policy.diagnostic import Finding, error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tetragon_py.compiler.drafts import Draft
    from tetragon_py.compiler.entries import HookEntry
    from tetragon_py.compiler.plan import AttachPoint
    from tetragon_py.compiler.selectors.conditions import Test

__all__ = ["Admission", "followed_sets"]

#: Hook number 0 is none.
_POINTS_MAX = c.HOOKS_MAX - 1
_NAMES_SHOWN = 8
#: Of a point that nobody has.
_NOTHING = Use()


class Admission:
    """The policies that were admitted, and the room that they left."""

    def __init__(self) -> None:
        self._followed: set[Followed] = set()
        self._totals = Totals()

    def admit_all(self, drafts: Iterable[Draft]) -> bool:
        """Take the hooks of a whole set if there is room for all of it.

        Then its policies would be admitted one by one, too: bounds only grow. If not,
        nobody else can be admitted here.
        """
        for draft in drafts:
            its = draft.addition
            for use in its.points.values():
                if any(_check(draft.point, _NOTHING, use, draft.entries)):
                    return False
            self._totals.add(its)
            self._followed.update(draft.followed)
        rows = self._totals.rows(Addition())
        return (
            len(self._followed) <= c.FOLLOW_SETS_MAX
            and len(self._totals.uses) <= _POINTS_MAX
            and all(rows[name] <= _limit(name) for name in rows)
        )

    def admit(self, entries: Sequence[HookEntry]) -> list[Finding]:
        """Take all entries of a policy, or none: then what does not fit is returned."""
        by_point: dict[AttachPoint, list[HookEntry]] = defaultdict(list)
        for entry in entries:
            by_point[entry.point].append(entry)
        measured = self._totals.measure(by_point)
        followed = set(followed_sets(entries)) if measured.has_followed else set()
        more = followed - self._followed
        found = list(self._check_totals(entries, by_point, len(more)))
        for point, its in by_point.items():
            use = self._totals.uses.get(point, _NOTHING)
            found += _check(point, use, measured.points[point], its)
        found = found or list(self._check_rows(entries, measured))
        if found:
            return found
        self._totals.add(measured)
        self._followed |= more
        return []

    def _check_totals(
        self, entries: Sequence[HookEntry], points: Iterable[AttachPoint], sets: int
    ) -> Iterator[Finding]:
        if sets + len(self._followed) > c.FOLLOW_SETS_MAX:
            yield error(
                entries[0].path,
                f"more than {c.FOLLOW_SETS_MAX} different sets are followed",
                "all policies with followChildren or followForks share them",
            )
        uses = self._totals.uses
        if len(uses) + sum(point not in uses for point in points) > _POINTS_MAX:
            text = f"all policies together have more than {_POINTS_MAX} attach points"
            yield error(entries[0].path, text)

    def _check_rows(
        self, entries: Sequence[HookEntry], more: Addition
    ) -> Iterator[Finding]:
        for name, count in self._totals.rows(more).items():
            limit = _limit(name)
            if count > limit:
                yield error(
                    entries[0].path,
                    f"all policies together need up to {count} rows of the table "
                    f"{name}, more than {limit}",
                    f"half of its {SHARED_ROWS[name]} rows: "
                    "a reload needs the old and the new ones at once",
                )


# A reload holds the old and the new rows of what changes: half is for each.
def _limit(name: str) -> int:
    return SHARED_ROWS[name] // 2


def followed_sets(entries: Sequence[HookEntry]) -> Iterator[Followed]:
    """Yield the sets that entries follow; the same ones again and again."""
    for test in _tests(entries):
        if isinstance(test, Followed):
            yield test


def _tests(entries: Sequence[HookEntry]) -> Iterator[Test]:
    for entry in entries:
        for selector in entry.selectors:
            for _, tests in selector.conditions:
                yield from tests


def _check(
    point: AttachPoint, use: Use, more: Use, entries: Sequence[HookEntry]
) -> Iterator[Finding]:
    for count, limit, what in (
        (use.selectors + more.selectors, c.SELECTORS_MAX, "selectors"),
        (len(use.slots) + len(more.slots), c.HOOK_ARGUMENTS_MAX, "different arguments"),
        (
            use.dimensions + more.dimensions,
            c.DIMENSIONS_MAX,
            "different properties to compare",
        ),
        (use.searched_bytes(more), STATES_MAX - 1, "bytes of texts to search for"),
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
