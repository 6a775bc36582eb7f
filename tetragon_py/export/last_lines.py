# SPDX-License-Identifier: Apache-2.0
"""What the last lines of an export file say: up to where records have been written.

Comes in: the path of the current file. Goes out: the highest sequence number of each
run, lane and CPU near the end of it and of its newest backup. Lines of `--fields
extended` have these numbers. A line that a crash has cut says nothing.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import orjson

from tetragon_py.export.backups import Backups
from tetragon_py.export.start_record import parse_start, read_start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Place", "last_sequences"]

#: The lane of events that do not name theirs.
_LIFECYCLE = "lifecycle"


class Place(NamedTuple):
    """Whose numbering a sequence number belongs to.

    `run` names the ring buffers, over all boots and hosts; a new start of the agent
    numbers anew, unless it adopts the ring buffers of the one before. `boot_id` is ""
    if the start record of the run is not near the end.
    """

    boot_id: str
    run: str
    lane: str
    cpu: int


def last_sequences(path: Path, max_bytes: int = 8 << 20) -> dict[Place, int]:
    """The highest sequence number of each place in about the last `max_bytes`.

    Files that are not there or cannot be read count as empty. Damaged lines are passed
    over: those of a crash and what others have written into the file.

    Args:
        path: The current file; its newest backup is read too if it is short.
        max_bytes: How far back to look, in both together.
    """
    files = _files(path)
    boots = _boots_of_runs(files)
    last: dict[Place, int] = {}
    for line in _last_lines(files[:2], max_bytes):
        if start := parse_start(line):
            boots[start.run] = start.boot_id
        event = _parse(line)
        sequence = _number(event.get("sequence"))
        if sequence:  # 0: it lived before the agent and has no number
            run = str(event.get("run", ""))
            lane = str(event.get("lane", _LIFECYCLE))
            cpu = _number(event.get("cpu"))
            place = Place(boots.get(run, ""), run, lane, cpu)
            last[place] = max(last.get(place, 0), sequence)
    return last


def _boots_of_runs(files: list[Path]) -> dict[str, str]:
    """Run -> boot id, from the first lines of the files."""
    starts = map(read_start, files)
    return {start.run: start.boot_id for start in starts if start}


def _files(path: Path) -> list[Path]:
    """Newest first, without those that are compressed."""
    backups = [backup.path for backup in Backups(path).found() if not backup.is_packed]
    return [path, *reversed(backups)]


def _last_lines(files: list[Path], max_bytes: int) -> Iterator[bytes]:
    """Whole lines, of the newest file first; within a file in their order."""
    for file in files:
        try:
            data = _tail(file, max_bytes)
        except OSError:
            continue
        max_bytes -= len(data)
        yield from data.splitlines()
        if max_bytes <= 0:
            return


def _tail(file: Path, max_bytes: int) -> bytes:
    with _open(file) as opened:
        size = opened.seek(0, os.SEEK_END)
        start = max(0, size - max_bytes)
        opened.seek(start)
        data: bytes = opened.read(max_bytes)
    if start:
        data = data[data.find(b"\n") + 1 :]
    return data


def _open(path: Path) -> BinaryIO:
    """Only a file: not what waits for somebody, and nothing behind a link."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    fd = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise FileNotFoundError(path)
    return os.fdopen(fd, "rb")


def _parse(line: bytes) -> dict[str, Any]:
    """An empty one for a line that is cut."""
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return event if isinstance(event, dict) else {}


def _number(value: object) -> int:
    text = str(value)
    return int(text) if text.isdecimal() and len(text) < 20 else 0
