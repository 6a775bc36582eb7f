# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.daemon.notify: what arrives at the service manager's socket."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time

import pytest
import structlog

from tetragon_py.daemon.notify import (
    Notifier,
    Watchdog,
    status_text,
    watchdog_seconds,
)
from tetragon_py.events.agent import PolicyChangeEvent, PolicyProblem


class Manager:
    """The service manager's end."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(5)

    def take(self):
        """The next message, as lines."""
        return self.socket.recv(4096).decode().split("\n")

    def is_quiet(self):
        self.socket.setblocking(False)
        try:
            return not self.socket.recv(4096)
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(5)


@pytest.fixture(params=["path", "abstract"])
def connection(request, tmp_path):
    """A manager and a notifier that it has started."""
    path = str(tmp_path / "notify")
    name = f"tetragon-py-test-{os.getpid()}"
    address, shown = (
        (path, path) if request.param == "path" else (f"\0{name}", f"@{name}")
    )
    manager = Manager(address)
    yield manager, Notifier.from_environment({"NOTIFY_SOCKET": shown})
    manager.socket.close()


@pytest.fixture
def manager(tmp_path):
    """A manager that listens at tmp_path / "notify"."""
    found = Manager(str(tmp_path / "notify"))
    yield found
    found.socket.close()


def test_what_is_told(connection):
    """Each message is one datagram of lines."""
    manager, notifier = connection
    notifier.status("Loading")
    notifier.ready("3 policies in force")
    notifier.feed()
    notifier.stopping()

    assert manager.take() == ["STATUS=Loading"]
    assert manager.take() == ["READY=1", "STATUS=3 policies in force"]
    assert manager.take() == ["WATCHDOG=1"]
    assert manager.take() == ["STOPPING=1", "STATUS=Stopping"]


def test_reload_has_the_time(connection):
    """RELOADING and the monotonic time in microseconds are in the same message."""
    manager, notifier = connection
    before = time.monotonic_ns() // 1000
    notifier.reloading()
    word, stamp, status = manager.take()

    assert (word, status) == ("RELOADING=1", "STATUS=Reloading")
    name, _, value = stamp.partition("=")
    assert name == "MONOTONIC_USEC"
    assert before <= int(value) <= time.monotonic_ns() // 1000


def test_status_is_one_line(connection):
    """A text with line ends cannot say READY in between."""
    manager, notifier = connection
    notifier.status("policy x\nREADY=1")

    assert manager.take() == ["STATUS=policy x READY=1"]


def test_status_is_not_repeated(connection):
    """The same text again is no message."""
    manager, notifier = connection
    for text in ("fine", "fine", "well"):
        notifier.status(text)

    assert manager.take() == ["STATUS=fine"]
    assert manager.take() == ["STATUS=well"]
    assert manager.is_quiet()


def change(result="applied", problems=0, **counts):
    counts = {"policies": 3, "hooks": 1, **counts}
    problem = PolicyProblem("unknown field")
    return PolicyChangeEvent(
        *(result, "sighup", 1, 2, "digest", counts["policies"], counts["hooks"]),
        problems=(problem,) * problems,
    )


@pytest.mark.parametrize(
    ("last", "lost", "text"),
    [
        (None, 0, "Process events"),
        (change(policies=0), 0, "Process events"),
        (change(), 0, "Process events; 3 policies on 1 hook"),
        (
            change(policies=1, hooks=2),
            1,
            "Process events; 1 policy on 2 hooks; 1 event lost",
        ),
        (
            change("refused", 2),
            0,
            "Process events; 3 policies on 1 hook; reload refused: 2 errors",
        ),
        (
            change(problems=1),
            7,
            "Process events; 3 policies on 1 hook; policies left out: 1 error; "
            "7 events lost",
        ),
    ],
)
def test_status_text(last, lost, text):
    """What is in force first, what is wrong after it."""
    assert status_text(last, lost) == text


def test_no_manager():
    """Without the variable nothing happens, and nothing is logged."""
    with structlog.testing.capture_logs() as logs:
        Notifier.from_environment({}).ready("fine")

    assert logs == []


@pytest.mark.parametrize("address", ["relative/path", "vsock:2:1234"])
def test_unknown_address(address):
    """An address that is neither path nor name is told once, and not used."""
    with structlog.testing.capture_logs() as logs:
        notifier = Notifier(address)
        notifier.ready("fine")

    assert [entry["log_level"] for entry in logs] == ["warning"]


def test_manager_has_gone(tmp_path):
    """A socket that nobody serves costs a warning, not the agent."""
    with structlog.testing.capture_logs() as logs:
        Notifier(str(tmp_path / "nobody")).ready("fine")

    assert [entry["what"] for entry in logs] == ["READY=1"]


def test_full_socket_is_waited_for(manager, tmp_path):
    """A manager that is busy gets the message later; it is not dropped."""
    notifier = Notifier(str(tmp_path / "notify"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
        filler.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                filler.sendto(b"STATUS=noise", str(tmp_path / "notify"))
    sender = threading.Thread(target=notifier.ready, args=("at last",))
    sender.start()
    found = manager.take()
    while found == ["STATUS=noise"]:
        found = manager.take()
    sender.join()

    assert found == ["READY=1", "STATUS=at last"]


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": str(os.getpid())}, 1.5),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0.0),  # another process'
        ({"WATCHDOG_USEC": "often"}, 0.0),
    ],
)
def test_limit_of_the_watchdog(environ, seconds):
    """The limit counts if it is a number and meant for this process."""
    assert watchdog_seconds(environ) == seconds


def test_watchdog_is_fed_by_turns(manager, tmp_path):
    """One message for a look after a turn, none for a look without."""
    turn = 1.0
    watchdog = Watchdog(Notifier(str(tmp_path / "notify")), lambda: turn, 30)

    assert watchdog.look()
    assert manager.take() == ["WATCHDOG=1"]
    assert not watchdog.look()
    assert manager.is_quiet()
    turn = 2.0
    assert watchdog.look()
    assert manager.take() == ["WATCHDOG=1"]


def test_watchdog_looks_by_itself(manager, tmp_path):
    """Its thread looks several times within the limit; a stuck drain ends the feeding.

    This thread, which does something else all the time, does not matter.
    """
    turns = iter([1.0, 2.0, 3.0])
    last = 0.0
    is_stuck = threading.Event()

    def last_turn():
        nonlocal last
        last = next(turns, last)
        if last == 3.0:
            is_stuck.set()
        return last

    with (
        structlog.testing.capture_logs() as logs,
        Watchdog(Notifier(str(tmp_path / "notify")), last_turn, 0.2),
    ):
        assert is_stuck.wait(5)
        while not logs:  # of a look that found the drain where it was
            time.sleep(0.01)

    fed = [manager.take() for _ in range(3)]
    assert fed == [["WATCHDOG=1"]] * 3
    assert manager.is_quiet()


def test_no_watchdog():
    """Without a limit there is no thread."""
    before = threading.active_count()
    with Watchdog(Notifier(""), lambda: 1.0, 0):
        assert threading.active_count() == before
