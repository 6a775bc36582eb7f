# SPDX-License-Identifier: Apache-2.0
"""Tests of tests.vm.ports: a guest's end, its death and its silence."""

from __future__ import annotations

import pytest

from tests.vm.ports import DIED, TIMED_OUT, Limits, Ports

PATIENT = Limits(boot=60, silence=60, total=60)


@pytest.fixture
def ports():
    """Lines whose guest is this test."""
    with Ports() as lines:
        yield lines


def guest(ports, name):
    return ports._guests[name]


def test_end(ports, capfdbinary):
    """Output passes by; the status ends it."""
    guest(ports, "output").sendall(b"said\n")
    guest(ports, "errors").sendall(b"bad\n")
    guest(ports, "status").sendall(b"ready\nstatus 7\n")
    end = ports.pump(PATIENT)

    assert (end.status, end.problem) == (7, "")
    assert end.ready_at is not None


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (b"", "the guest died before its command could start"),
        (b"ready\n", "the guest died"),
    ],
)
def test_death(ports, said, problem):
    """QEMU's end without a status is the guest's death."""
    guest(ports, "status").sendall(said)
    ports.close_guest_side()
    end = ports.pump(PATIENT)

    assert (end.status, end.problem) == (DIED, problem)


@pytest.mark.parametrize(
    ("said", "limits", "problem"),
    [
        (b"", Limits(0, 60, 60), "the guest is not up after 0 s before its command"),
        (b"ready\n", Limits(60, 0, 60), "the guest has been silent for 0 s"),
        (b"ready\n", Limits(60, 60, 0), "the guest's 0 s are over"),
    ],
)
def test_limits(ports, said, limits, problem):
    """Each limit says what it was."""
    guest(ports, "status").sendall(said)
    end = ports.pump(limits)

    assert end.status == TIMED_OUT
    assert end.problem.startswith(problem)


def test_arguments(ports):
    """QEMU inherits one descriptor per line."""
    words = " ".join(ports.arguments)

    assert all(f"fd={number}" in words for number in ports.guest_descriptors)
    assert words.count("virtserialport") == 3
