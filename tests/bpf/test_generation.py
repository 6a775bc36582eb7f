# SPDX-License-Identifier: Apache-2.0
"""Generations of policies: what a hit of a system call finds, what a switch changes."""

from __future__ import annotations

import dataclasses
import os
import threading

import pytest

from tests.bpf.lseek import (
    ARGUMENTS,
    GETPGID,
    LSEEK,
    SIGN,
    events,
    hook,
    policies,
    seek,
    selectors,
)
from tetragon_py.abi import _generated as c
from tetragon_py.compiler.plan import (
    ArgumentPlan,
    AttachPoint,
    DimensionPlan,
    HookPlan,
    Plan,
    SelectorPlan,
)
from tetragon_py.errors import TetragonError
from tetragon_py.loader.generation import HookError


def test_what_a_hit_tells(sensor, generations):
    """Who, which call, with which arguments; nothing of calls that nobody wants."""
    generations.apply(Plan((hook(-77),)))
    seek(-76)
    seek(-77, -(1 << 40), 0xFFFFFFFF)
    [event] = events(sensor)

    assert event.values == (-77, -(1 << 40), 0xFFFFFFFF)
    assert event.process.tgid == os.getpid()
    assert event.process.start_boottime_ns == sensor.living()[os.getpid()]
    assert event.tid == threading.get_native_id()
    assert (event.generation, event.flags) == (1, 0)
    assert len(event.matches) == 1


def test_one_record_for_all_policies(sensor, generations):
    """A hit that three of four policies want is one record with three matches."""
    generations.apply(Plan((hook(-5, -6, -5, -5),)))
    seek(-5)
    [event] = events(sensor)
    names = [key.match[0] for key in generations.counters()]

    assert len(policies(event)) == len(set(policies(event))) == 3
    assert [counted[0] for counted in generations.counters().values()] == [1, 0, 1, 1]
    assert names == [f"policy-{i}" for i in range(4)]


@pytest.mark.parametrize("count", [64, 65, 200, 1024])
def test_many_policies_want_the_same_hit(sensor, generations, count):
    """64 in a record, the others in further ones; every policy is told once."""
    generations.apply(Plan((hook(*[-9] * count),)))
    seek(-9)
    found = events(sensor)
    told = [policy for event in found for policy in policies(event)]

    assert len(told) == len(set(told)) == count
    assert len(found) == (count + 63) // 64
    assert [bool(e.flags & c.HOOK_CONTINUED) for e in found] == [
        *[False, *[True] * (len(found) - 1)]
    ]


def test_first_selector_of_a_policy_counts(sensor, generations):
    """A policy with two selectors that match is told once, by its first one."""
    both = tuple(
        SelectorPlan("one", "spec.kprobes[0]", i, 1, c.ACTION_POST, (0,))
        for i in range(2)
    )
    generations.apply(Plan((hook(-8, -8, selectors=both),)))
    seek(-8)
    [event] = events(sensor)

    assert [match.selector for match in event.matches] == [0]


def test_no_post_is_counted_and_not_told(sensor, generations):
    """NoPost keeps a policy silent."""
    quiet = selectors(1, actions=c.ACTION_NO_POST)
    generations.apply(Plan((hook(-8, selectors=quiet),)))
    seek(-8)

    assert events(sensor) == []
    assert [counted[:2] for counted in generations.counters().values()] == [(1, 0)]


def test_rate_limit_is_by_arguments(sensor, generations):
    """The same arguments are told once a minute, others at once."""
    limited = selectors(1, rate_ms=60_000, rate_scope=c.RATE_GLOBAL)
    generations.apply(Plan((hook(-8, selectors=limited),)))
    for offset in (1, 1, 2, 1, 2):
        seek(-8, offset)

    assert [event.values[1] for event in events(sensor)] == [1, 2]
    [(matched, posted, held, *_)] = generations.counters().values()
    assert (matched, posted, held) == (5, 2, 3)


def test_a_switch_is_complete(sensor, generations):
    """After apply() the new set is in force, and nothing of the old one."""
    generations.apply(Plan((hook(-5),)))
    second = generations.apply(Plan((hook(-6),)))
    seek(-5)
    seek(-6)
    [event] = events(sensor)

    assert event.generation == second.generation == 2
    assert (second.added, second.changed, second.removed) == ((), (LSEEK,), ())
    last = generations.apply(Plan())
    seek(-6)
    assert events(sensor) == []
    assert last.removed == (LSEEK,)


def test_unchanged_hooks_keep_their_tables(sensor, generations):
    """What is equal is neither written nor attached again, and goes on counting."""
    other = HookPlan(GETPGID, (), (), selectors(1, arguments=()))
    generations.apply(Plan((hook(-5),)))
    seek(-5)
    switch = generations.apply(Plan((hook(-5), other)))
    seek(-5)

    assert (switch.added, switch.changed) == ((GETPGID,), ())
    assert [event.generation for event in events(sensor)] == [1, 2]
    counted = {key.match[2]: c[0] for key, c in generations.counters().items()}
    assert counted == {LSEEK: 2, GETPGID: 0}


def test_tables_are_given_back(sensor, generations):
    """A thousand changes need no more room than one."""
    free = {name: s.free_rows() for name, s in generations._tables._spaces.items()}
    for i in range(100):
        generations.apply(Plan((hook(*range(-300, -200 - i)),)))
    generations.apply(Plan())

    assert free == {
        name: s.free_rows() for name, s in generations._tables._spaces.items()
    }


def test_a_hook_that_cannot_be_had_changes_nothing(sensor, generations):
    """The set before stays in force, whole; the error names hook and policies."""
    generations.apply(Plan((hook(-5),)))
    unknown = HookPlan(AttachPoint("syscall", "no_such", "x64"), (), (), selectors(1))
    with pytest.raises(HookError, match=r"syscall no_such \(policies: policy-0\)"):
        generations.apply(Plan((hook(-6), unknown)))
    seek(-5)
    seek(-6)

    assert [event.values[0] for event in events(sensor)] == [-5]
    assert generations.generation == 1


def test_too_many_vectors_change_nothing(sensor, generations):
    """What does not fit into the tables is refused as a whole."""
    generations.apply(Plan((hook(-5),)))
    wide = tuple((i, i % 1000) for i in range(300_000))
    dimension = DimensionPlan(c.DIMENSION_RANGE, c.SOURCE_PID, wide, 0, 0)
    with pytest.raises(TetragonError, match="does not fit into the map bounds"):
        generations.apply(Plan((hook(-5, dimensions=(dimension,)),)))
    seek(-5)

    assert len(events(sensor)) == 1


RETURN = ArgumentPlan(c.ARGUMENT_INT32, c.FROM_RETURN, flags=c.ARGUMENT_AT_RETURN)


def test_entry_and_return_are_one_event(sensor, generations):
    """The arguments of the entry, the value of the return, one record."""
    told = selectors(1, return_slot=3, tells_return=True)
    plan = hook(-5, arguments=(*ARGUMENTS, RETURN), selectors=told, wants_return=True)
    generations.apply(Plan((plan,)))
    seek(-5, 11)
    seek(-6, 12)
    [event] = events(sensor)

    assert event.values == (-5, 11, 1, -9)  # EBADF
    assert event.flags == c.HOOK_RETURNED
    assert 0 < event.entry_ns < event.boottime_ns


def test_filter_on_the_return(sensor, generations):
    """A dimension at the return decides there."""
    failed = DimensionPlan(
        c.DIMENSION_RANGE,
        c.SOURCE_RETURN,
        ((0, 0), (SIGN - 9, 1), (SIGN - 8, 0)),
        0,
        0,
        width=8,
        flags=c.DIMENSION_SIGNED | c.DIMENSION_AT_RETURN,
    )
    path = os.open("/dev/zero", os.O_RDONLY)
    told = selectors(1, tells_return=True)
    plan = HookPlan(LSEEK, (*ARGUMENTS, RETURN), (failed,), told, wants_return=True)
    generations.apply(Plan((plan,)))
    seek(path)
    seek(-5)
    os.close(path)

    assert [event.values[0] for event in events(sensor)] == [-5]


def test_no_hit_sees_another_generation_while_it_changes(sensor, generations):
    """100 switches under fire: each hit has the policies of its own generation."""
    plans = [Plan((hook(-5),)), Plan((hook(-5, -5),))]
    sizes = {}
    stop = threading.Event()

    def fire() -> None:
        while not stop.is_set():
            seek(-5)

    thread = threading.Thread(target=fire)
    thread.start()
    wrong = []
    try:
        for i in range(100):
            sizes[generations.apply(plans[i % 2]).generation] = i % 2 + 1
            wrong += [
                event
                for event in events(sensor)
                if event.generation in sizes
                and len(event.matches) != sizes[event.generation]
            ]
    finally:
        stop.set()
        thread.join()

    assert wrong == []


def test_what_finds_no_room_is_told_and_counted(generations, sensor):
    """A full ring is a loss of hooks, exact, and one of each policy that wanted it."""
    generations.apply(Plan((hook(-5, -5),)))
    sensor.losses.read_new()
    for _ in range(20_000):
        seek(-5)
    [lost] = sensor.losses.read_new()
    told = len(events(sensor))

    assert lost.cause == "ring_full"
    assert told + lost.counts["hook"] == 20_000
    for matched, posted, *_, own in generations.counters().values():
        assert (matched, posted, own) == (20_000, told, lost.counts["hook"])


@pytest.mark.parametrize("count", [3, 64, 100])
def test_policies_with_different_actions(sensor, generations, count):
    """Each gets its own: told, silent, limited, or monitored; all are counted."""
    own = (
        {"actions": c.ACTION_POST},
        {"actions": c.ACTION_NO_POST},
        {
            "actions": c.ACTION_POST | c.ACTION_SIGNAL | c.ACTION_OVERRIDE,
            "monitored": c.ACTION_SIGNAL | c.ACTION_OVERRIDE,
            "signal": 9,
            "error": -1,
        },
        {"actions": c.ACTION_POST, "rate_ms": 60_000, "rate_scope": c.RATE_PROCESS},
    )
    plans = tuple(
        dataclasses.replace(plan, **own[i % len(own)])  # type: ignore[arg-type]
        for i, plan in enumerate(selectors(count))
    )
    generations.apply(Plan((hook(*[-5] * count, selectors=plans),)))
    hits = 5
    for _ in range(hits):
        seek(-5)
    found = events(sensor)
    told: dict[int, list[tuple[int, int]]] = {}
    for match in (match for event in found for match in event.matches):
        told.setdefault(match.policy, []).append((match.actions, match.done))
    post = c.ACTION_POST

    for i, counted in enumerate(generations.counters().values()):
        matched, posted, limited, *done, monitored, failed, _, lost = counted
        assert (matched, *done, failed, lost) == (hits, *(0, 0, 0), *(0, 0))
        assert (posted, limited, monitored) == (
            *((hits, 0, 0), (0, 0, 0), (hits, 0, hits), (1, hits - 1, 0))[i % 4],
        )
    shown = sorted(tuple(one) for one in told.values())
    wanted = [
        [(post, post)] * hits,
        [],
        [(own[2]["actions"], post)] * hits,
        [(post, post)],
    ]
    assert shown == sorted(tuple(wanted[i % 4]) for i in range(count) if wanted[i % 4])
