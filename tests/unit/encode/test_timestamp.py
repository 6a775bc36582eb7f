# SPDX-License-Identifier: Apache-2.0
"""Kernel times as RFC 3339."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetragon_py.encode.timestamp import Timestamps

SECOND = 1_000_000_000
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("boottime_ns", "offset_ns", "text"),
    [
        (0, 0, b"1970-01-01T00:00:00.000000000Z"),
        (1, 0, b"1970-01-01T00:00:00.000000001Z"),
        (SECOND - 1, 0, b"1970-01-01T00:00:00.999999999Z"),
        (5, 1_795_000_000 * SECOND, b"2026-11-18T11:06:40.000000005Z"),
        (2**64 - 1, 0, b"2554-07-21T23:34:33.709551615Z"),
        (0, -1, b"1969-12-31T23:59:59.999999999Z"),
        (0, -SECOND, b"1969-12-31T23:59:59.000000000Z"),
        (0, -SECOND - 1, b"1969-12-31T23:59:58.999999999Z"),
        (2**63, 0, b"2262-04-11T23:47:16.854775808Z"),
        (2**63 + SECOND - 1, 0, b"2262-04-11T23:47:17.854775807Z"),
    ],
)
def test_time_is_told_to_the_nanosecond(boottime_ns, offset_ns, text):
    """UTC, nine digits, however large or small."""
    assert text == Timestamps(offset_ns).format(boottime_ns)


def expected(wall_ns: int) -> str:
    """The text of a time, made without `time.strftime`."""
    second, fraction = divmod(wall_ns, SECOND)
    whole = EPOCH + dt.timedelta(seconds=second)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"


#: Times that change the second, and such that are just before or after the border.
TIMES = st.integers(0, 2**62) | st.builds(
    lambda second, near: abs(second * SECOND + near),
    st.integers(0, 5),
    st.sampled_from([-SECOND, -2, -1, 0, 1, SECOND - 1, SECOND]),
)
OFFSETS = st.integers(-(2**61), 2**61) | st.integers(-3, 3).map(SECOND.__mul__)


@given(st.lists(TIMES), OFFSETS)
def test_order_of_events_does_not_matter(times, offset_ns):
    """What is kept from one call never shows in the next."""
    shared = Timestamps(offset_ns)
    for time_ns in times:
        assert shared.format(time_ns).decode() == expected(time_ns + offset_ns)


@given(st.lists(st.tuples(TIMES, OFFSETS)))
def test_offset_can_change_at_any_time(steps):
    """Whenever somebody sets the clock, each time is that of the clock then."""
    shared = Timestamps(0)
    for time_ns, offset_ns in steps:
        shared.wall_offset_ns = offset_ns

        assert shared.format(time_ns).decode() == expected(time_ns + offset_ns)


@pytest.mark.parametrize(
    "times",
    [
        [SECOND - 1, SECOND, SECOND - 1],
        [SECOND, SECOND - 1, SECOND],
        [2 * SECOND - 1, 2 * SECOND, 0, 2 * SECOND],
        [5, 5, 5 + SECOND, 5, 5],
        [0, 0, 1, 0],
    ],
)
@pytest.mark.parametrize("offset_ns", [0, -1, -SECOND, -10 * SECOND, 10 * SECOND + 1])
def test_borders_of_a_second(times, offset_ns):
    """Forwards and backwards across a border, and the same time again."""
    shared = Timestamps(offset_ns)

    assert [shared.format(time_ns).decode() for time_ns in times] == [
        expected(time_ns + offset_ns) for time_ns in times
    ]


def test_offset_can_change():
    """When somebody sets the clock, the next time follows it."""
    timestamps = Timestamps(0)
    timestamps.format(0)
    timestamps.wall_offset_ns = 2 * SECOND

    assert timestamps.format(0) == b"1970-01-01T00:00:02.000000000Z"


def test_same_time_after_a_change_of_the_offset():
    """A time that is told again is not the old text; back again it is."""
    timestamps = Timestamps(0)
    first = timestamps.format(7)
    timestamps.wall_offset_ns = 1
    second = timestamps.format(7)
    timestamps.wall_offset_ns = 0

    assert first == b"1970-01-01T00:00:00.000000007Z"
    assert second == b"1970-01-01T00:00:00.000000008Z"
    assert timestamps.format(7) == first
    assert timestamps.format(7) == first
