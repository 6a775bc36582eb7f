# SPDX-License-Identifier: Apache-2.0
"""Numbers that stay: what a policy set has in common with the one before keeps its own.

So a table that speaks of these numbers has to be written again only if something that
it speaks of came, went or had to move.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Mapping

__all__ = ["renumber"]

_Key = TypeVar("_Key", bound="Hashable")


def renumber(
    before: Mapping[_Key, int], wanted: Collection[_Key], first: int = 0
) -> dict[_Key, int]:
    """Number all of `wanted` from `first` on, without gaps.

    Args:
        before: The numbers so far. Who has one keeps it, unless it is too high now:
            then it goes where somebody left.
        wanted: Without repetition; new ones are numbered in this order.
        first: The lowest number.
    """
    end = first + len(wanted)
    kept = {key: before[key] for key in wanted if before.get(key, end) < end}
    taken = set(kept.values())
    free = (number for number in range(first, end) if number not in taken)
    return {key: kept[key] if key in kept else next(free) for key in wanted}
