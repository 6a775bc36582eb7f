# SPDX-License-Identifier: Apache-2.0
"""What the agent tells a service manager, and when it feeds the watchdog."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.agent import SLOWNESS, Agent, until
from tests.e2e.one_thread import drain_thread, stopped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Seconds, of the watchdog; it is fed four times as often.
_LIMIT = 2.0
_FED = ["WATCHDOG=1"]


class _Manager:
    """The service manager's end; messages are lists of lines."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))

    def take(self, seconds: float = 20) -> list[str]:
        """The next message."""
        self.socket.settimeout(seconds * SLOWNESS)
        return self.socket.recv(4096).decode().splitlines()

    def take_other(self) -> list[str]:
        """The next that does not only say that the agent lives."""
        while (found := self.take()) == _FED:
            pass
        return found

    def empty(self) -> None:
        """Forget what has come so far."""
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while self.socket.recv(4096):
                pass


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Manager]:
    """A manager with a watchdog that starts all processes of the test."""
    found = _Manager(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", str(int(_LIMIT * 1_000_000)))
    yield found
    found.socket.close()


def test_life(manager: _Manager, tmp_path: Path) -> None:
    """Loading, ready when events are told, reloading and ready again, stopping."""
    with Agent(tmp_path) as agent:
        assert manager.take_other() == ["STATUS=Loading"]
        assert manager.take_other() == ["READY=1", "STATUS=Process events"]
        assert manager.take() == _FED

        before_us = time.monotonic_ns() // 1000
        os.kill(agent.pid, signal.SIGHUP)
        while len(found := manager.take_other()) < 3:
            pass  # the status of before
        word, stamp, _ = found
        assert word == "RELOADING=1"
        assert before_us <= int(stamp.removeprefix("MONOTONIC_USEC="))
        assert manager.take_other() == ["READY=1", "STATUS=Process events"]
        assert agent.stop() == 0

    assert manager.take_other() == ["STOPPING=1", "STATUS=Stopping"]


def test_watchdog_is_fed_by_the_drain_only(manager: _Manager, tmp_path: Path) -> None:
    """With the drain stopped nothing is fed, while the control side still reloads."""
    with Agent(tmp_path) as agent:
        tid = until(lambda: drain_thread(agent.pid), 10, "thread that reads events")
        with stopped(tid):
            time.sleep(_LIMIT / 2)  # what was on its way
            manager.empty()
            os.kill(agent.pid, signal.SIGHUP)
            told = []
            with contextlib.suppress(TimeoutError):
                while True:
                    told.append(manager.take(_LIMIT / SLOWNESS)[0])
        assert [word for word in told if not word.startswith("STATUS=")] == [
            *("RELOADING=1", "READY=1")
        ]

        while manager.take() != _FED:
            pass
        assert agent.stop() == 0
    assert "reading of events stands still" in agent.log()
