# SPDX-License-Identifier: Apache-2.0
"""What policies take of the kernel side's tables, before any table is built.

Bounds that are never too low: rows that turn out equal are counted apart. They are kept
as sums, so that a policy costs what it brings, however many there are already.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, cast

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.class_totals import ClassTotals
from tetragon_py.compiler.selectors.conditions import Bits, Followed, Within
from tetragon_py.compiler.tables.classes import BINARY_ENDS
from tetragon_py.compiler.tables.dimensions import dimension_count
from tetragon_py.compiler.tables.intervals import LAST
from tetragon_py.compiler.tables.patterns import Alternatives

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tetragon_py.compiler.class_totals import SideTotals
    from tetragon_py.compiler.entries import HookEntry
    from tetragon_py.compiler.plan import ArgumentPlan, AttachPoint
    from tetragon_py.compiler.selectors.conditions import Lookup, Test

__all__ = ["SHARED_ROWS", "Addition", "Totals", "Use"]

#: Map -> its entries: those of bpf/tables.bpf.h.
SHARED_ROWS = {
    "selectors": 32768,
    "counters": 16384,
    "steps": 4096,
    "vectors": 32768,
    "bounds": 262144,
    "rows": 131072,
    "automata": 4096,
    "texts": 262144,
    "addresses": 65536,
    "short_texts": 4096,
    "long_texts": 512,
    "follow_rows": 16384,
    "followed_pids": 1024,
}

_BITS = (c.DIMENSION_BITS, c.DIMENSION_NO_BITS)
_TEXTS = (c.DIMENSION_TEXT, c.DIMENSION_TEXT_END)
#: More selectors have more vectors than any map has rows.
_MANY_SELECTORS = 32

#: What has a row of its own in a dimension: a bound, a bit, a pattern.
_Key: TypeAlias = int | bytes | Followed


@dataclass(slots=True)
class Use:
    """What is in use of one point, or what a policy brings to it."""

    selectors: int = 0
    slots: set[ArgumentPlan] = field(default_factory=set)
    dimensions: int = 0
    vectors: int = 0  #: if no two rows have the same
    #: For each dimension of a look-up a set.
    keys: dict[Lookup, list[set[_Key]]] = field(default_factory=dict)
    policies: list[str] = field(default_factory=list)

    def add(self, more: Use) -> None:
        """Take what a policy brings."""
        self.selectors += more.selectors
        self.slots |= more.slots
        self.dimensions += more.dimensions
        self.vectors += more.vectors
        for lookup, fresh in more.keys.items():
            known = self.keys.setdefault(lookup, fresh)
            if known is not fresh:
                for old, new in zip(known, fresh, strict=False):
                    old.update(new)
                known += fresh[len(known) :]
        self.policies += more.policies

    def searched_bytes(self, more: Use) -> int:
        """Return the bytes of all texts that are searched for at one place, at most."""
        most = 0
        for lookup, fresh in more.keys.items():
            if lookup.kind == c.DIMENSION_SUBSTRING:
                texts = set[_Key]().union(*fresh, *self.keys.get(lookup, ()))
                most = max(most, sum(map(len, cast("set[bytes]", texts))))
        return most


@dataclass(slots=True)
class Addition:
    """What one policy brings: to each point, and rows of maps."""

    points: dict[AttachPoint, Use] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    classes: ClassTotals | None = None
    has_followed: bool = False  #: sets that its points did not follow yet


class Totals:
    """What the policies that were added take."""

    def __init__(self) -> None:
        self.uses: dict[AttachPoint, Use] = {}
        self._rows: dict[str, int] = defaultdict(int)
        self._classes = ClassTotals()
        self._has_classes = False

    def measure(self, entries: Mapping[AttachPoint, Sequence[HookEntry]]) -> Addition:
        """Return what a policy would bring; its entries come by point."""
        more = Addition()
        for point, its in entries.items():
            more.points[point] = _measure(self.uses.get(point), its, more)
        return more

    def rows(self, more: Addition) -> Mapping[str, int]:
        """Return how many rows of each map are taken with it: never more."""
        rows = Counter(self._rows)
        rows.update(more.rows)
        if self._has_classes or more.classes:
            rows.update(self._classes.rows(more.classes or ClassTotals()))
        return rows

    def add(self, more: Addition) -> None:
        """Take what was measured last."""
        for name, count in more.rows.items():
            self._rows[name] += count
        if more.classes:
            self._classes.add(more.classes)
            self._has_classes = True
        for point, its in more.points.items():
            use = self.uses.setdefault(point, its)
            if use is not its:
                use.add(its)


# ---- one point ----


def _measure(use: Use | None, entries: Sequence[HookEntry], more: Addition) -> Use:
    """Return what a point gets in addition; its rows are added to `more`."""
    use = use or Use()
    added = Use(keys=_keys(entries), policies=[entries[0].policy])
    for entry in entries:
        added.selectors += len(entry.selectors)
        added.slots.update(entry.args, entry.data)
        if entry.returned is not None:
            added.slots.add(entry.returned)
    added.slots -= use.slots
    for lookup, layers in added.keys.items():
        known = use.keys.get(lookup, ())
        for old, keys in zip(known, layers, strict=False):
            keys.difference_update(old)
        first = len(layers) - len(known)
        if first > 0:
            _add_dimensions(lookup, first, added, more)
        for keys in layers:
            if keys:
                added.vectors += len(keys)
                _add_rows(lookup, keys, more)
    rows = more.rows
    rows["selectors"] += added.selectors
    rows["counters"] += added.selectors
    for plan in added.slots:
        rows["steps"] += len(plan.steps)
    rows["vectors"] += _vector_rows(
        use.vectors + added.vectors, use.selectors + added.selectors
    ) - _vector_rows(use.vectors, use.selectors)
    return added


# A vector is a set of selectors; the empty one has its row everywhere.
def _vector_rows(vectors: int, selectors: int) -> int:
    return min(vectors, (1 << min(selectors, _MANY_SELECTORS)) - 1)


def _keys(entries: Iterable[HookEntry]) -> dict[Lookup, list[set[_Key]]]:
    found: dict[Lookup, list[set[_Key]]] = {}
    for entry in entries:
        for selector in entry.selectors:
            for lookup, tests in selector.conditions:
                layers = found.get(lookup)
                if layers is None:
                    layers = found[lookup] = []
                while len(layers) < dimension_count(lookup, tests):
                    layers.append(set())
                if len(layers) == 1:
                    for test in tests:
                        layers[0].update(_test_keys(test))
                else:
                    for keys, test in zip(layers, tests, strict=False):
                        keys.update(_test_keys(test))
    return found


def _test_keys(test: Test) -> Iterable[_Key]:
    if isinstance(test, Alternatives):
        return test.patterns
    if isinstance(test, Within):
        lows = [low for low, _ in test.intervals if low]
        return lows + [high + 1 for _, high in test.intervals if high < LAST]
    if isinstance(test, Bits):
        return [bit for bit in range(test.mask.bit_length()) if test.mask >> bit & 1]
    return (test,)


# What a dimension has besides its keys; two vectors are those of what is in no row, and
# of what cannot be read.
def _add_dimensions(lookup: Lookup, count: int, added: Use, more: Addition) -> None:
    added.dimensions += count
    added.vectors += 2 * count
    if lookup.kind == c.DIMENSION_RANGE:
        added.vectors += 1
        more.rows["bounds"] += 1  # from 0 on
    elif lookup.kind == c.DIMENSION_SUBSTRING:
        more.rows["automata"] += count  # where they start
    elif lookup.kind == c.DIMENSION_CLASS:
        _side(lookup, more).tables += 1


def _add_rows(lookup: Lookup, keys: set[_Key], more: Addition) -> None:
    kind, rows = lookup.kind, more.rows
    if kind == c.DIMENSION_RANGE or kind in _BITS:
        rows["bounds"] += len(keys)
        if lookup.place.source == c.SOURCE_FOLLOWED:
            _add_followed(cast("set[Followed]", keys), more)
    elif kind in _TEXTS:
        rows["texts"] += len(keys)
    elif kind == c.DIMENSION_ADDRESS:
        rows["addresses"] += len(keys)
    else:
        _add_patterns(lookup, cast("set[bytes]", keys), more)


def _side(lookup: Lookup, more: Addition) -> SideTotals:
    classes = more.classes = more.classes or ClassTotals()
    return classes.ends if lookup.place.slot in BINARY_ENDS else classes.begins


def _add_patterns(lookup: Lookup, patterns: set[bytes], more: Addition) -> None:
    rows = more.rows
    if lookup.kind == c.DIMENSION_CLASS:
        _side(lookup, more).ask(patterns)
    elif lookup.kind == c.DIMENSION_SUBSTRING:
        rows["automata"] += sum(map(len, patterns))
    else:
        short = sum(len(text) <= c.SHORT_TEXT_BYTES for text in patterns)
        rows["short_texts"] += short
        rows["long_texts"] += len(patterns) - short


def _add_followed(sets: Iterable[Followed], more: Addition) -> None:
    more.has_followed = True
    classes = more.classes = more.classes or ClassTotals()
    for values in sets:
        classes.begins.know(values.binaries)
        classes.pids.update((values.in_namespace, pid) for pid in values.pids)
