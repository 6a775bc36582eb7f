# SPDX-License-Identifier: Apache-2.0
"""Runs a trigger, and gathers the events that it causes."""

from __future__ import annotations

import json
import os
import signal
import time
import traceback
from typing import TYPE_CHECKING, Any

from tests.corpus.patterns import fits, policy_body, shown
from tests.e2e.agent import SLOWNESS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.corpus.example import Trigger
    from tests.corpus.patterns import Event, Pattern
    from tests.corpus.told import Told
    from tests.corpus.triggers.system import Place

__all__ = ["Attempt", "is_of", "missing", "run_trigger"]

_SECONDS_MAX = 5.0
_PAUSE = 0.02
_SHOWN = 12


def run_trigger(trigger: Trigger, place: Place) -> tuple[int, Told]:
    """Run it in a process of its own; the pid, and what it told."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        _run(trigger, place, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    os.waitpid(pid, 0)
    told: dict[str, Any] = json.loads(data)
    if "failure" in told:
        raise AssertionError(f"the trigger failed: {told['failure']}")
    return pid, told


def _run(trigger: Trigger, place: Place, writer: int) -> None:
    # in the child, which never returns
    try:
        signal.alarm(int(10 * SLOWNESS))
        told = trigger(place)
    except BaseException:  # noqa: BLE001 - it is told
        told = {"failure": traceback.format_exc()}
    os.write(writer, json.dumps(told).encode())
    os._exit(0)


def is_of(event: Event, pid: int) -> bool:
    """Whether a policy's event is of a process or of one that descends from it."""
    _, body = policy_body(event)
    if not body:
        return False
    family = [body["process"], body.get("parent", {}), *body.get("ancestors", [])]
    return any(process.get("pid") == pid for process in family)


def missing(patterns: Iterable[Pattern], events: list[Event]) -> list[Pattern]:
    """The patterns that no event fits."""
    return [p for p in patterns if not any(fits(p, event) for event in events)]


class Attempt:
    """The events of one trigger, until all that are expected have come.

    Args:
        read: Gives the events since its last call.
        pid: The trigger's process.
        by_anyone: Events of other processes count too.
    """

    def __init__(
        self, read: Callable[[], list[Event]], pid: int, *, by_anyone: bool
    ) -> None:
        self._read = read
        self._pid = pid
        self._by_anyone = by_anyone
        self.events: list[Event] = []
        self.strange: list[Event] = []  # of other processes

    def wait_for(
        self, patterns: list[Pattern], losses: Callable[[], list[str]]
    ) -> None:
        """Gather until each pattern has its event, or the time is over."""
        deadline = time.monotonic() + _SECONDS_MAX
        while True:
            for event in self._read():
                if policy_body(event)[0]:
                    is_own = self._by_anyone or is_of(event, self._pid)
                    (self.events if is_own else self.strange).append(event)
            left = missing(patterns, self.events)
            if not left:
                return
            if time.monotonic() > deadline:
                lacks = "\n  ".join(f"{p.kind} {dict(p)}" for p in left)
                came = "\n  ".join(map(shown, self.events[:_SHOWN]))
                strange = "\n  ".join(map(shown, self.strange[-_SHOWN:]))
                raise AssertionError(
                    f"did not come:\n  {lacks}\ncame ({len(self.events)}):\n  {came}"
                    f"\nof others ({len(self.strange)}):\n  {strange}"
                    f"\nlost: {losses()}"
                )
            time.sleep(_PAUSE)

    def others(self, patterns: list[Pattern]) -> list[str]:
        """The events that no pattern describes."""
        return [
            shown(event)
            for event in self.events
            if not any(fits(pattern, event) for pattern in patterns)
        ]
