# SPDX-License-Identifier: Apache-2.0
"""What the first line of an export file says of the file."""

from __future__ import annotations

import contextlib
import os
import stat
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import orjson

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["StartRecord", "parse_start", "read_start"]

#: With the longest node name it is shorter.
_MAX_BYTES = 4096


class StartRecord(NamedTuple):
    """See events.agent.StartEvent."""

    boot_id: str
    run: str
    file: int  # 0: a stream
    wall_seconds: float


def read_start(path: Path) -> StartRecord | None:
    """The start record in the first line; None: there is none, or it is damaged."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with contextlib.suppress(OSError):
        fd = os.open(path, flags)
        with os.fdopen(fd, "rb") as file:
            if stat.S_ISREG(os.fstat(fd).st_mode):
                return parse_start(file.readline(_MAX_BYTES))
    return None


def parse_start(line: bytes) -> StartRecord | None:
    """Read a line; None: it is no start record."""
    if not line.startswith(b'{"start":'):
        return None
    try:
        event = orjson.loads(line)
        start = event["start"]
        return StartRecord(
            str(start["boot_id"]),
            str(start["run"]),
            int(start.get("file", 0)),
            datetime.fromisoformat(event["time"]).timestamp(),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None
