# SPDX-License-Identifier: Apache-2.0
"""Finding one's way in parsed events: bodies by kind, process and value."""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Event", "Run", "execs", "exits", "identity", "losses", "one"]

Event = dict[str, Any]
T = TypeVar("T")


def execs(
    events: Iterable[Event], pid: int | None = None, **wanted: object
) -> list[Event]:
    """The process_exec bodies, of one pid, with these values in their process."""
    return _bodies(events, "process_exec", pid, wanted)


def exits(
    events: Iterable[Event], pid: int | None = None, **wanted: object
) -> list[Event]:
    """The process_exit bodies, the same."""
    return _bodies(events, "process_exit", pid, wanted)


def losses(events: Iterable[Event]) -> list[Event]:
    """The loss bodies."""
    return [event["loss"] for event in events if "loss" in event]


def one(found: Sequence[T]) -> T:
    """The only item."""
    assert len(found) == 1, f"{len(found)} instead of one: {found[:5]}"
    return found[0]


def identity(exec_id: str) -> tuple[str, int, int]:
    """An exec id taken apart: node, start, pid."""
    node, start, pid = base64.b64decode(exec_id).decode().rsplit(":", 2)
    return node, int(start), int(pid)


def _bodies(
    events: Iterable[Event], kind: str, pid: int | None, wanted: dict[str, object]
) -> list[Event]:
    found = []
    for event in events:
        body = event.get(kind)
        if body is None or (pid is not None and body["process"]["pid"] != pid):
            continue
        if all(body["process"].get(key) == value for key, value in wanted.items()):
            found.append(body)
    return found


class Run(NamedTuple):
    """What a command was, said and caused."""

    pid: int
    status: int  # as subprocess tells it: negative for a signal
    output: bytes
    events: list[Event]

    @property
    def told(self) -> Any:
        """The trigger's own account."""
        return json.loads(self.output)

    @property
    def images(self) -> list[Event]:
        """Each process_exec of the command's own process."""
        found: list[Event] = []
        for body in execs(self.events, self.pid):
            # others may get its number after it
            if body["parent"]["pid"] == (self.pid if found else os.getpid()):
                found.append(body)
        return found

    @property
    def exec(self) -> Event:
        """The only one of these."""
        return one(self.images)

    @property
    def process(self) -> Event:
        """The process of that."""
        process: Event = self.exec["process"]
        return process

    @property
    def exit(self) -> Event:
        """The only process_exit of the command's own process."""
        last = self.images[-1]["process"]["exec_id"]
        return one(exits(self.events, self.pid, exec_id=last))
