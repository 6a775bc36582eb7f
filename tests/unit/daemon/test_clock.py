# SPDX-License-Identifier: Apache-2.0
"""One offset between the clocks, until somebody sets the clock."""

from __future__ import annotations

import itertools
import time

import pytest

from tetragon_py.daemon import clock
from tetragon_py.daemon.clock import WallClock, boottime_ns

MS = 1_000_000


class Clocks:
    """Both clocks in the hands of the test."""

    def __init__(self) -> None:
        self.boot = 1_000 * MS
        self.offset = 5_000_000 * MS
        #: How long each reading of the boot clock takes.
        self.delays = itertools.repeat(0)

    def boottime_ns(self) -> int:
        self.boot += next(self.delays)
        return self.boot

    def time_ns(self) -> int:
        return self.boot + self.offset


@pytest.fixture
def clocks(monkeypatch):
    found = Clocks()
    monkeypatch.setattr(clock, "boottime_ns", found.boottime_ns)
    monkeypatch.setattr(time, "time_ns", found.time_ns)
    return found


def test_offset_leads_from_boottime_to_wall_time():
    """Boot time plus offset is the wall's time, to far less than a millisecond."""
    wall = WallClock()

    assert abs(boottime_ns() + wall.offset_ns - time.time_ns()) < 50 * MS
    assert wall.refresh() == wall.offset_ns


def test_jitter_changes_nothing(clocks):
    """Equal kernel times stay equal in the output while the clock is only slewed."""
    wall = WallClock()
    first = wall.offset_ns
    clocks.offset += MS - 1

    assert first == clocks.offset - MS + 1
    assert wall.refresh() == first
    assert wall.offset_ns == first


@pytest.mark.parametrize("step", [MS, -MS, 3_600_000 * MS, -5_000_000 * MS])
def test_set_clock_is_followed(clocks, step):
    """When somebody sets the clock, the next refresh follows, in both directions."""
    wall = WallClock()
    first = wall.offset_ns
    clocks.offset += step

    assert wall.refresh() == first + step
    assert wall.offset_ns == first + step


def test_slow_slewing_is_followed_in_the_end(clocks):
    """Small steps add up: the error never grows beyond a millisecond."""
    wall = WallClock()
    for _ in range(50):
        clocks.offset += MS // 10

        assert abs(wall.refresh() - clocks.offset) < MS


def test_interrupted_measurement_is_not_used(clocks):
    """Of several tries the shortest counts."""
    clocks.delays = iter([0, 900 * MS, 0, 700 * MS, 0, 2, 0, 500 * MS, 0, 600 * MS])

    assert abs(WallClock().offset_ns - clocks.offset) <= 2
