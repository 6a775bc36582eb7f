# SPDX-License-Identifier: Apache-2.0
"""The kernel's clock against the wall's."""

from __future__ import annotations

import time

__all__ = ["WallClock", "boottime_ns"]

#: Smaller differences are the jitter of measuring and of NTP's slewing.
_STEP_NS = 1_000_000
_TRIES = 5


def boottime_ns() -> int:
    """CLOCK_BOOTTIME, the clock of all records."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class WallClock:
    """CLOCK_REALTIME minus CLOCK_BOOTTIME, steady until somebody sets the clock.

    One offset for all events keeps equal kernel times equal in the output.
    """

    def __init__(self) -> None:
        self.offset_ns = self._measure()

    def refresh(self) -> int:
        """Measure again; the offset to use from here on."""
        offset = self._measure()
        if abs(offset - self.offset_ns) >= _STEP_NS:
            self.offset_ns = offset
        return self.offset_ns

    @staticmethod
    def _measure() -> int:
        """Of several tries the one that was interrupted least."""
        best = (1 << 63, 0)
        for _ in range(_TRIES):
            before = boottime_ns()
            wall = time.time_ns()
            after = boottime_ns()
            best = min(best, (after - before, wall - (before + after) // 2))
        return best[1]
