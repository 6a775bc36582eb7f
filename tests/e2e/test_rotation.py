# SPDX-License-Identifier: Apache-2.0
"""The export file of a running agent: rotated, renamed, removed, replaced, killed."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING

import orjson
import pytest

from tests.e2e.agent import Agent, scaled, until
from tests.e2e.events import execs, exits, losses
from tests.e2e.export_files import files, numbers, parsed, read

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.events import Event

KILLS = scaled(10, 3)
SMALL = ("--export-file-max-size-mb=1", "--export-file-max-backups=0")


def storm(triggers: Path, count: int, *arguments: str) -> None:
    """So many processes."""
    command = [f"{triggers}/storm", str(count), "23", f"{triggers}/leave", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def last(agent: Agent, mark: str) -> None:
    """Start a process and wait until its end is in the file."""
    subprocess.run(["/bin/true", mark], check=True)
    wait_for(agent, f'"arguments":"{mark}"'.encode(), 2)


def wait_for(agent: Agent, text: bytes, count: int = 1) -> None:
    """Until so many lines have this text."""
    path = agent.export
    assert path is not None

    def told() -> bool:
        # files of the moment: they may be renamed between two looks
        with contextlib.suppress(FileNotFoundError):
            lines = [line for file in files(path) for line in read(file)]
            return sum(text in line for line in lines) >= count
        return False

    agent.until(told, 30, f"{text!r} in the files")


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "compressed"])
def test_nothing_is_lost_by_rotations(
    tmp_path: Path, triggers: Path, *, compress: bool
) -> None:
    """Each exec and exit of a storm is in one of the files, once, in order."""
    options = [*SMALL, "--fields=extended"]
    options += ["--export-file-compress"] if compress else []
    count = scaled(10_007, 1009)
    with Agent(tmp_path, *options) as agent:
        storm(triggers, count)
        last(agent, "the-end")
        assert agent.stop() == 0
        assert agent.export is not None
        found = files(agent.export)
        events = parsed(found)
        _check_files(found, compress=compress)
        totals = agent.totals()

    assert totals["lost"] == 0
    assert losses(events) == []
    assert set(numbers(events).values()) == {1}
    leave = f"{triggers}/leave"
    assert len(execs(events, binary=leave)) == count
    assert len(exits(events, binary=leave)) == count


def _check_files(found: list[Path], *, compress: bool) -> None:
    """Numbers, heads, sizes and modes of the files of one run."""
    starts = [parsed([path])[0]["start"] for path in found]
    plain = [path for path in found if path.suffix != ".gz"]

    assert len(found) > 5
    assert [start["file"] for start in starts] == list(range(1, len(found) + 1))
    assert len({start["run"] for start in starts}) == 1
    assert len({read(path)[0][:256] for path in found}) == len(found)
    assert all(path.stat().st_size <= 1 << 20 for path in found)
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in found)
    assert len(plain) < len(found) if compress else plain == found


def test_old_files_go(tmp_path: Path, triggers: Path) -> None:
    """By their number and by their size."""
    options = ["--export-file-max-size-mb=1", "--export-file-max-backups=3"]
    with Agent(tmp_path, *options, "--export-file-max-total-mb=3") as agent:
        storm(triggers, 3_001, "x" * 2000)
        last(agent, "the-end")
        path = tmp_path / "events.jsonl"
        until(lambda: len(files(path)) == 3, 20, "three files")
        sizes = [each.stat().st_size for each in files(path)]
        assert agent.stop() == 0

    assert sum(sizes) <= 3 << 20


def test_age(tmp_path: Path) -> None:
    """A file is renamed when it is old, if something happens."""
    with Agent(tmp_path, "--export-file-rotation-interval=1s") as agent:
        assert agent.export is not None
        for number in range(1, 4):
            last(agent, f"mark-{number}")
            time.sleep(1.05)
        last(agent, "the-end")
        found = files(agent.export)
        assert agent.stop() == 0

    assert len(found) >= 4


@pytest.mark.parametrize("how", ["signal", "by itself"])
def test_renamed_file(tmp_path: Path, triggers: Path, how: str) -> None:
    """As logrotate does it, again and again under load: nothing is lost or doubled."""
    with Agent(tmp_path, "--fields=extended") as agent:
        path = tmp_path / "events.jsonl"
        moved = []
        # as many a second as keep it up for all renames
        command = [f"{triggers}/storm", "3001", "23", f"{triggers}/leave", "600"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
            for number in range(7):
                until(lambda: path.exists() and path.stat().st_size, 20, "lines")
                moved.append(path.rename(tmp_path / f"moved-{number}"))
                if how == "signal":
                    os.kill(agent.pid, signal.SIGUSR1)
                since = time.monotonic()
                agent.until(path.exists, 5, "new file")
                assert time.monotonic() - since < 1.5
            running.wait()
        last(agent, "the-end")
        assert agent.stop() == 0
        events = parsed([*moved, path])
        assert agent.totals()["lost"] == 0
    leave = f"{triggers}/leave"

    assert set(numbers(events).values()) == {1}
    assert len(execs(events, binary=leave)) == 3001
    assert len(exits(events, binary=leave)) == 3001


def _damage(path: Path, how: str) -> None:
    if how == "folder removed":
        shutil.rmtree(path.parent)
    else:
        path.unlink()
    if how == "directory":
        path.mkdir()
    elif how == "link":
        path.symlink_to(path.with_name("target"))


def _repair(path: Path, how: str) -> None:
    if how == "folder removed":
        path.parent.mkdir()
    elif how == "directory":
        path.rmdir()
    elif how == "link":
        assert not path.with_name("target").exists()
        path.unlink()


@pytest.mark.parametrize("how", ["folder removed", "directory", "link"])
def test_file_that_cannot_be_written(
    tmp_path: Path, scratch: Path, triggers: Path, how: str
) -> None:
    """The agent lives on, tells what it has lost, and writes again by itself."""
    folder = scratch / "log"
    folder.mkdir()
    path = folder / "events.jsonl"
    with Agent(tmp_path, *SMALL, "--fields=extended", export=path) as agent:
        last(agent, "before")
        before = parsed(files(path))
        _damage(path, how)
        storm(triggers, 503, "x" * 30_000)  # more than the backlog
        agent.until(lambda: "cannot be written" in agent.log(), 10, "message")
        agent.until(lambda: "cause=sink" in agent.log(), 10, "loss")
        _repair(path, how)
        last(agent, "after")
        wait_for(agent, b'"cause":"sink"')
        assert agent.stop() == 0
        log, totals = agent.log(), agent.totals()
        events = parsed(files(path))
    told = sum(int(loss["counts"].get("line", 0)) for loss in losses(events))
    seeded = int(re.findall(r"processes=(\d+)", log)[0])
    made = seeded + totals["exec"] + totals["exit"] + log.count("events lost")
    gone = len(before) - 1  # with the file that was removed
    here = sum("start" not in event for event in events)

    assert told > 0
    assert set(numbers(events).values()) == {1}
    assert made - gone <= here + told
    assert here + told <= made
    assert "is written again" in log


def test_small_disk_with_rotations(
    tmp_path: Path, scratch: Path, triggers: Path
) -> None:
    """A full disk: the files stay whole; what is there and what is told is all."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "small", str(scratch)]
    subprocess.run(mount, check=True)
    path = scratch / "events.jsonl"
    try:
        options = [*SMALL, "--fields=extended", "--export-file-compress"]
        with Agent(tmp_path, *options, export=path) as agent:
            # more than disk and backlog take together
            storm(triggers, 4001, "x" * 30_000)
            agent.until(lambda: "cause=sink" in agent.log(), 20, "loss")
            grow = ["mount", "-o", "remount,size=1g", str(scratch)]
            subprocess.run(grow, check=True)
            last(agent, "after")
            wait_for(agent, b'"cause":"sink"')
            assert agent.stop() == 0
            log, totals = agent.log(), agent.totals()
            events = parsed(files(path))
    finally:
        subprocess.run(["umount", "--lazy", scratch], check=True)
    told = sum(int(loss["counts"].get("line", 0)) for loss in losses(events))
    seeded = int(re.findall(r"processes=(\d+)", log)[0])
    made = seeded + totals["exec"] + totals["exit"] + log.count("events lost")

    assert told > 0
    assert set(numbers(events).values()) == {1}
    assert sum("start" not in event for event in events) + told == made
    assert "No space left on device" in log
    assert "is written again" in log


@pytest.mark.timeout(360)
def test_kill_during_rotations(tmp_path: Path, triggers: Path) -> None:
    """Killed at random moments: what was written stays, only last lines are torn."""
    random.seed(23)
    options = [*SMALL, "--fields=extended", "--export-file-compress"]
    path = tmp_path / "events.jsonl"
    kept: Counter[tuple[str, str, int, str]] = Counter()
    command = [f"{triggers}/storm", "1000000", "23", f"{triggers}/leave", "x" * 3000]
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL) as running,
        contextlib.closing(SimpleNamespace(close=running.kill)),
    ):
        for turn in range(1, KILLS + 1):
            agent = Agent(tmp_path, *options)
            agent.start()
            agent.wait_until_runs()
            before = len(files(path))
            agent.until(partial(_has_files, path, before + 2), 30, "rotations")
            time.sleep(random.uniform(0, 0.5))
            agent.kill()
            torn, events = _survivors(path)
            seen = numbers(events)

            assert torn <= turn  # one for each kill
            assert set(seen.values()) == {1}
            assert not kept - seen
            kept = seen

    assert len({run for run, *_ in kept}) == KILLS


def _has_files(path: Path, count: int) -> bool:
    return len(files(path)) >= count


def _survivors(path: Path) -> tuple[int, list[Event]]:
    """How many lines are torn, and the events of all others."""
    torn, events = 0, []
    for file in files(path):
        for line in read(file):
            try:
                events.append(orjson.loads(line))
            except orjson.JSONDecodeError:
                torn += 1
    return torn, events
