# SPDX-License-Identifier: Apache-2.0
"""TrackSock: whom an event names. Any number of a system call may be an address."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys

import pytest

from tests.bpf.lseek import ARGUMENTS, GETPGID, events, hook, seek, selectors
from tetragon_py.abi import _generated as c
from tetragon_py.compiler.plan import ArgumentPlan, HookPlan, Plan

SOCK = 0x1234_5678_0000
USED, FREED = -5105, -5106  # descriptors
CALL = f"import ctypes; ctypes.CDLL(None).syscall(8, {USED}, ctypes.c_long({SOCK}), 0)"
RETURNED = ArgumentPlan(c.ARGUMENT_SOCK, c.FROM_RETURN, flags=c.ARGUMENT_AT_RETURN)


def sock_hook(*actions: int) -> HookPlan:
    """lseek(USED, SOCK) does the first of `actions`, with FREED the second."""
    sock = dataclasses.replace(ARGUMENTS[1], type=c.ARGUMENT_SOCK)
    plans = [
        dataclasses.replace(plan, actions=action | c.ACTION_POST, sock_slot=1)
        for plan, action in zip(selectors(len(actions)), actions, strict=True)
    ]
    wanted = (USED, FREED)[: len(actions)]
    arguments = (ARGUMENTS[0], sock, ARGUMENTS[2])
    return hook(*wanted, arguments=arguments, selectors=tuple(plans))


def run(code: str) -> int:
    """Run it with Python on this CPU; its pid."""
    child = subprocess.Popen([sys.executable, "-c", code])
    assert child.wait() == 0
    return child.pid


@pytest.fixture(autouse=True)
def _one_cpu():
    """What a hit leaves behind is the CPU's."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    yield
    os.sched_setaffinity(0, allowed)


def test_owner_is_named(sensor, generations):
    """Who was tracked, whoever runs, until the socket is given up."""
    generations.apply(Plan((sock_hook(c.ACTION_TRACK_SOCK, c.ACTION_UNTRACK_SOCK),)))
    owner = run(CALL)
    for sock in (SOCK, SOCK + 8):
        seek(USED, sock)
    seek(FREED, SOCK)
    seek(FREED, SOCK)

    assert [event.process.tgid for event in events(sensor)] == [
        *(owner, owner, os.getpid()),
        *(owner, os.getpid()),
    ]


def test_owners_go_with_those_who_track(sensor, generations):
    """Nobody would hear that the socket is gone: its address may be another's."""
    generations.apply(Plan((sock_hook(c.ACTION_TRACK_SOCK),)))
    run(CALL)
    generations.apply(Plan((sock_hook(0),)))
    events(sensor)
    seek(USED, SOCK)

    assert [event.process.tgid for event in events(sensor)] == [os.getpid()]


def test_returned_sockets_are_new(sensor, generations):
    """Who asked for one is named, not the owner of one that was returned before."""
    plan = HookPlan(
        GETPGID,
        (RETURNED,),
        (),
        selectors(
            1,
            actions=c.ACTION_TRACK_SOCK | c.ACTION_POST,
            arguments=(),
            return_slot=0,
            tells_return=True,
        ),
        wants_return=True,
    )
    generations.apply(Plan((plan,)))
    other = run("import os; os.getpgid(0)")
    os.getpgid(0)
    named = [event.process.tgid for event in events(sensor)]

    assert [pid for pid in named if pid in {other, os.getpid()}] == [
        other,
        os.getpid(),
    ]
