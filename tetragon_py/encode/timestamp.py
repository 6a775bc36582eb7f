# SPDX-License-Identifier: Apache-2.0
"""Times of the kernel as RFC 3339 with nine digits, in UTC."""

from __future__ import annotations

import time

__all__ = ["Timestamps"]


class Timestamps:
    """Formats CLOCK_BOOTTIME values.

    `wall_offset_ns` is CLOCK_REALTIME minus CLOCK_BOOTTIME; whoever knows the clocks
    keeps it up to date.
    """

    def __init__(self, wall_offset_ns: int = 0) -> None:
        self.wall_offset_ns = wall_offset_ns
        self._second_ns = -(1 << 80)  # no event is in that second
        self._prefix = b""
        self._last_ns = 0
        self._last = b""

    def format(self, boottime_ns: int) -> bytes:
        """Such as b"2026-11-21T20:08:11.961604934Z"."""
        wall_ns = boottime_ns + self.wall_offset_ns
        if wall_ns == self._last_ns and self._last:
            return self._last  # an image starts when its exec event happens
        fraction = wall_ns - self._second_ns
        if not 0 <= fraction < 1_000_000_000:
            # Most events share their second with the one before.
            second, fraction = divmod(wall_ns, 1_000_000_000)
            self._second_ns = second * 1_000_000_000
            text = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
            self._prefix = text.encode()
        self._last_ns = wall_ns
        self._last = b"%b%09dZ" % (self._prefix, fraction)
        return self._last
