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
        self._second: int | None = None
        self._prefix = b""

    def format(self, boottime_ns: int) -> bytes:
        """Such as b"2026-11-21T20:08:11.961604934Z"."""
        second, fraction = divmod(boottime_ns + self.wall_offset_ns, 1_000_000_000)
        if second != self._second:
            # Most events share their second with the one before.
            self._second = second
            text = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
            self._prefix = text.encode()
        return b"%b%09dZ" % (self._prefix, fraction)
