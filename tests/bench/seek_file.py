# SPDX-License-Identifier: Apache-2.0
"""What an event file says of the seeks of load.c: is each of them there, once?"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, NamedTuple

import orjson

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SeekResult", "read_seek_file"]

_KINDS = ("process_kprobe", "process_tracepoint")


class SeekResult(NamedTuple):
    """`missing` counts calls without an event, `wrong` what should not be there."""

    missing: int
    wrong: int
    lost: int
    line_bytes: int  # median


def read_seek_file(path: Path, load_pid: int, count: int) -> SeekResult:
    """Read the events of one agent run.

    Args:
        path: The event file.
        load_pid: Of the program that has called lseek() with the offsets 0, 1, 2 and
            so on up to `count`.
        count: How many calls.
    """
    seen = bytearray(count)
    lost = wrong = 0
    sizes = []
    with path.open("rb") as file:
        for line in file:
            event = orjson.loads(line)
            kind = next(iter(event))
            body = event[kind]
            if kind == "loss":
                lost += int(body["total"])
            elif kind in _KINDS:
                sizes.append(len(line))
                _, offset, _ = (next(iter(one.values())) for one in body["args"])
                place = int(offset)
                is_right = body["process"]["pid"] == load_pid and not seen[place]
                wrong += not is_right
                seen[place] = 1
    line_bytes = round(statistics.median(sizes)) if sizes else 0
    return SeekResult(seen.count(0), wrong, lost, line_bytes)
