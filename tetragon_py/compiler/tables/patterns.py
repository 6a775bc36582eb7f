# SPDX-License-Identifier: Apache-2.0
"""Tables of patterns: what selectors want of a text, and a vector for each pattern.

A value finds the longest pattern that it begins with (or that it equals). That pattern
says which others it begins with too, so one row can answer for all selectors.

A selector may have several conditions on the same text, of which all must hold. The
first conditions of all selectors make the first layer, the second ones the second; in
one layer a pattern sets bits and clears bits, and a row is the AND of its layers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tetragon_py.compiler.plan import Vector

__all__ = [
    "Alternatives",
    "PatternTable",
    "longest_prefixes",
]


class Alternatives(NamedTuple):
    """A condition: the value has one of these patterns; negative: none of them."""

    patterns: tuple[bytes, ...]
    is_negative: bool = False


@dataclass(slots=True)
class _Layer:
    #: Bits for a value that has none of the patterns.
    miss: Vector
    wanted: dict[bytes, Vector] = field(default_factory=dict)
    refused: dict[bytes, Vector] = field(default_factory=dict)

    def add(self, bit: Vector, condition: Alternatives) -> None:
        table = self.refused if condition.is_negative else self.wanted
        for pattern in condition.patterns:
            table[pattern] = table.get(pattern, 0) | bit
        if not condition.is_negative:
            self.miss &= ~bit

    def vector(self, pattern: bytes, inherited: Vector) -> Vector:
        vector = inherited | self.wanted.get(pattern, 0)
        return vector & ~self.refused.get(pattern, 0)


class PatternTable:
    """The conditions of all selectors on one text."""

    def __init__(
        self,
        conditions: Iterable[tuple[Vector, Sequence[Alternatives]]],
        everyone: Vector,
    ) -> None:
        """Take the bit of each selector and its conditions; `everyone`: all bits."""
        self._layers: list[_Layer] = []
        for bit, alternatives in conditions:
            while len(self._layers) < len(alternatives):
                self._layers.append(_Layer(everyone))
            for layer, condition in zip(self._layers, alternatives, strict=False):
                layer.add(bit, condition)

    @property
    def patterns(self) -> list[bytes]:
        """All patterns, in their order as bytes."""
        found: set[bytes] = set()
        for layer in self._layers:
            found.update(layer.wanted, layer.refused)
        return sorted(found)

    @property
    def miss(self) -> Vector:
        """The vector of a value that has none of the patterns."""
        return reduce(and_, (layer.miss for layer in self._layers))

    def whole_rows(self) -> tuple[tuple[bytes, Vector], ...]:
        """Return the vector of each value that equals a pattern."""
        missed = [layer.miss for layer in self._layers]
        return tuple((p, self._row(p, missed)[0]) for p in self.patterns)

    def prefix_rows(
        self, patterns: Sequence[bytes], prefixes: Sequence[int]
    ) -> tuple[tuple[bytes, Vector], ...]:
        """Return the vector of values whose longest pattern is `pattern`, for each.

        Args:
            patterns: Ascending; all of this table's, there may be more.
            prefixes: As `longest_prefixes` returned them for `patterns`.
        """
        missed = [layer.miss for layer in self._layers]
        rows: list[tuple[bytes, Vector]] = []
        by_layer: list[list[Vector]] = []
        for pattern, prefix in zip(patterns, prefixes, strict=True):
            inherited = missed if prefix < 0 else by_layer[prefix]
            vector, vectors = self._row(pattern, inherited)
            rows.append((pattern, vector))
            by_layer.append(vectors)
        return tuple(rows)

    def _row(
        self, pattern: bytes, inherited: list[Vector]
    ) -> tuple[Vector, list[Vector]]:
        vectors = [
            layer.vector(pattern, vector)
            for layer, vector in zip(self._layers, inherited, strict=True)
        ]
        return reduce(and_, vectors), vectors


def longest_prefixes(patterns: Sequence[bytes]) -> list[int]:
    """Return where the longest other pattern stands that each one begins with, or -1.

    `patterns` are ascending, so that each stands behind what it begins with.
    """
    found = []
    chain: list[int] = []
    for index, pattern in enumerate(patterns):
        while chain and not pattern.startswith(patterns[chain[-1]]):
            chain.pop()
        found.append(chain[-1] if chain else -1)
        chain.append(index)
    return found
