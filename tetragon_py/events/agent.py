# SPDX-License-Identifier: Apache-2.0
"""What the agent tells about itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tetragon_py.events.process import Process

__all__ = ["LossEvent", "LossSource"]


@dataclass(slots=True)
class LossSource:
    """Whose doing a loss was: `process` is None if the agent no longer knows it."""

    tgid: int
    count: int
    process: Process | None = None


@dataclass(slots=True)
class LossEvent:
    """Records that did not arrive, between two looks at the counters.

    `cause` is one of ring_full, table_full, no_scratch, not_run (kernel side), decode,
    sink (user space); `counts` maps a kind (fork, exec, exit,
    record, line) to how many.
    """

    lane: str
    cause: str
    counts: dict[str, int]
    since_boottime_ns: int
    until_boottime_ns: int
    sources: list[LossSource] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All kinds together."""
        return sum(self.counts.values())
