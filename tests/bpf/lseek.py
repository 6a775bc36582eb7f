# SPDX-License-Identifier: Apache-2.0
"""Plans written by hand, for policies on lseek() of descriptors that do not exist."""

from __future__ import annotations

import ctypes
import dataclasses
from typing import TYPE_CHECKING

from tetragon_py.abi import _generated as c
from tetragon_py.abi.record import INDEX
from tetragon_py.compiler.plan import (
    ArgumentPlan,
    AttachPoint,
    DimensionPlan,
    HookPlan,
    SelectorPlan,
)
from tetragon_py.decode.hook import decode_hook
from tetragon_py.loader.shared import SensorLimits

if TYPE_CHECKING:
    from tetragon_py.events.hook import HookEvent
    from tetragon_py.loader.lifecycle import LifecycleSensor

__all__ = [
    "ARGUMENTS",
    "GETPGID",
    "LIMITS",
    "LSEEK",
    "SIGN",
    "Kernel",
    "events",
    "fd_is",
    "hook",
    "policies",
    "seek",
    "selectors",
]

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


def events(sensor: LifecycleSensor, lane: int = c.LANE_POLICY) -> list[HookEvent]:
    """What is in the ring of a lane now."""
    ring, found = sensor.rings[lane], []
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
