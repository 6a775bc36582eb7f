# SPDX-License-Identifier: Apache-2.0
"""Readers that go away or do not read, disks that are full, terminals under attack."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shutil
import subprocess
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.e2e.agent import Agent, until
from tests.e2e.events import Event, execs, exits, losses
from tetragon_py import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NAME = b"x\n\x1b]0;title\x07\x1b[2J\x1b[31m\r\x7f\xc2\x9b31m\xff\x08"


#: As an argument of the parent it is in each line: 503 children make 30 MB.
_PADDING = "x" * 30_000


class Pipe:
    """A pipe whose end for reading is this process's, and a non-blocking one."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        self.data = b""

    def read(self) -> bytes:
        """All so far."""
        with contextlib.suppress(
            BlockingIOError, OSError
        ):  # EIO: a terminal's other end
            while chunk := os.read(self.reader, 1 << 16):
                self.data += chunk
        return self.data

    def close(self) -> None:
        """Both ends."""
        for fd in (self.reader, self.writer):
            with contextlib.suppress(OSError):
                os.close(fd)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """One that is closed afterwards."""
    made = Pipe()
    yield made
    made.close()


@pytest.fixture
def terminal(pipe: Pipe) -> Pipe:
    """The same with a pseudo terminal."""
    pipe.close()
    pipe.reader, pipe.writer = pty.openpty()
    os.set_blocking(pipe.reader, False)
    return pipe


def test_reader_leaves(tmp_path: Path, pipe: Pipe) -> None:
    """When nobody reads the events any more, the agent ends quietly with status 0."""
    with Agent(tmp_path, stdout=pipe.writer, export=None) as agent:
        os.close(pipe.writer)
        agent.until(lambda: b"\n" in pipe.read(), 10, "first line")
        os.close(pipe.reader)
        subprocess.run(["/bin/true"], check=True)

        assert agent.wait() == 0
        assert "Traceback" not in agent.log()
        assert "rror" not in agent.log()
    start, first = map(json.loads, pipe.data.splitlines()[:2])
    assert start["start"]["version"] == __version__
    assert first["process_exec"]["process"]["pid"] == 0


def test_reader_leaves_but_file_stays(
    tmp_path: Path, pipe: Pipe, triggers: Path
) -> None:
    """With an export file the agent goes on without its reader."""
    with Agent(tmp_path, "--output=compact", stdout=pipe.writer) as agent:
        pipe.close()
        for status in range(23):
            assert (
                agent.run([triggers / "leave", str(status)]).exit.get("status", 0)
                == status
            )
        assert agent.stop() == 0


def _overflow(agent: Agent, triggers: Path) -> None:
    """More events than there is room for; the second time they push what told it."""
    storm = [f"{triggers}/storm", "503", "23", f"{triggers}/leave", _PADDING]
    for _ in range(2):
        before = agent.log().count("cause=sink")
        subprocess.run(storm, check=True, stdout=subprocess.DEVNULL)
        agent.until(partial(_has_lost_more, agent, before), 20, "loss in the log")


def _has_lost_more(agent: Agent, before: int) -> bool:
    return agent.log().count("cause=sink") > before


def test_slow_reader(tmp_path: Path, pipe: Pipe, triggers: Path) -> None:
    """A reader that stops costs the file nothing, and is told what it missed."""
    options = ["--output=json", "--fields=extended", "--enable-process-cred"]
    with Agent(tmp_path, *options, stdout=pipe.writer) as agent:
        _overflow(agent, triggers)
        storms = execs(agent.settle(), binary=f"{triggers}/storm")
        ids = [body["process"]["exec_id"] for body in storms]
        for bodies in (execs(agent.events()), exits(agent.events())):
            parents = [body["process"].get("parent_exec_id") for body in bodies]
            assert [parents.count(each) for each in ids] == [503, 503]

        _read_on(agent, pipe, triggers)
        assert agent.stop(meanwhile=pipe.read) == 0
        os.close(pipe.writer)
        seen = [json.loads(line) for line in pipe.read().splitlines()]
        events = agent.events()
        missed = len(events) - len(seen)

        assert missed > 0
        assert _dropped_lines(events) == missed
        assert _dropped_lines(seen) == missed


def _read_on(agent: Agent, pipe: Pipe, triggers: Path) -> None:
    """Read until a new event comes through."""
    mark = b"reading-on"
    subprocess.run([triggers / "leave", "0", mark], check=True)
    agent.until(lambda: pipe.read().count(mark) >= 2, 30, "new event in the pipe")
    agent.until(lambda: b'"cause":"sink"' in pipe.read(), 30, "told loss")


def _dropped_lines(events: list[Event]) -> int:
    told = [loss for loss in losses(events) if loss["cause"] == "sink"]
    return sum(int(loss["counts"]["line"]) for loss in told)


def test_full_disk(tmp_path: Path, scratch: Path, triggers: Path) -> None:
    """A full disk leaves whole lines, and what it cost is told when there is room."""
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "small", scratch], check=True
    )
    try:
        export = scratch / "events.jsonl"
        options = ["--fields=extended", "--enable-process-cred"]
        with Agent(tmp_path, *options, export=export) as agent:
            _overflow(agent, triggers)
            assert export.stat().st_size <= 1 << 20
            subprocess.run(["mount", "-o", "remount,size=2g", scratch], check=True)
            agent.settle(60)
            agent.until(lambda: _dropped_lines(agent.events()), 20, "told loss")
            assert agent.run([triggers / "leave", "23"]).exit["status"] == 23
            assert agent.stop() == 0
            events = agent.events()  # each line is JSON
            totals, log = agent.totals(), agent.log()
        told = _dropped_lines(events)
    finally:
        subprocess.run(["umount", "--lazy", scratch], check=True)
    seeded = int(re.findall(r"processes=(\d+)", log)[0])
    made = 1 + seeded + totals["exec"] + totals["exit"] + log.count("events lost")

    assert told > 0
    assert len(events) + told == made


@pytest.mark.parametrize("color", ["never", "auto"])
def test_hostile_names_on_a_terminal(
    tmp_path: Path, terminal: Pipe, triggers: Path, scratch: Path, color: str
) -> None:
    """No name and no argument can steer the terminal that shows it."""
    program = os.fsencode(scratch) + b"/" + _NAME
    shutil.copy(triggers / "leave", os.fsdecode(program))
    options = ["--output=compact", f"--color={color}"]
    with Agent(tmp_path, *options, stdout=terminal.writer) as agent:
        agent.until(terminal.read, 10, "output")
        before = terminal.data.count(b"title")
        subprocess.run([program, _NAME, "the-end"], check=True, cwd=scratch)
        agent.until(lambda: terminal.read().count(b"the-end") >= 2, 20, "both lines")
        agent.stop(meanwhile=terminal.read)
    shown = terminal.read()

    assert shown.count(b"title") - before == 2 * 2
    plain = shown if color == "never" else re.sub(rb"\x1b\[(0|3[1-6])m", b"", shown)
    text = plain.decode("utf-8").replace("\r\n", "")  # the terminal made them of \n
    assert [c for c in text if c < " " or "\x7f" <= c <= "\x9f"] == []
    if color == "auto":
        assert shown.count(b"\x1b[0m") * 2 == shown.count(b"\x1b")
        # the escape sequence in the name is text, not a colour
        assert b"\\x1b[31m" in shown


@pytest.mark.parametrize("options", [(), ("--export-filename=-",)])
def test_json_on_standard_output(
    tmp_path: Path, pipe: Pipe, triggers: Path, options: tuple[str, ...]
) -> None:
    """Without options standard output gets JSON lines, and the log stays off it."""
    with Agent(tmp_path, *options, stdout=pipe.writer, export=None) as agent:
        pid = subprocess.Popen([triggers / "leave", "23"]).wait()
        assert pid == 23
        until(lambda: b'"status":23' in pipe.read(), 20, "exit event")
        agent.stop(meanwhile=pipe.read)
    events = [json.loads(line) for line in pipe.read().splitlines()]

    assert list(events[0]["start"]) == ["boot_id", "run", "version"]
    for event in events:
        assert set(event) >= {"node_name", "time"}
