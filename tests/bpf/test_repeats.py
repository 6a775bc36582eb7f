# SPDX-License-Identifier: Apache-2.0
"""Enforced hits: told in the lane of verdicts, and beyond a rate only counted."""

from __future__ import annotations

import os

import pytest

from tests.bpf.lseek import events, hook, seek, selectors
from tetragon_py.abi import _generated as c
from tetragon_py.compiler.plan import Plan
from tetragon_py.loader.repeats import RepeatTable

#: Does nothing to who does not ask for it.
SIGURG = 23
CALLS = 5_000
SIGNALS = selectors(1, actions=c.ACTION_POST | c.ACTION_SIGNAL, signal=SIGURG)


@pytest.fixture
def repeats(sensor, generations):
    """A policy that signals is in force, and nobody has hit it."""
    table = RepeatTable(sensor.shared.maps["repeats"])
    for entry in table.read():
        table.take(entry)
    generations.apply(Plan((hook(-5, selectors=SIGNALS),)))
    sensor.losses.read_new()
    events(sensor, c.LANE_VERDICT)
    return table


def test_told_counted_and_lost_are_all_hits(sensor, generations, repeats):
    """Each hit is one of the three, and the counters say how many each is."""
    told = []
    for i in range(CALLS):
        seek(-5)
        if not i % 1_000:
            told += events(sensor, c.LANE_VERDICT)
    [lost] = sensor.losses.read_new()
    told += events(sensor, c.LANE_VERDICT)
    [entry] = repeats.read()
    [counted] = generations.counters().values()

    assert (lost.lane, lost.cause) == ("verdict", "ring_full")  # it has 4 KiB here
    assert lost.sources == {os.getpid(): lost.counts["hook"]}
    assert events(sensor) == []
    assert len(told) + lost.counts["hook"] + entry.counted == CALLS
    assert c.REPEATS_TOLD <= CALLS - entry.counted < CALLS
    assert counted.matched == counted.signalled == CALLS
    assert (counted.posted, counted.repeated, counted.lost) == (
        *(len(told), entry.counted),
        lost.counts["hook"],
    )
    assert entry.start_boottime_ns == sensor.living()[os.getpid()]
    assert (entry.selector, entry.actions, entry.done, entry.error) == (
        *(0, SIGNALS[0].actions, SIGNALS[0].actions),
        0,
    )
    assert {match.policy for event in told for match in event.matches} == {entry.policy}
    assert {event.hook for event in told} == {entry.hook}


def test_a_new_entry_after_it_was_taken(sensor, repeats):
    """The count starts again, and so does what is told."""
    for _ in range(2):
        for _ in range(2 * c.REPEATS_TOLD):
            seek(-5)
        [entry] = repeats.read()

        # a second may have begun meanwhile, in which more are told
        assert 0 < entry.counted <= c.REPEATS_TOLD
        assert repeats.take(entry) == entry
        assert repeats.read() == []
