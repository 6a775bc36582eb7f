# SPDX-License-Identifier: Apache-2.0
"""Generations of policies on system calls: what a hit finds, and what a switch changes.

Plans are written by hand; the calls are lseek() with descriptors that do not exist.
"""

from __future__ import annotations

import ctypes
import dataclasses
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from tetragon_py.abi import _generated as c
from tetragon_py.abi.record import INDEX
from tetragon_py.compiler.plan import (
    ArgumentPlan,
    AttachPoint,
    ClassPlan,
    DimensionPlan,
    HookPlan,
    Plan,
    SelectorPlan,
)
from tetragon_py.decode.hook import decode_hook
from tetragon_py.errors import TetragonError
from tetragon_py.loader.generation import HookError, PolicyGenerations
from tetragon_py.loader.lifecycle import LifecycleSensor
from tetragon_py.loader.shared import SensorLimits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tetragon_py.events.hook import HookEvent

LIMITS = SensorLimits(
    ring_bytes=(1 << 20, 4096, 1 << 20),
    process_entries=65536,
    arguments_bytes=c.ARGUMENTS_MAX_BYTES,
    environment_bytes=0,
)
LSEEK = AttachPoint("syscall", "lseek", "x64")
GETPGID = AttachPoint("syscall", "getpgid", "x64")
NUMBERS = {"lseek": 8, "getpgid": 121}
LIBC = ctypes.CDLL(None, use_errno=True)
FILTERED = c.ARGUMENT_FILTERED
#: lseek(fd, offset, whence)
ARGUMENTS = (
    ArgumentPlan(c.ARGUMENT_INT32, c.FROM_REGISTER, index=0, flags=FILTERED),
    ArgumentPlan(c.ARGUMENT_INT64, c.FROM_REGISTER, index=1),
    ArgumentPlan(c.ARGUMENT_UINT32, c.FROM_REGISTER, index=2),
)
#: Signed numbers have their sign bit flipped: they order as unsigned ones.
SIGN = 1 << 63


class Kernel:
    """As much of the target as attaching needs."""

    features = frozenset[str]()

    def function(self, name: str) -> None:
        raise AssertionError(name)

    def syscall_number(self, name: str, abi: str) -> int | None:
        assert abi == "x64"
        return NUMBERS.get(name)

    def raw_tracepoint(self, name: str) -> None:
        raise AssertionError(name)

    lsm_hook = raw_tracepoint


@pytest.fixture(scope="module")
def sensor() -> Iterator[LifecycleSensor]:
    """Process events on, everybody in the table. One: a start takes seconds in a VM."""
    with LifecycleSensor(LIMITS) as found:
        found.attach()
        found.seed()
        yield found


@pytest.fixture
def generations(sensor: LifecycleSensor) -> Iterator[PolicyGenerations]:
    """An empty policy set."""
    events(sensor)
    sensor.shared.maps["active"].update(bytes(4), bytes(4))
    found = PolicyGenerations(sensor, Kernel(), lambda *_: None)
    yield found
    found.close()


def selectors(count: int, **changes: object) -> tuple[SelectorPlan, ...]:
    """One selector of each of `count` policies, that posts."""
    plans = []
    for i in range(count):
        plan = SelectorPlan(f"policy-{i}", "spec.kprobes[0]", 0, i, c.ACTION_POST)
        plans.append(
            dataclasses.replace(plan, **{"arguments": (0, 1, 2)} | changes)  # type: ignore[arg-type]
        )
    return tuple(plans)


def fd_is(*wanted: int) -> DimensionPlan:
    """Selector n wants descriptor wanted[n]."""
    rows = {0: 0}
    for value in sorted(set(wanted)):
        rows[value + SIGN] = sum(1 << n for n, one in enumerate(wanted) if one == value)
        rows[value + 1 + SIGN] = 0
    return DimensionPlan(
        c.DIMENSION_RANGE,
        c.SOURCE_ARGUMENT,
        tuple(rows.items()),
        0,
        0,
        slot=0,
        width=4,
        flags=c.DIMENSION_SIGNED,
    )


def hook(*wanted: int, **changes: object) -> HookPlan:
    """A policy for each descriptor."""
    plan = HookPlan(LSEEK, ARGUMENTS, (fd_is(*wanted),), selectors(len(wanted)))
    return dataclasses.replace(plan, **changes)  # type: ignore[arg-type]


def seek(fd: int, offset: int = 7, whence: int = 1) -> None:
    LIBC.syscall(8, fd, ctypes.c_longlong(offset), whence)


def events(sensor: LifecycleSensor) -> list[HookEvent]:
    """What is in the policy ring now."""
    ring, found = sensor.rings[c.LANE_POLICY], []
    end = ring.produced
    while (batch := ring.peek()) is not None:
        data = bytes(batch.data)
        for offset, kind in INDEX.iter_unpack(batch.index):
            assert kind == c.EVENT_HOOK
            found.append(decode_hook(data, offset))
        ring.commit(batch.position)
        if batch.position >= end:
            break
    return found


def policies(event: HookEvent) -> list[int]:
    return [match.policy for match in event.matches]


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
    wide = tuple((i, i % 1000) for i in range(200_000))
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
    plan = HookPlan(
        LSEEK, (*ARGUMENTS, RETURN), (failed,), selectors(1), wants_return=True
    )
    generations.apply(Plan((plan,)))
    seek(path)
    seek(-5)
    os.close(path)

    assert [event.values[0] for event in events(sensor)] == [-5]


CALL = "import ctypes; ctypes.CDLL(None).syscall(8, -5, 0, 0)"


def binary_is(rows: dict[int, int], slot: int = c.BINARY_BEGIN) -> DimensionPlan:
    return DimensionPlan(
        c.DIMENSION_CLASS, c.SOURCE_BINARY, tuple(rows.items()), 0, 0, slot=slot
    )


def own_binary() -> bytes:
    return os.fsencode(os.path.realpath("/proc/self/exe"))


def test_binaries_that_lived_before(sensor, generations):
    """The processes of the table are classified before the switch."""
    classes = ClassPlan(
        begins=((own_binary() + b"\0", 1), (b"/nowhere/", 2)), begin_follows=(0, 0, 0)
    )
    plan = hook(-5, dimensions=(fd_is(-5), binary_is({0: 0, 1: 1, 2: 0})))
    generations.apply(Plan((plan,), classes))
    seek(-5)

    assert len(events(sensor)) == 1


def test_binaries_that_come_later(sensor, generations):
    """Exec classifies: the child of another binary is told, this process is not."""
    classes = ClassPlan(ends=((own_binary()[::-1], 1),), end_follows=(0, 0))
    of_parent = binary_is({0: 0, 1: 1}, c.BINARY_PARENT_END)
    generations.apply(Plan((hook(-5, dimensions=(of_parent,)),), classes))
    seek(-5)
    before = events(sensor)
    subprocess.run([sys.executable, "-c", CALL], check=True)
    found = events(sensor)

    parent_is_python = (
        os.fsencode(os.path.realpath(f"/proc/{os.getppid()}/exe")) == own_binary()
    )
    assert bool(before) is parent_is_python
    assert {event.process.tgid for event in found if event.values[0] == -5}
    assert os.getpid() not in {event.process.tgid for event in found}


def test_followed_binaries_stay_followed(sensor, generations):
    """Children of a followed binary are in its set, whatever they run."""
    classes = ClassPlan(begins=((own_binary() + b"\0", 1),), begin_follows=(0, 1))
    followed = DimensionPlan(c.DIMENSION_BITS, c.SOURCE_FOLLOWED, ((0, 1),), 0, 0)
    generations.apply(Plan((hook(-5, dimensions=(followed,)),), classes))
    shell = ["/bin/sh", "-c", f"{sys.executable} -c '{CALL}'; true"]
    subprocess.run(shell, check=True)
    told = {event.process.tgid for event in events(sensor) if event.values[0] == -5}

    assert told
    assert os.getpid() not in told


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


def test_namespaces_that_changed(sensor, generations):
    """A process that left the namespace of its exec is told, one that stayed is not."""
    uts = DimensionPlan(c.DIMENSION_BITS, c.SOURCE_NAMESPACES_CHANGED, ((0, 1),), 0, 0)
    generations.apply(Plan((hook(-5, dimensions=(fd_is(-5), uts)),)))
    leave = "import ctypes; ctypes.CDLL(None).unshare(0x04000000)"  # CLONE_NEWUTS
    subprocess.run([sys.executable, "-c", CALL], check=True)
    stayed = events(sensor)
    left = subprocess.Popen([sys.executable, "-c", f"{leave}\n{CALL}"])
    left.wait()

    assert stayed == []
    assert [event.process.tgid for event in events(sensor)] == [left.pid]


def test_capabilities_that_changed(sensor, generations):
    """Dropping one after the exec is a change of the effective set."""
    effective = DimensionPlan(
        c.DIMENSION_BITS,
        c.SOURCE_CAPABILITIES_CHANGED,
        ((21, 1),),  # CAP_SYS_ADMIN
        0,
        0,
        slot=c.CAPABILITIES_EFFECTIVE,
    )
    generations.apply(Plan((hook(-5, dimensions=(fd_is(-5), effective)),)))
    drop = "import os; os.setresuid(-1, 65534, -1)"  # the effective set is empty then
    subprocess.run([sys.executable, "-c", CALL], check=True)
    kept = events(sensor)
    dropped = subprocess.Popen([sys.executable, "-c", f"{drop}\n{CALL}"])
    dropped.wait()

    assert kept == []
    assert [event.process.tgid for event in events(sensor)] == [dropped.pid]


def test_followed_pids(sensor, generations):
    """followForks: the process with the pid and all that descend from it, once on."""
    own = os.getpid()
    classes = ClassPlan(pids=((own, 1),))
    followed = DimensionPlan(c.DIMENSION_BITS, c.SOURCE_FOLLOWED, ((0, 1),), 0, 0)
    generations.apply(Plan((hook(-5, dimensions=(fd_is(-5), followed)),), classes))
    seek(-5)
    subprocess.run(["/bin/sh", "-c", f"{sys.executable} -c '{CALL}'; :"], check=True)
    told = [event.process.tgid for event in events(sensor)]

    assert told[0] == own
    assert len(set(told)) == 2


def test_what_finds_no_room_is_told_and_counted(generations, sensor):
    """A full ring is a loss of hooks, exact, and one of each policy that wanted it."""
    generations.apply(Plan((hook(-5, -5),)))
    sensor.losses.read_new()
    for _ in range(20_000):
        seek(-5)
    [lost] = sensor.losses.read_new()
    told = len(events(sensor))

    assert (lost.cause, list(lost.counts)) == ("ring_full", ["hook"])
    assert told + lost.counts["hook"] == 20_000
    for matched, posted, *_, own in generations.counters().values():
        assert (matched, posted, own) == (20_000, told, lost.counts["hook"])
