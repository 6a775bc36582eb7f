# SPDX-License-Identifier: Apache-2.0
"""A hook between policies and plan: kept from one policy set to the next.

What it takes of the tables and which classes it asks for depend on its entries only.
Its plan depends on the numbers, too, that the whole set gave to these classes: while
both stay, so does the plan, as the very same object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.limits import followed_sets
from tetragon_py.compiler.points import merge_entries
from tetragon_py.compiler.tables.classes import BINARY_ENDS
from tetragon_py.compiler.tables.dimensions import SharedNumbers
from tetragon_py.compiler.totals import Totals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tetragon_py.compiler.entries import HookEntry
    from tetragon_py.compiler.plan import HookPlan
    from tetragon_py.compiler.selectors.conditions import Lookup
    from tetragon_py.compiler.tables.classes import Classes

__all__ = ["Draft"]


class Draft:
    """All entries at one attach point.

    Args:
        entries: In the order of the policies; at least one.
    """

    def __init__(self, entries: Sequence[HookEntry]) -> None:
        self.entries = entries
        self.point = entries[0].point
        self.addition = Totals().measure({self.point: entries})
        #: The sets that it follows, each once.
        self.followed = (
            tuple(dict.fromkeys(followed_sets(entries)))
            if self.addition.has_followed
            else ()
        )
        #: Look-up of classes -> the patterns that it asks for, ascending.
        self._asked: dict[Lookup, list[bytes]] = {}
        keys = self.addition.points[self.point].keys
        for lookup, layers in keys.items():
            if lookup.kind == c.DIMENSION_CLASS:
                patterns = (key for key in layers[0] if isinstance(key, bytes))
                self._asked[lookup] = sorted(patterns)
        self._shared: SharedNumbers | None = None
        self._plan: HookPlan

    def patterns(self, *, ends: bool) -> set[bytes]:
        """Return what it asks for about the beginnings, or the ends, of paths."""
        found: set[bytes] = set()
        for lookup, patterns in self._asked.items():
            if (lookup.place.slot in BINARY_ENDS) is ends:
                found.update(patterns)
        return found

    def plan(self, classes: Classes) -> HookPlan:
        """Return the hook in a set with these classes: the one of before if it can."""
        shared = SharedNumbers(
            {
                lookup: classes.reached(lookup.place.slot, patterns)
                for lookup, patterns in self._asked.items()
            },
            {values: classes.followed[values] for values in self.followed},
        )
        if shared != self._shared:
            plan = merge_entries(self.entries, shared)
            if self._shared is None or plan != self._plan:
                self._plan = plan
            self._shared = shared
        return self._plan
