# SPDX-License-Identifier: Apache-2.0
"""A day of events in minutes: millions through one agent that rotates its file.

Says whether each of them is in the files once or told as lost, and whether the agent
grows: resident memory and open descriptors after each part of them.
"""

from __future__ import annotations

import gzip
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import orjson

from tests.bench.agent import Agent
from tests.bench.policy_files import seek_policy, write_policies
from tests.bench.programs import OUTPUT
from tests.bench.workload import run_calls
from tetragon_py.export.backups import Backups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.bench.programs import Programs

__all__ = ["SoakResult", "read_files", "soak"]

_PARTS = 20
_OPTIONS = (
    "--export-file-max-size-mb=10",
    "--export-file-max-backups=0",
    "--export-file-compress",
)
#: Growth of the resident memory after the first parts that is no growth.
_FLAT_MB = 8.0


class SoakResult(NamedTuple):
    """What has become of the calls, and of the agent."""

    sent: int
    told: int
    twice: int
    lost: int
    torn: int
    files: int
    rss_mb: list[float]
    descriptors: list[int]
    seconds: float

    @property
    def is_right(self) -> bool:
        """All are there or told as lost, and nothing grows."""
        settled = self.rss_mb[len(self.rss_mb) // 4 :]
        return (
            self.told + self.lost == self.sent
            and not self.twice
            and not self.torn
            and max(settled) - settled[0] < _FLAT_MB
            and max(self.descriptors) - min(self.descriptors) <= 2
        )

    def __str__(self) -> str:
        quarter = self.rss_mb[len(self.rss_mb) // 4]
        return (
            f"{self.sent:,} sent, {self.told:,} in {self.files} files, {self.lost:,} "
            f"told as lost, {self.twice} twice, {self.torn} torn; RSS "
            f"{self.rss_mb[0]:.1f} MB at first, {quarter:.1f} after a quarter, "
            f"{self.rss_mb[-1]:.1f} at the end, at most {max(self.rss_mb):.1f}; "
            f"descriptors {min(self.descriptors)} to {max(self.descriptors)}; "
            f"{self.seconds:.0f} s"
        )


def soak(programs: Programs, count: int, tell: Callable[[str], None]) -> SoakResult:
    """Send `count` calls, in parts, and look at all files in the end."""
    part = count // _PARTS
    rss, descriptors, pids = [], [], []
    started = time.monotonic()
    for old in Backups(OUTPUT / "soak.jsonl").found():  # of a run that failed
        old.path.unlink()
    policies = write_policies("soak", [seek_policy("syscall")])
    with Agent("soak", policies, *_OPTIONS) as agent:
        backups = Backups(agent.events)
        for number in range(_PARTS):
            pids.append(run_calls(programs, "seek", part).pid)
            agent.wait_until_read(programs)
            rss.append(agent.rss_mb())
            descriptors.append(len(list(Path(f"/proc/{agent.pid}/fd").iterdir())))
            tell(f"soak: part {number + 1} of {_PARTS}, RSS {rss[-1]:.1f} MB")
        agent.stop()
        paths = [*(backup.path for backup in backups.found()), agent.events]
        try:
            seen, lost, torn = read_files(paths, part)
        finally:
            for backup in backups.found():
                backup.path.unlink()
    ours = [seen[pid] for pid in pids if pid in seen]
    told = sum(part - calls.count(0) for calls in ours)
    twice = sum(sum(calls) for calls in ours) - told
    seconds = time.monotonic() - started
    return SoakResult(
        part * _PARTS, told, twice, lost, torn, len(paths), rss, descriptors, seconds
    )


def read_files(paths: list[Path], part: int) -> tuple[dict[int, bytearray], int, int]:
    """Which calls are told, how many are told as lost, and how many lines are torn.

    Args:
        paths: All files, compressed or not.
        part: Each process has called lseek() with the offsets from 0 up to this.

    Returns:
        Process -> for each offset how often it is told; how many hits and lines are
        told as lost; lines that are no JSON.
    """
    seen: dict[int, bytearray] = {}
    lost = torn = 0
    for line in _lines(paths):
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError:
            torn += 1
            continue
        if "loss" in event:
            counts = event["loss"]["counts"]
            lost += int(counts.get("hook", 0)) + int(counts.get("line", 0))
        elif "process_kprobe" in event:
            body = event["process_kprobe"]
            offset = int(next(iter(body["args"][1].values())))
            if offset < part:
                seen.setdefault(body["process"]["pid"], bytearray(part))[offset] += 1
    return seen, lost, torn


def _lines(paths: list[Path]) -> Iterator[bytes]:
    for path in paths:
        if path.suffix == ".gz":
            with gzip.open(path) as packed:
                yield from packed
        else:
            with path.open("rb") as plain:
                yield from plain
