# SPDX-License-Identifier: Apache-2.0
"""A real shipper takes the export file: everything arrives, what is double can go."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections import Counter
from typing import TYPE_CHECKING

import orjson
import pytest

from tests.e2e.agent import SLOWNESS, Agent, until
from tests.e2e.events import losses
from tests.e2e.export_files import files, read
from tests.e2e.shipper import Receiver, Rsyslog
from tests.e2e.test_policy_start import write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.events import Event

EVENTS = 200_000
ROTATIONS = 5
SEEKS = """
kprobes:
- call: sys_lseek
  args: [{index: 0, type: int}, {index: 1, type: long}]
  selectors:
  - matchArgs: [{index: 0, operator: Equal, values: ["-5"]}]
"""


class Stage:
    """An agent with seeks at hand, and where all of it goes."""

    def __init__(self, folder: Path, triggers: Path) -> None:
        self._folder = folder
        self.path = folder / "events.jsonl"
        self._seeks = str(triggers / "seeks")
        self._policy = write(folder, "seeks", SEEKS)
        self.sent = 0
        self.agent = self.start()

    def start(self) -> Agent:
        """One more agent on the same file."""
        options = ["--fields=extended", "--export-file-max-backups=0"]
        options += ["--export-file-max-size-mb=25"]
        self.agent = Agent(self._folder, *options, f"--tracing-policy={self._policy}")
        self.agent.start()
        self.agent.wait_until_runs()
        return self.agent

    def seek(self, count: int) -> None:
        """So many events, and wait until they are in the files."""
        wanted = self._told() + count
        command = [self._seeks, "-5", str(count)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        self.sent += count
        until(lambda: self._told() >= wanted, 60, "events in the files")

    def _told(self) -> int:
        texts = [file.read_bytes() for file in files(self.path)]
        return sum(text.count(b'{"process_kprobe"') for text in texts)

    def lines(self) -> list[bytes]:
        """All, torn ones too."""
        return [line for file in files(self.path) for line in read(file)]


def key(event: Event) -> tuple[str, ...]:
    """What makes a line the only one of its kind."""
    kind = next(iter(event))
    policy = event[kind].get("policy_name", "")
    lane = event.get("lane", "lifecycle")
    return event["run"], lane, str(event["cpu"]), event["sequence"], policy


def parsed_whole(lines: list[bytes]) -> list[Event]:
    """Without those that the kill has torn."""
    events = []
    for line in lines:
        with contextlib.suppress(orjson.JSONDecodeError):
            events.append(orjson.loads(line))
    return events


def numbered(lines: list[bytes]) -> list[tuple[str, ...]]:
    """The keys of those lines that have a number."""
    events = parsed_whole(lines)
    return [key(event) for event in events if event.get("sequence", "0") != "0"]


@pytest.mark.skipif(SLOWNESS >= 4, reason="no matter of the kernel, and long")
@pytest.mark.timeout(600)
def test_rsyslog(tmp_path: Path, triggers: Path) -> None:
    """200,000 events over rotations, SIGHUP, mv, kill -9 of agent and of shipper."""
    shipping = tmp_path / "rsyslog"
    shipping.mkdir()
    pattern = str(tmp_path / "events*.jsonl")
    with Receiver() as receiver, Rsyslog(shipping, pattern, receiver.port) as rsyslog:
        stage = Stage(tmp_path, triggers)
        part = EVENTS // 5
        stage.seek(part)
        os.kill(stage.agent.pid, signal.SIGHUP)
        rsyslog.signal(signal.SIGHUP)
        stage.seek(part)
        flood = subprocess.Popen(
            [str(triggers / "seeks"), "-5", "20000"], stdout=subprocess.DEVNULL
        )
        stage.agent.kill()
        flood.wait()
        stage.start()
        stage.seek(part)
        rsyslog.kill()
        stage.seek(part // 2)
        rsyslog.start()
        stage.seek(part + part // 2)
        assert stage.agent.stop() == 0
        lines = stage.lines()
        size = sum(map(len, lines))

        def arrived() -> bool:
            return receiver.size() >= size and not set(lines) - set(receiver.lines())

        until(arrived, 120, "all lines at the receiver")
        found = files(stage.path)
        shipped = receiver.lines()
    wanted, doubles = set(numbered(lines)), Counter(numbered(shipped))
    hits = {each for each in wanted if each[4] == "seeks"}
    print(
        f"\n{len(wanted):,} records in {len(found)} files, {len(shipped):,} lines "
        f"shipped, {sum(doubles.values()) - len(doubles):,} of them again"
    )

    assert losses(parsed_whole(lines)) == []
    assert len(wanted - set(doubles)) == 0
    assert len(found) > ROTATIONS
    assert len(hits) >= stage.sent == EVENTS
    assert max(Counter(numbered(lines)).values()) == 1
    # who removes what is double by the key has each line as it is in the file; counts
    # and a few examples, as a difference of that size takes hours to show
    assert list(set(lines) - set(shipped))[:3] == []
    assert list(set(shipped) - set(lines))[:3] == []
