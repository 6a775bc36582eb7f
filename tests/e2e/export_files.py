# SPDX-License-Identifier: Apache-2.0
"""An export file with its backups, as lines and as events."""

from __future__ import annotations

import gzip
from collections import Counter
from typing import TYPE_CHECKING

import orjson

from tetragon_py.export.backups import Backups

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.events import Event

__all__ = ["files", "numbers", "parsed", "read"]


def read(path: Path) -> list[bytes]:
    """Lines of one file, its compressed form too; each with its end or torn."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else None
    return (path.read_bytes() if data is None else data).splitlines(keepends=True)


def files(path: Path) -> list[Path]:
    """Backups by age, and the current file."""
    found = [backup.path for backup in Backups(path).found()]
    return [*found, path] if path.exists() else found


def parsed(paths: list[Path]) -> list[Event]:
    """All events; each line has to be whole."""
    return [orjson.loads(line) for path in paths for line in read(path)]


def numbers(events: list[Event]) -> Counter[tuple[str, str, int, str]]:
    """How often each record was told: by run, lane, CPU and sequence."""
    return Counter(
        (e["run"], e.get("lane", "lifecycle"), e["cpu"], e["sequence"])
        for e in events
        if e.get("sequence", "0") != "0"
    )
