# SPDX-License-Identifier: Apache-2.0
"""What outlives a process in the BPF file system, and who may use it."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys

import pytest

from tests.bpf.lseek import GETPGID, LIMITS, LSEEK, Kernel, events, hook, seek
from tetragon_py.compiler.plan import Plan
from tetragon_py.errors import KernelError
from tetragon_py.libbpf.maps import PinnedMap
from tetragon_py.loader.generation import PolicyGenerations
from tetragon_py.loader.lifecycle import LifecycleSensor
from tetragon_py.loader.pins import BPFFS, PinRoot, Pins
from tetragon_py.loader.saved_generation import SavedGeneration, is_complete


@pytest.fixture
def root():
    """A locked root of its own, gone afterwards."""
    with PinRoot(f"tetragon-py-bpf-test-{os.getpid()}", mount=True) as found:
        assert found.lock() is None
        yield found
        for pins in found.worlds():
            pins.remove()
    assert not found.exists


def an_agent(pins, *plans, active=None):
    """What an agent saves last that puts plans in force, in a process that is gone."""
    inner, outer = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        with contextlib.suppress(BaseException):
            found = _be_an_agent(Pins(pins.folder), plans, active)
            with os.fdopen(outer, "wb") as pipe:
                pickle.dump(found, pipe)
            status = 0
        os._exit(status)
    os.close(outer)
    with os.fdopen(inner, "rb") as pipe:
        data = pipe.read()
    assert os.waitpid(child, 0)[1] == 0
    return pickle.loads(data)


def _be_an_agent(pins, plans, active):
    saved: list[list[SavedGeneration]] = []
    sensor = LifecycleSensor(LIMITS, pins)
    sensor.attach()
    sensor.seed()
    generations = PolicyGenerations(sensor, Kernel(), lambda *_: None, saved.append)
    for plan in plans:
        generations.apply(plan)
    if active is not None:
        sensor.shared.maps["active"].update(bytes(4), active.to_bytes(4, "little"))
    pins.is_kept = True
    return saved


@pytest.fixture
def world(root):
    """An agent has left its sensors and a policy on lseek(-77), and its state."""
    pins = root.new_world()
    return pins, an_agent(pins, Plan((hook(-77),)))


@contextlib.contextmanager
def adopted(pins, saved):
    """The next agent, which keeps nothing."""
    with LifecycleSensor(LIMITS, pins, adopts=True) as sensor:
        generations = PolicyGenerations(sensor, Kernel(), lambda *_: None)
        assert generations.restore(saved)
        pins.is_kept = False
        yield sensor, generations
        generations.close()


def test_what_is_kept_goes_on(world):
    """Hits without an agent are in the ring; the next one counts on."""
    pins, saved = world
    assert LifecycleSensor.is_complete(pins)
    assert is_complete(saved[-1], pins)
    seek(-77)
    seek(-76)
    with adopted(Pins(pins.folder), saved[-1]) as (sensor, generations):
        [event] = events(sensor)
        seek(-77)
        [counted] = generations.counters().values()

        assert event.values[0] == -77
        assert sensor.losses.read_new() == []
        assert sensor.seed() == b""
        assert counted.matched == 2
        assert generations.generation == 1


def test_the_next_agent_changes_the_set(world):
    """A hook is shared, one comes with its return, one goes: each works."""
    pins, saved = world
    with adopted(Pins(pins.folder), saved[-1]) as (sensor, generations):
        both = generations.apply(Plan((hook(-77), hook(-5, point=GETPGID))))
        assert [both.added, both.changed, both.removed] == [(GETPGID,), (), ()]
        seek(-77)
        assert len(events(sensor)) == 1
        generations.apply(Plan((hook(-78),)))
        seek(-77)
        seek(-78)
        assert [event.values[0] for event in events(sensor)] == [-78]
        generations.apply(Plan(()))
        seek(-78)
        assert events(sensor) == []
        assert pins.owners() - {"stand-in"} == {"process"}


def test_returns_are_seen_after_adoption(world):
    """The program at return was pinned, and attached by the next agent."""
    pins, saved = world
    with adopted(Pins(pins.folder), saved[-1]) as (sensor, generations):
        generations.apply(Plan((hook(-77, wants_return=True),)))
        seek(-77)

        assert pins.attached("dispatcher") == {"enter_syscall", "exit_syscall"}
        assert events(sensor)


def test_what_was_not_saved_is_removed(root):
    """An agent that is killed in a switch leaves what its last state does not have."""
    pins, other = root.new_world(), Plan((hook(-77), hook(-5, point=GETPGID)))
    saved = an_agent(pins, Plan((hook(-77),)), other, active=1)
    with adopted(Pins(pins.folder), saved[1]) as (sensor, generations):
        left = sensor.shared.maps["syscalls"].items()
        seek(-77)

        assert sum(any(value) for _, value in left) == 1
        assert len(events(sensor)) == 1
        assert generations.apply(other).added == (GETPGID,)


def test_killed_before_the_switch(root):
    """Both generations are saved: the one that is in force counts."""
    pins, other = root.new_world(), Plan((hook(-78),))
    saved = an_agent(pins, Plan((hook(-77),)), other, active=1)
    assert [one.generation for one in saved[2]] == [1, 2]
    with adopted(Pins(pins.folder), saved[2]) as (sensor, generations):
        seek(-77)
        seek(-78)

        assert [event.values[0] for event in events(sensor)] == [-77]
        assert generations.apply(other).changed == (LSEEK,)


def test_another_generation_is_not_restored(root):
    """What was saved has to be what is in force."""
    pins = root.new_world()
    saved = an_agent(pins, Plan((hook(-77),)), active=9)
    with LifecycleSensor(LIMITS, pins, adopts=True) as sensor:
        generations = PolicyGenerations(sensor, Kernel(), lambda *_: None)
        pins.is_kept = False

        assert not generations.restore(saved[-1])


@pytest.mark.parametrize(
    ("owner", "complete"), [("process", (False, True)), ("dispatcher", (True, False))]
)
def test_incomplete_pins(world, owner, complete):
    """Both questions together say whether all is there."""
    pins, saved = world
    pins.remove_owner(owner)

    assert (LifecycleSensor.is_complete(pins), is_complete(saved[-1], pins)) == complete


def test_nothing_stays_that_is_not_kept(root):
    """An agent whose start fails takes away what it has pinned."""
    pins = root.new_world()
    with LifecycleSensor(LIMITS, pins) as sensor:
        sensor.attach()
        assert pins.attached("process")
        assert pins.maps() == sensor.shared.maps.keys() & pins.maps()
        assert "processes" in pins.maps()

    assert root.worlds() == []


def test_a_pinned_map(world):
    """It is what it was to its maker; one that is not there is an error."""
    pins, _ = world
    with pins.open_map("hook_hits") as found:
        assert found.max_entries == 2048
        assert len(found.percpu_values(bytes(4))) == os.sysconf("SC_NPROCESSORS_CONF")
    with pytest.raises(KernelError, match="open map"):
        PinnedMap(pins.map_path("nothing"))


def test_worlds_in_their_order(root):
    """A new one is the last; what is none is removed."""
    (root.folder / "strange" / "deep").mkdir(parents=True)
    first, second = root.new_world(), root.new_world()
    numbers = [first.number, second.number, *(pins.number for pins in root.worlds())]

    assert numbers == [1, 2, 1, 2]
    assert not (root.folder / "strange").exists()
    assert root.folder.stat().st_mode & 0o777 == 0o700


def test_the_lock(root):
    """Another process cannot have it, and is told who has it."""
    code = (
        "from tetragon_py.loader.pins import PinRoot;"
        f"print(PinRoot({root.folder.name!r}, mount=False).lock())"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

    assert int(told.stdout) == os.getpid()


def test_no_root():
    """Nobody has been there; closing is no matter."""
    root = PinRoot("tetragon-py-nobody", mount=False)

    assert not root.exists
    root.close()
    assert not (BPFFS / "tetragon-py-nobody").exists()


def test_links_of_an_owner(world):
    """An owner's links are found by its name."""
    pins, _ = world
    links = pins.links("dispatcher")
    for link in links:
        link.leave()

    assert len(links) == 1
    assert pins.links("hook-99") == []
