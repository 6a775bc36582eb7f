# SPDX-License-Identifier: Apache-2.0
"""Backups are tidied beside the agent, which never waits for it but at its end."""

from __future__ import annotations

import threading

import pytest
import structlog

from tetragon_py.daemon import backup_thread
from tetragon_py.daemon.backup_thread import BackupThread
from tetragon_py.errors import SinkError


class Backups:
    """Counts its calls; each is let go by `go`."""

    def __init__(self) -> None:
        self.calls = threading.Semaphore(0)
        self.go = threading.Event()
        self.go.set()
        self.failure = ""
        self.stopped = False

    def tidy(self, is_stopping) -> None:
        self.calls.release()
        while not self.go.wait(0.01):
            if is_stopping():
                self.stopped = True
                return
        if self.failure:
            raise SinkError("backups", self.failure)

    def called(self) -> bool:
        return self.calls.acquire(timeout=20)


@pytest.fixture
def backups():
    return Backups()


@pytest.fixture
def thread(backups):
    made = BackupThread(backups)
    made.start()
    yield made
    made.stop()


def test_first_look_is_at_the_start(backups, thread):
    """An earlier run may have left something."""
    assert backups.called()


def test_each_wake_is_followed_by_a_look(backups, thread):
    """Also one that comes during a look; wake itself does not wait."""
    assert backups.called()
    backups.go.clear()
    thread.wake()
    assert backups.called()
    thread.wake()
    thread.wake()
    backups.go.set()

    assert backups.called()


def test_stop_interrupts(backups):
    """The end does not wait for a compression."""
    thread = BackupThread(backups)
    backups.go.clear()
    thread.start()
    assert backups.called()
    thread.stop()

    assert backups.stopped


def test_idle_look(backups, monkeypatch):
    """Without any call it looks too."""
    monkeypatch.setattr(backup_thread, "_IDLE_SECONDS", 0.01)
    thread = BackupThread(backups)
    thread.start()

    assert backups.called()
    assert backups.called()
    thread.stop()


def test_failures_are_logged_once(backups):
    """And again if they are others, or if all was well in between."""
    with structlog.testing.capture_logs() as logs:
        thread = BackupThread(backups)
        for failure in ("full", "full", "other", "", "other"):
            backups.failure = failure
            thread._tidy()

    assert [entry["event"] for entry in logs] == [
        "backups: full",
        "backups: other",
        "backups: other",
    ]
