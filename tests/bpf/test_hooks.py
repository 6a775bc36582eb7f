# SPDX-License-Identifier: Apache-2.0
"""Each kind of hook in the kernel: attached, hit, told, taken away.

Policies are written as YAML's data and compiled for this kernel, so that the offsets of
fields and structs are its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.agent import until
from tests.e2e.kernel_objects import exists
from tetragon_py.abi import _generated as c
from tetragon_py.abi.record import INDEX
from tetragon_py.compiler.compilation import compile_policies
from tetragon_py.compiler.plan import AttachPoint, HookPlan, Plan, SelectorPlan
from tetragon_py.decode.hook import decode_hook
from tetragon_py.errors import TetragonError, UnsupportedError
from tetragon_py.events.hook import PathValue
from tetragon_py.loader.generation import HookError, PolicyGenerations
from tetragon_py.loader.hooks import Hooks, syscall_symbol
from tetragon_py.loader.kernel import KernelTarget
from tetragon_py.loader.lifecycle import LifecycleSensor
from tetragon_py.loader.shared import SensorLimits
from tetragon_py.policy.documents import load_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tetragon_py.events.hook import HookEvent

LIMITS = SensorLimits(
    ring_bytes=(1 << 20, 4096, 1 << 20),
    process_entries=65536,
    arguments_bytes=c.ARGUMENTS_MAX_BYTES,
    environment_bytes=0,
)
LIBC = ctypes.CDLL(None, use_errno=True)
#: More than any process's own hits in the test: a prime number of them is made.
HITS = 23


@pytest.fixture(scope="module")
def target() -> KernelTarget:
    return KernelTarget()


@pytest.fixture
def sensor() -> Iterator[LifecycleSensor]:
    """Process events on, everybody in the table."""
    with LifecycleSensor(LIMITS) as found:
        found.attach()
        found.seed()
        yield found


@pytest.fixture
def generations(
    sensor: LifecycleSensor, target: KernelTarget
) -> Iterator[PolicyGenerations]:
    """An empty policy set."""
    found = PolicyGenerations(sensor, target, lambda *_: None)
    yield found
    found.close()


@pytest.fixture
def hooks(sensor: LifecycleSensor, target: KernelTarget) -> Iterator[Hooks]:
    """Nothing attached."""
    found = Hooks(sensor.shared, target)
    yield found
    found.close()


def compiled(target: KernelTarget, section: str, *entries: dict[str, Any]) -> Plan:
    """The plan of one policy whose entries want only this process."""
    own = {"operator": "In", "values": [os.getpid()], "isNamespacePID": True}
    spec = {section: [{"selectors": [{"matchPIDs": [own]}], **e} for e in entries]}
    document = {
        "apiVersion": "cilium.io/v1alpha1",
        "kind": "TracingPolicy",
        "metadata": {"name": "test"},
        "spec": spec,
    }
    loaded = load_text(json.dumps(document).encode(), "test.yaml")
    assert loaded.policies, list(map(str, loaded.diagnostics))
    result = compile_policies(loaded.policies, target)
    assert not result.refused, list(map(str, result.diagnostics))
    return result.plan


def told(sensor: LifecycleSensor) -> list[HookEvent]:
    """What is in the policy ring now, of this process."""
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
    return [event for event in found if event.process.tgid == os.getpid()]


def held() -> set[tuple[str, int]]:
    """(kind, id) of the programs, links and maps that this process has open."""
    found = set()
    for path in Path("/proc/self/fdinfo").iterdir():
        with contextlib.suppress(FileNotFoundError):  # of the listing itself
            for line in path.read_text().splitlines():
                key, _, value = line.partition(":")
                if key in {"prog_id", "map_id", "link_id"}:
                    found.add((key, int(value)))
    return found


def argument(index: int, kind: str) -> dict[str, Any]:
    return {"index": index, "type": kind}


def rename(name: str) -> None:
    """Give this thread another name: hits task/task_rename and its raw tracepoint."""
    Path("/proc/self/comm").write_text(name)


@pytest.fixture
def _own_name() -> Iterator[None]:
    before = Path("/proc/self/comm").read_text().strip()
    yield
    rename(before)


# ---- system calls ----


def test_system_call(sensor, generations, target):
    """Each call is told with its arguments; other calls are not."""
    entry = {"call": "sys_getpgid", "args": [argument(0, "int")]}
    generations.apply(compiled(target, "kprobes", entry))
    for number in range(HITS):
        LIBC.getpgid(-number - 1)
        LIBC.getsid(0)

    assert [event.values for event in told(sensor)] == [
        (-number - 1,) for number in range(HITS)
    ]


def test_return_of_a_system_call(sensor, generations, target):
    """The value comes with the arguments of the entry; also where others want none."""
    plain = {"call": "sys_getsid", "args": [argument(0, "int")]}
    entry = {
        "call": "sys_getpgid",
        "args": [argument(0, "int")],
        "return": True,
        "returnArg": argument(0, "int"),
    }
    generations.apply(compiled(target, "kprobes", plain))
    generations.apply(compiled(target, "kprobes", plain, entry))
    LIBC.getsid(-3)
    LIBC.getpgid(-3)
    LIBC.getpgid(0)
    one, failed, good = told(sensor)

    assert (one.values, one.flags & c.HOOK_RETURNED) == ((-3,), 0)
    assert failed.values == (-3, -3)  # ESRCH
    assert good.values == (0, os.getpgid(0))
    assert failed.flags & good.flags & c.HOOK_RETURNED


def test_hundreds_of_system_calls(sensor, generations, target):
    """All calls of the kernel are served by the same two programs."""
    before = held()
    entry = {"call": "list:all"}
    names = sorted(target.syscall_names(target.native_abi))
    lists = [{"name": "all", "type": "syscalls", "values": names}]
    own = {"operator": "In", "values": [os.getpid()], "isNamespacePID": True}
    document = {
        "apiVersion": "cilium.io/v1alpha1",
        "kind": "TracingPolicy",
        "metadata": {"name": "test"},
        "spec": {
            "kprobes": [{**entry, "selectors": [{"matchPIDs": [own]}]}],
            "lists": lists,
        },
    }
    loaded = load_text(json.dumps(document).encode(), "test.yaml")
    plan = compile_policies(loaded.policies, target).plan
    switch = generations.apply(plan)
    programs = {one for one in held() - before if one[0] == "prog_id"}
    LIBC.getpgid(0)

    assert len(switch.added) == len(names) > 300
    assert len(programs) == 2
    assert told(sensor)


# ---- tracepoints ----


@pytest.mark.usefixtures("_own_name")
def test_tracepoint(sensor, generations, target):
    """Fields are read where the format file says."""
    fields = target.tracepoint("task", "task_rename")
    index = next(i for i, field in enumerate(fields) if field.name == "newcomm")
    entry = {
        "subsystem": "task",
        "event": "task_rename",
        "args": [argument(index, "string")],
    }
    generations.apply(compiled(target, "tracepoints", entry))
    for number in range(HITS):
        rename(f"renamed-{number}")

    assert [event.values for event in told(sensor)] == [
        (f"renamed-{number}".encode(),) for number in range(HITS)
    ]


@pytest.mark.usefixtures("_own_name")
def test_raw_tracepoint(sensor, generations, target):
    """The arguments are those that the kernel passes."""
    entry = {
        "subsystem": "task",
        "event": "task_rename",
        "raw": True,
        "args": [argument(1, "string")],
    }
    generations.apply(compiled(target, "tracepoints", entry))
    for number in range(HITS):
        rename(f"renamed-{number}")

    assert [event.values for event in told(sensor)] == [
        (f"renamed-{number}".encode(),) for number in range(HITS)
    ]


# ---- functions and LSM hooks ----


def open_own(path: Path) -> int:
    fd = os.open(path, os.O_RDONLY)
    os.close(fd)
    return fd


def paths(events: list[HookEvent]) -> list[bytes]:
    found = [event.values[0] for event in events]
    assert all(isinstance(value, PathValue) for value in found), found
    return [value.path for value in found if isinstance(value, PathValue)]


@pytest.mark.kernel(feature="kprobe", since="4.17")
def test_function(sensor, generations, target, tmp_path):
    """A function of the kernel with the path of the file that it gets."""
    path = tmp_path / "watched"
    path.touch()
    entry = {
        "call": "security_file_open",
        "syscall": False,
        "args": [argument(0, "file")],
    }
    generations.apply(compiled(target, "kprobes", entry))
    for _ in range(HITS):
        open_own(path)
    found = paths(told(sensor))

    assert found.count(os.fsencode(path)) == HITS


@pytest.mark.kernel(feature="kretprobe", since="4.17")
def test_return_of_a_function(sensor, generations, target, tmp_path):
    """Arguments of the entry, value of the return; the return filters too."""
    path = tmp_path / "watched"
    path.touch()
    entry = {
        "call": "do_sys_openat2",
        "syscall": False,
        "args": [argument(0, "int"), argument(1, "string")],
        "return": True,
        "returnArg": argument(0, "int"),
    }
    generations.apply(compiled(target, "kprobes", entry))
    fd = open_own(path)
    with pytest.raises(FileNotFoundError):
        open_own(tmp_path / "missing")
    found = {event.values[1]: event.values[2] for event in told(sensor) if event.values}

    assert found[os.fsencode(path)] == fd
    assert found[os.fsencode(tmp_path / "missing")] == -2  # ENOENT


@pytest.mark.kernel(feature="kprobe", since="4.17")
def test_function_without_a_type(hooks, target):
    """A function that only its symbol tells of is hooked all the same."""
    point = AttachPoint("function", syscall_symbol(native(target, "getpgid")))
    number = hooks.attach(point, wants_return=True)

    assert len(hooks.programs(number)) == 2


@pytest.mark.kernel(feature="lsm", since="5.7")
def test_lsm_hook(sensor, generations, target, tmp_path):
    """An LSM hook is observed: it changes no answer."""
    path = tmp_path / "watched"
    path.touch()
    entry = {"hook": "file_open", "args": [argument(0, "file")]}
    generations.apply(compiled(target, "lsmhooks", entry))
    for _ in range(HITS):
        open_own(path)

    assert paths(told(sensor)).count(os.fsencode(path)) == HITS


# ---- attaching and detaching ----


def native(target: KernelTarget, name: str) -> AttachPoint:
    return AttachPoint("syscall", name, target.native_abi)


RENAME = AttachPoint("tracepoint", "task/task_rename")
RAW_RENAME = AttachPoint("raw_tracepoint", "task_rename")


def test_detach_leaves_nothing(hooks, target):
    """Programs, links and maps of a hook go with it, in any order."""
    before = held()
    points = [native(target, "getpgid"), native(target, "getsid"), RENAME, RAW_RENAME]
    numbers = [hooks.attach(point, wants_return=True) for point in points]
    own = held() - before
    for number in (numbers[i] for i in (2, 0, 3, 1)):
        hooks.detach(number)

    assert {kind for kind, _ in own} >= {"prog_id", "link_id"}
    assert held() == before
    gone = [(kind, number) for kind, number in own if kind != "map_id"]
    until(lambda: not any(exists(*one) for one in gone), 20, "end of the programs")


def test_the_dispatcher_comes_back(sensor, generations, target):
    """After the last system call has gone, the next one is seen again."""
    entry = {"call": "sys_getpgid", "args": [argument(0, "int")]}
    for _ in range(2):
        generations.apply(compiled(target, "kprobes", entry))
        LIBC.getpgid(-5)
        generations.apply(Plan())
        LIBC.getpgid(-6)

    assert [event.values for event in told(sensor)] == [(-5,), (-5,)]


def test_a_number_rests_before_it_comes_back(hooks, target):
    """The number of a hook that went is the last one to be given again."""
    first, second = (hooks.attach(RENAME, wants_return=False) for _ in range(2))
    hooks.detach(first)
    hooks.detach(second)
    again = [hooks.attach(RENAME, wants_return=False) for _ in range(2)]

    assert (first, second) == (1, 2)
    assert again == [1, 2]  # the longest unused one first


def test_as_many_hooks_as_there_are_numbers(hooks, target):
    """One more is refused, and takes nothing away from the others."""
    point = native(target, "getpgid")
    numbers = [hooks.attach(point, wants_return=False) for _ in range(c.HOOKS_MAX - 1)]

    assert numbers == list(range(1, c.HOOKS_MAX))
    with pytest.raises(UnsupportedError, match=f"{c.HOOKS_MAX} hooks"):
        hooks.attach(point, wants_return=False)
    hooks.detach(7)
    assert hooks.attach(point, wants_return=False) == 7


MISSING = [
    AttachPoint("syscall", "no_such_call", "x64"),
    AttachPoint("function", "no_such_function"),
    AttachPoint("tracepoint", "none/such"),
    AttachPoint("raw_tracepoint", "no_such_tracepoint"),
    AttachPoint("lsm", "no_such_hook"),
]


@pytest.mark.parametrize("point", MISSING, ids=lambda point: point.kind)
def test_what_is_not_there(hooks, point):
    """It is refused, and nothing of it stays."""
    before = held()
    with pytest.raises(TetragonError):
        hooks.attach(point, wants_return=False)

    assert held() == before
    assert hooks.attach(RENAME, wants_return=False) == 1


def selector(policy: str) -> SelectorPlan:
    return SelectorPlan(policy, "spec.kprobes[0]", 0, 0, c.ACTION_POST)


@pytest.mark.parametrize("point", MISSING, ids=lambda point: point.kind)
def test_errors_name_the_hook_and_its_policies(generations, point):
    """Of a set with one hook that cannot be had, none is in force."""
    before = held()
    good = HookPlan(RENAME, (), (), (selector("good"),))
    bad = HookPlan(point, (), (), (selector("b"), selector("a")))
    named = rf"{point.kind} {point.name} \(policies: a, b\): "
    with pytest.raises(HookError, match=named) as caught:
        generations.apply(Plan((good, bad)))

    assert caught.value.point == point
    assert generations.generation == 0
    assert held() == before


@pytest.mark.usefixtures("_own_name")
def test_nothing_is_missed_unless_the_kernel_says_so(sensor, generations, target):
    """Hits that ran are not counted as missed, also after their hook has gone."""
    entry = {"subsystem": "task", "event": "task_rename", "raw": True}
    generations.apply(compiled(target, "tracepoints", entry))
    for number in range(HITS):
        rename(f"renamed-{number}")

    assert sensor.losses.hook_misses() == 0
    generations.apply(Plan())
    assert sensor.losses.hook_misses() == 0
    assert len(told(sensor)) == HITS


def test_close_twice(hooks):
    """Closing again does nothing."""
    hooks.attach(RENAME, wants_return=False)
    hooks.close()
    hooks.close()
