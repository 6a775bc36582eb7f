# SPDX-License-Identifier: Apache-2.0
"""Filters on the process: its binary, its parent's, its ancestors, what changed."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.bpf.lseek import events, fd_is, hook, seek
from tetragon_py.abi import _generated as c
from tetragon_py.compiler.plan import ClassPlan, DimensionPlan, Plan

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
    mine = {event.process.tgid for event in events(sensor)} & {os.getpid()}
    subprocess.run([sys.executable, "-c", CALL], check=True)
    found = events(sensor)

    parent_is_python = (
        os.fsencode(os.path.realpath(f"/proc/{os.getppid()}/exe")) == own_binary()
    )
    assert bool(mine) is parent_is_python
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


def test_followed_pids_of_namespaces(sensor, generations):
    """Process 1 of a namespace and its children: not all that descend from init."""
    # the second set: rows of the first one may be there from other tests
    classes = ClassPlan(namespace_pids=((1, 2),))
    followed = DimensionPlan(c.DIMENSION_BITS, c.SOURCE_FOLLOWED, ((1, 1),), 0, 0)
    generations.apply(Plan((hook(-5, dimensions=(fd_is(-5), followed)),), classes))
    seek(-5)
    child = f"{sys.executable} -c '{CALL}'"
    shell = ["unshare", "--pid", "--fork", "/bin/sh", "-c", f"{child}; {child}; :"]
    subprocess.run([sys.executable, "-c", CALL], check=True)
    here = events(sensor)
    subprocess.run(shell, check=True)

    assert here == []
    assert len({event.process.tgid for event in events(sensor)}) == 2
