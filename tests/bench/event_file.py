# SPDX-License-Identifier: Apache-2.0
"""What an event file says of one storm: is everything there, and right?"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FileResult", "read_event_file"]

_KINDS = ("process_exec", "process_exit")


class FileResult(NamedTuple):
    """Counts of the storm's own processes; `foreign` are other events meanwhile."""

    execs: int
    exits: int
    wrong_parents: int
    lost: int
    foreign: int
    line_bytes: int  # median of the storm's own


def read_event_file(path: Path, leaf: Path, load_pid: int) -> FileResult:
    """Read the lines since the start of the storm.

    Args:
        path: The event file of one agent run with one storm.
        leaf: The program that the storm runs.
        load_pid: Of the storm, the parent of all its processes.
    """
    binary = str(leaf)
    load_id, lost, foreign, wrong = "", 0, 0, 0
    seen: dict[str, set[str]] = {kind: set() for kind in _KINDS}
    sizes = []
    with path.open("rb") as file:
        for line in file:
            event = orjson.loads(line)
            kind = next(iter(event))
            body = event[kind]
            if kind not in _KINDS:
                lost += int(body.get("total", 0))
                continue
            process = body["process"]
            if process["pid"] == load_pid and kind == "process_exec":
                load_id = process["exec_id"]  # the last one before the storm
            elif _is_of_storm(process, binary):
                seen[kind].add(process["exec_id"])
                sizes.append(len(line))
                wrong += not _is_child(body, load_id)
            else:
                foreign += bool(load_id)
    execs, exits = (seen[kind] for kind in _KINDS)
    return FileResult(
        len(execs),
        len(exits & execs),
        wrong,
        lost,
        foreign,
        round(statistics.median(sizes)) if sizes else 0,
    )


def _is_of_storm(process: dict[str, Any], binary: str) -> bool:
    return process.get("binary") == binary and process.get("arguments") != "mark"


def _is_child(body: dict[str, Any], load_id: str) -> bool:
    return (
        bool(load_id)
        and body["process"].get("parent_exec_id") == load_id
        and body.get("parent", {}).get("exec_id") == load_id
    )
