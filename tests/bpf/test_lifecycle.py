# SPDX-License-Identifier: Apache-2.0
"""The sensor that always runs: in the kernel while it is open, gone afterwards."""

from __future__ import annotations

import dataclasses
import os
import select
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tetragon_py.abi import _generated as c
from tetragon_py.abi.record import INDEX
from tetragon_py.decode.process import (
    decode_exec,
    decode_exit,
    decode_fork,
    decode_images,
)
from tetragon_py.errors import KernelError
from tetragon_py.libbpf import Link, Program, libbpf_version
from tetragon_py.loader import lifecycle
from tetragon_py.loader.lifecycle import LANE_MAPS, LifecycleSensor, SensorLimits

LIMITS = SensorLimits(
    ring_bytes=(1 << 20, 4096, 4096),
    process_entries=65536,
    arguments_bytes=c.ARGUMENTS_MAX_BYTES,
    environment_bytes=0,
)
DECODERS: dict[int, Any] = {
    c.EVENT_FORK: decode_fork,
    c.EVENT_EXEC: decode_exec,
    c.EVENT_EXIT: decode_exit,
}


@pytest.fixture(params=[False, True], ids=["alone", "with stand-ins"])
def sensor(request, monkeypatch):
    """As on kernels whose tracepoints cannot, and can be preempted."""
    monkeypatch.setattr(lifecycle, "has_preemptible_tracepoints", lambda: request.param)
    with LifecycleSensor(LIMITS) as found:
        yield found


def records_of(sensor, tgid: int, last: int = c.EVENT_EXIT) -> list[tuple[int, Any]]:
    """Type and event of each record of a process, up to its `last` one."""
    ring = sensor.rings[c.LANE_LIFECYCLE]
    found: list[tuple[int, Any]] = []
    deadline = time.monotonic() + 10
    with select.epoll() as poll:
        poll.register(ring.fd, select.EPOLLIN)
        while last not in [kind for kind, _ in found]:
            assert time.monotonic() < deadline, found
            poll.poll(0.2)
            while (batch := ring.peek()) is not None:
                for offset, kind in INDEX.iter_unpack(batch.index):
                    event = DECODERS[kind](bytes(batch.data), offset)
                    if event.process.tgid == tgid:
                        found.append((kind, event))
                ring.commit(batch.position)
    return found


def run_true(*arguments: str) -> int:
    """Run /bin/true; its process id."""
    process = subprocess.Popen(["/bin/true", *arguments])
    process.wait()
    return process.pid


def test_life_of_a_process(sensor):
    """Fork, exec and exit, each once, in order, each naming the one before."""
    sensor.attach()
    tgid = run_true("one", "two three")
    (fork_kind, fork), (exec_kind, image), (exit_kind, end) = records_of(sensor, tgid)

    assert (fork_kind, exec_kind, exit_kind) == (1, 2, 3)
    assert fork.parent.tgid == os.getpid()
    assert image.parent == fork.parent
    assert image.arguments == b"/bin/true\0one\0two three\0"
    assert image.flags == c.EXEC_AFTER_FORK
    assert end.process == image.process
    assert end.status == 0
    assert fork.process < image.process
    assert sensor.losses.read_new() == []
    assert image.errors is image.image.errors is None
    assert image.image.filename == b"/bin/true"
    assert image.image.executable == os.fsencode(Path("/bin/true").resolve())
    assert image.image.cwd == os.fsencode(Path.cwd())


def test_equal_programs_have_equal_images(sensor):
    """The kernel leaves no stray byte in an image, so it is one object."""
    sensor.attach()
    first, second, other = (
        dict(records_of(sensor, run_true(*arguments)))[c.EVENT_EXEC]
        for arguments in ("a", "bc", "a")
    )

    assert first.image is second.image is other.image
    assert [event.arguments for event in (first, second, other)] == [
        *(b"/bin/true\0a\0", b"/bin/true\0b\0c\0", b"/bin/true\0a\0")
    ]


def test_seed_tells_who_lives(sensor):
    """The scan has this process and its parent, under the keys of the table."""
    sensor.attach()
    images = {event.process.tgid: event for event in decode_images(sensor.seed())}
    table = sensor.living()
    own = images[os.getpid()]

    assert own.process.start_boottime_ns == table[os.getpid()]
    assert own.parent == images[os.getppid()].process
    assert run_true() not in sensor.living()


def test_nothing_comes_before_attach_or_after_detach(sensor):
    """The live stream is on exactly between attach and detach."""
    ring = sensor.rings[c.LANE_LIFECYCLE]
    run_true()
    assert ring.produced == 0
    sensor.attach()
    run_true()
    sensor.detach()
    produced = ring.produced
    run_true()

    assert 0 < produced == ring.produced


def test_full_ring_is_counted(objects):
    """What does not fit is a loss of its type, with this process as its source."""
    limits = dataclasses.replace(LIMITS, ring_bytes=(4096, 4096, 4096))
    with LifecycleSensor(limits) as sensor:
        sensor.attach()
        for _ in range(23):
            run_true()
        lost = sensor.losses.read_new()

        assert [losses.cause for losses in lost] == ["ring_full"]
        assert sum(lost[0].counts.values()) > 0
        assert os.getpid() in lost[0].sources
        sensor.detach()
        assert [
            losses for losses in sensor.losses.read_new() if not losses.counts
        ] == []


def test_wrong_limits_leave_nothing():
    """A size that the kernel refuses is an error; each test looks for leaks anyway."""
    with pytest.raises(KernelError):
        LifecycleSensor(dataclasses.replace(LIMITS, process_entries=0))


def test_ring_sizes_are_rounded_up():
    """libbpf makes a ring a power of two of pages; the reader knows its true size."""
    limits = dataclasses.replace(LIMITS, ring_bytes=(4097, 4096, 10_000))
    with LifecycleSensor(limits) as sensor:
        assert [ring.size_bytes for ring in sensor.rings] == [8192, 4096, 16384]


def test_lanes_have_their_rings(sensor):
    """One ring per lane, in the order of the lanes, each of its own size."""
    assert len(LANE_MAPS) == c.LANE_COUNT == len(sensor.rings)
    assert [ring.name for ring in sensor.rings] == list(LANE_MAPS)
    assert [ring.size_bytes for ring in sensor.rings] == list(LIMITS.ring_bytes)
    copies = len(sensor.programs) // 3
    assert [program.name for program in sensor.programs[::copies]] == [
        *("process_fork", "process_exec", "process_exit")
    ]


@pytest.mark.parametrize("skipped", ["process_fork", "process_exec", "process_exit"])
def test_stand_in_tells_what_was_skipped(skipped, monkeypatch):
    """A hit that the kernel ran no first copy for is told by the second, and once."""
    monkeypatch.setattr(lifecycle, "has_preemptible_tracepoints", lambda: True)
    attach = Program.attach
    copies: list[str] = []

    class Nothing(Link):
        def __init__(self) -> None:
            super().__init__(None)

    def attach_but_one(program: Program) -> Link:
        copies.append(program.name)
        if copies.count(skipped) == 1 and program.name == skipped:
            return Nothing()  # the kernel's skipping, made certain
        return attach(program)

    with LifecycleSensor(LIMITS) as sensor:
        monkeypatch.setattr(Program, "attach", attach_but_one)
        sensor.attach()
        found = records_of(sensor, run_true())

        assert [kind for kind, _ in found] == [c.EVENT_FORK, c.EVENT_EXEC, c.EVENT_EXIT]
        fork, image, end = (event for _, event in found)
        assert fork.parent == image.parent
        assert image.process == end.process
        assert image.flags == c.EXEC_AFTER_FORK
        assert sensor.losses.read_new() == []


def test_close_twice():
    """Closing takes all out of the kernel; again does nothing."""
    sensor = LifecycleSensor(LIMITS)
    sensor.attach()
    sensor.close()
    sensor.close()

    assert tuple(map(int, libbpf_version().split("."))) >= (1, 1)


def test_nobody_stays_behind_between_attaches(sensor, monkeypatch):
    """A process that comes and goes while programs are attached leaves no entry."""
    pids = []
    attach = Program.attach

    def attach_and_run(program: Program) -> Link:
        link = attach(program)
        pids.append(run_true())
        return link

    monkeypatch.setattr(Program, "attach", attach_and_run)
    sensor.attach()

    assert len(pids) == len(sensor.programs) >= 3
    assert set(pids).isdisjoint(sensor.living())
