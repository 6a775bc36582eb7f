# SPDX-License-Identifier: Apache-2.0
"""One automaton for all texts that are searched for (Aho and Corasick, 1975).

A state is how much of which pattern was just read. Every state knows its next one for
each byte, and all patterns that end in it, also those that end inside a longer one.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from tetragon_py.compiler.plan import AutomatonRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tetragon_py.compiler.plan import Vector

__all__ = ["STATES_MAX", "build_automaton"]

#: Of one automaton: 1 MiB in the kernel. Patterns share states where they begin alike.
STATES_MAX = 2048

_BYTES = 256
_UPPER = range(ord("A"), ord("Z") + 1)
_TO_LOWER = ord("a") - ord("A")


def build_automaton(
    patterns: Mapping[bytes, Vector], *, ignore_case: bool = False
) -> tuple[AutomatonRow, ...]:
    """Return the states, the first one is the start.

    Args:
        patterns: Pattern -> bits to set where it ends; none of them is empty.
        ignore_case: The patterns are lower case, ASCII letters match in both.
    """
    children: list[dict[int, int]] = [{}]
    found: list[Vector] = [0]
    for pattern, vector in sorted(patterns.items()):
        state = 0
        for byte in pattern:
            if byte not in children[state]:
                children[state][byte] = len(children)
                children.append({})
                found.append(0)
            state = children[state][byte]
        found[state] |= vector
    following = _link(children, found)
    if ignore_case:
        for row in following:
            for byte in _UPPER:
                row[byte] = row[byte + _TO_LOWER]
    return tuple(
        AutomatonRow(tuple(row), vector)
        for row, vector in zip(following, found, strict=True)
    )


# From the start outwards, so that the state of the longest proper end of what was read
# is complete when it is needed. Adds to `found` what ends there.
def _link(children: list[dict[int, int]], found: list[Vector]) -> list[list[int]]:
    following: list[list[int]] = [[] for _ in children]
    following[0] = [0] * _BYTES
    pending = deque[tuple[int, int]]()
    for byte, child in children[0].items():
        following[0][byte] = child
        pending.append((child, 0))
    while pending:
        state, shorter = pending.popleft()
        found[state] |= found[shorter]
        following[state] = following[shorter].copy()
        for byte, child in children[state].items():
            pending.append((child, following[shorter][byte]))
            following[state][byte] = child
    return following
