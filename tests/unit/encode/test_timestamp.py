# SPDX-License-Identifier: Apache-2.0
"""Kernel times as RFC 3339."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetragon_py.encode.timestamp import Timestamps

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("boottime_ns", "offset_ns", "text"),
    [
        (0, 0, b"1970-01-01T00:00:00.000000000Z"),
        (1, 0, b"1970-01-01T00:00:00.000000001Z"),
        (SECOND - 1, 0, b"1970-01-01T00:00:00.999999999Z"),
        (5, 1_795_000_000 * SECOND, b"2026-11-18T11:06:40.000000005Z"),
        (2**64 - 1, 0, b"2554-07-21T23:34:33.709551615Z"),
        (0, -1, b"1969-12-31T23:59:59.999999999Z"),
    ],
)
def test_time_is_told_to_the_nanosecond(boottime_ns, offset_ns, text):
    """UTC, nine digits, however large or small."""
    assert text == Timestamps(offset_ns).format(boottime_ns)


@given(st.lists(st.integers(0, 2**62)), st.integers(0, 2**61))
def test_order_of_events_does_not_matter(times, offset_ns):
    """What is kept from one call never shows in the next."""
    shared = Timestamps(offset_ns)
    for time_ns in times:
        text = shared.format(time_ns).decode()
        second, fraction = divmod(time_ns + offset_ns, SECOND)
        whole = dt.datetime.fromtimestamp(second, dt.UTC)

        assert text == f"{whole:%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"


def test_offset_can_change():
    """When somebody sets the clock, the next time follows it."""
    timestamps = Timestamps(0)
    timestamps.format(0)
    timestamps.wall_offset_ns = 2 * SECOND

    assert timestamps.format(0) == b"1970-01-01T00:00:02.000000000Z"
