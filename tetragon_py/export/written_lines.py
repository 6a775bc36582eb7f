# SPDX-License-Identifier: Apache-2.0
"""Which records have their lines at the end of an export file already."""

from __future__ import annotations

import os
import re
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Origin", "count_written"]

#: More than the lines of a batch, or of a backlog, take.
TAIL_BYTES: Final = 64 << 20


class Origin(NamedTuple):
    """Where a record comes from."""

    lane: str
    cpu: int
    sequence: int


def count_written(path: Path, run: str) -> Counter[Origin]:
    """How many whole lines each of the last records has.

    A record without number is none (processes that the scan at start has found).

    Args:
        path: A file of JSON lines; one that is not there, or no file, has none. If it
            is short its newest backup is looked at too: `<stem>-<number>...<suffix>`.
        run: Of the lines that count.

    Raises:
        OSError: it cannot be read.
    """
    # Last in a line; quotes in texts are escaped.
    pattern = re.compile(
        rb'"cpu":(\d+),"sequence":"(\d+)","run":"%b"(?:,"lane":"(\w+)")?\}$'
        % re.escape(run.encode()),
        re.MULTILINE,
    )
    backups = sorted(path.parent.glob(f"{path.stem}-*{path.suffix}"))
    found = Counter[Origin]()
    rest = TAIL_BYTES
    for file in (path, *backups[-1:]):
        data = _tail(file, rest)
        rest -= len(data)
        found.update(
            Origin((lane or b"lifecycle").decode(), int(cpu), int(sequence))
            for cpu, sequence, lane in pattern.findall(data)
        )
    for origin in [origin for origin in found if not origin.sequence]:
        del found[origin]
    return found


def _tail(path: Path, max_bytes: int) -> bytes:
    """Whole lines at the end."""
    if not path.is_file() or path.is_symlink():
        return b""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - max_bytes))
        data = file.read(max_bytes)
    return data[: data.rfind(b"\n") + 1]
