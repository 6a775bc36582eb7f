# SPDX-License-Identifier: Apache-2.0
"""Counters only grow; what is told is what came since the last look."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tetragon_py.abi import _generated as c
from tetragon_py.abi.record import LOSS_SOURCE
from tetragon_py.loader.losses import CAUSE_NAMES, TYPE_NAMES, LossCounters, Losses


def program(misses: dict[int, int], kind: int) -> Any:
    return SimpleNamespace(info=lambda: SimpleNamespace(recursion_misses=misses[kind]))


class StandIns:
    """What the second copies told, per type."""

    def __init__(self) -> None:
        self.told = dict.fromkeys(TYPE_NAMES, 0)

    def percpu_values(self, key: bytes) -> list[bytes]:
        told = self.told[int.from_bytes(key, "little")]
        return [value.to_bytes(8, "little") for value in (told, 0)]


class Kernel:
    """Both maps and the programs."""

    def __init__(self) -> None:
        self.counters: dict[int, list[int]] = {}
        self.sources: dict[bytes, bytes] = {}
        self.misses = dict.fromkeys(TYPE_NAMES, 0)
        self.stand_in_misses = dict.fromkeys(TYPE_NAMES, 0)
        self.stand_ins = StandIns()

    def percpu_values(self, key: bytes) -> list[bytes]:
        values = self.counters.get(int.from_bytes(key, "little"), [0, 0])
        return [value.to_bytes(8, "little") for value in values]

    def items(self) -> list[tuple[bytes, bytes]]:
        return list(self.sources.items())

    def delete(self, key: bytes) -> bool:
        return self.sources.pop(key, None) is not None

    def lose(self, cause: int, kind: int, tgid: int, *counts: int) -> None:
        key = LOSS_SOURCE.pack(tgid, kind, cause)
        self.counters[cause * c.EVENT_TYPE_COUNT + kind] = list(counts)
        self.sources[key] = sum(counts).to_bytes(8, "little")

    def programs(self, *, stand_in: bool) -> list[tuple[int, list[Any]]]:
        copies = [self.misses, *([self.stand_in_misses] if stand_in else [])]
        return [(kind, [program(copy, kind) for copy in copies]) for kind in TYPE_NAMES]


@pytest.fixture
def kernel():
    return Kernel()


@pytest.fixture
def losses(kernel):
    programs = kernel.programs(stand_in=False)
    return LossCounters(kernel, kernel, kernel.stand_ins, programs)


def test_every_cause_and_type_has_a_name():
    """Whatever the kernel side can count has a word in the event."""
    assert set(range(c.LOSS_CAUSE_COUNT)) == set(CAUSE_NAMES)
    assert set(range(1, c.EVENT_TYPE_COUNT)) == set(TYPE_NAMES)
    assert c.LOSS_CAUSE_COUNT * c.EVENT_TYPE_COUNT <= c.LOSS_INDEX_COUNT


def test_nothing_lost(losses):
    """Without a loss nothing is told."""
    assert losses.read_new() == []


def test_all_cpus_are_summed_and_told_once(kernel, losses):
    """The exact count over all CPUs, and nothing the second time."""
    kernel.lose(c.LOSS_RING_FULL, c.EVENT_EXEC, 50, 3, 4)

    assert losses.read_new() == [Losses("lifecycle", "ring_full", {"exec": 7}, {50: 7})]
    assert losses.read_new() == []
    assert kernel.sources == {}
    kernel.lose(c.LOSS_RING_FULL, c.EVENT_EXEC, 60, 3, 6)
    kernel.sources = {
        LOSS_SOURCE.pack(60, c.EVENT_EXEC, c.LOSS_RING_FULL): b"\2" + bytes(7)
    }
    assert losses.read_new() == [Losses("lifecycle", "ring_full", {"exec": 2}, {60: 2})]


def test_lanes_are_told_apart(kernel, losses):
    """A hit is of the policies' lane, or of the verdicts' if that ring was full."""
    kernel.lose(c.LOSS_RING_FULL, c.EVENT_HOOK, 50, 1, 2)
    kernel.lose(c.LOSS_VERDICTS_FULL, c.EVENT_HOOK, 60, 4, 0)
    kernel.lose(c.LOSS_RING_FULL, c.EVENT_EXEC, 70, 0, 5)

    assert losses.read_new() == [
        Losses("lifecycle", "ring_full", {"exec": 5}, {70: 5}),
        Losses("policy", "ring_full", {"hook": 3}, {50: 3}),
        Losses("verdict", "ring_full", {"hook": 4}, {60: 4}),
    ]


def test_causes_are_told_apart(kernel, losses):
    """One entry per cause; a process is named once, whatever the types were."""
    kernel.lose(c.LOSS_RING_FULL, c.EVENT_FORK, 50, 1, 0)
    kernel.lose(c.LOSS_RING_FULL, c.EVENT_EXIT, 50, 0, 2)
    kernel.lose(c.LOSS_TABLE_FULL, c.EVENT_EXIT, 70, 5, 0)

    assert losses.read_new() == [
        Losses("lifecycle", "ring_full", {"fork": 1, "exit": 2}, {50: 3}),
        Losses("lifecycle", "table_full", {"exit": 5}, {70: 5}),
    ]


def test_programs_that_did_not_run(kernel, losses):
    """The kernel's own count of missed runs is a loss without a source."""
    kernel.misses[c.EVENT_EXEC] = 4

    assert losses.read_new() == [Losses("lifecycle", "not_run", {"exec": 4}, {})]
    assert losses.read_new() == []


@pytest.mark.parametrize(
    ("missed", "told", "missed_by_stand_in", "lost"),
    [
        (4, 4, 0, 0),  # the stand-in told all
        (4, 1, 9, 3),  # its own misses are mostly of hits that the first copy ran for
        (4, 1, 2, 2),  # it ran for one of the others: not wanted, as that of a thread
        (0, 0, 7, 0),
    ],
)
def test_what_neither_copy_ran_for(kernel, missed, told, missed_by_stand_in, lost):
    """Lost is what both copies missed: at most what either count leaves."""
    programs = kernel.programs(stand_in=True)
    losses = LossCounters(kernel, kernel, kernel.stand_ins, programs)
    kernel.misses[c.EVENT_EXEC] = missed
    kernel.stand_ins.told[c.EVENT_EXEC] = told
    kernel.stand_in_misses[c.EVENT_EXEC] = missed_by_stand_in

    assert losses.read_new() == (
        [Losses("lifecycle", "not_run", {"exec": lost}, {})] if lost else []
    )
    kernel.stand_ins.told[c.EVENT_EXEC] += 1  # counted before the miss is
    assert losses.read_new() == []
