# SPDX-License-Identifier: Apache-2.0
"""Counters only grow; what is told is what came since the last look."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tetragon_py.abi import _generated as c
from tetragon_py.abi.record import LOSS_SOURCE
from tetragon_py.loader.losses import CAUSE_NAMES, TYPE_NAMES, LossCounters, Losses


class Kernel:
    """Both maps and the programs."""

    def __init__(self) -> None:
        self.counters: dict[int, list[int]] = {}
        self.sources: dict[bytes, bytes] = {}
        self.misses = dict.fromkeys(TYPE_NAMES, 0)

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

    def program(self, kind: int) -> Any:
        return SimpleNamespace(
            info=lambda: SimpleNamespace(recursion_misses=self.misses[kind])
        )


@pytest.fixture
def kernel():
    return Kernel()


@pytest.fixture
def losses(kernel):
    programs = [(kind, kernel.program(kind)) for kind in TYPE_NAMES]
    return LossCounters(kernel, kernel, programs)


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

    assert losses.read_new() == [Losses("ring_full", {"exec": 7}, {50: 7})]
    assert losses.read_new() == []
    assert kernel.sources == {}
    kernel.lose(c.LOSS_RING_FULL, c.EVENT_EXEC, 60, 3, 6)
    kernel.sources = {
        LOSS_SOURCE.pack(60, c.EVENT_EXEC, c.LOSS_RING_FULL): b"\2" + bytes(7)
    }
    assert losses.read_new() == [Losses("ring_full", {"exec": 2}, {60: 2})]


def test_causes_are_told_apart(kernel, losses):
    """One entry per cause; a process is named once, whatever the types were."""
    kernel.lose(c.LOSS_RING_FULL, c.EVENT_FORK, 50, 1, 0)
    kernel.lose(c.LOSS_RING_FULL, c.EVENT_EXIT, 50, 0, 2)
    kernel.lose(c.LOSS_TABLE_FULL, c.EVENT_EXIT, 70, 5, 0)

    assert losses.read_new() == [
        Losses("ring_full", {"fork": 1, "exit": 2}, {50: 3}),
        Losses("table_full", {"exit": 5}, {70: 5}),
    ]


def test_programs_that_did_not_run(kernel, losses):
    """The kernel's own count of missed runs is a loss without a source."""
    kernel.misses[c.EVENT_EXEC] = 4

    assert losses.read_new() == [Losses("not_run", {"exec": 4}, {})]
    assert losses.read_new() == []
