# SPDX-License-Identifier: Apache-2.0
"""Filters on numbers: operator and values come in, a set of numbers goes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tetragon_py.compiler.tables.intervals import (
    LAST,
    Intervals,
    complement,
    in_order,
    union,
)
from tetragon_py.policy.model.operators import Operator
from tetragon_py.policy.values.integers import IntRange

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["file_types", "numbers"]

#: Below it only root may listen.
_PRIVILEGED_PORTS = 1024
_TYPE_SHIFT = 12
_ALL_PERMISSIONS = (1 << _TYPE_SHIFT) - 1


def numbers(
    operator: Operator, values: Sequence[int | IntRange], *, is_signed: bool = False
) -> Intervals:
    """Return the numbers that a filter is content with, in the order of their sign."""
    found = union(_parts(operator.positive, values, is_signed=is_signed))
    return complement(found) if operator.is_negative else found


def file_types(operator: Operator, values: Iterable[int]) -> Intervals:
    """Return the modes of inodes of these types; of st_mode the type bits."""
    found = union((kind, kind | _ALL_PERMISSIONS) for kind in values)
    return complement(found) if operator.is_negative else found


def _parts(
    operator: Operator, values: Sequence[int | IntRange], *, is_signed: bool
) -> Iterator[tuple[int, int]]:
    if operator in {Operator.SPORT_PRIV, Operator.DPORT_PRIV}:
        yield 0, _PRIVILEGED_PORTS - 1
    for value in values:
        low, high = value if isinstance(value, IntRange) else (value, value)
        first = in_order(low, is_signed=is_signed)
        last = in_order(high, is_signed=is_signed)
        if operator is Operator.GT:
            first, last = last + 1, LAST
        elif operator is Operator.LT:
            first, last = 0, first - 1
        if first <= last:
            yield first, last
