# SPDX-License-Identifier: Apache-2.0
"""The watchdog of the service: a stuck drain restarts it, nothing else does."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.agent import until
from tests.e2e.enforcement import write_policy
from tests.e2e.one_thread import drain_thread, is_dead, stopped
from tests.vm.in_systemd.units import (
    POLICIES,
    SERVICE,
    SETTINGS,
    drop_in,
    journal,
    restart,
    state,
    systemctl,
    wait_for,
)

#: Seconds, of the watchdog in these tests.
LIMIT = 10


@pytest.fixture(autouse=True)
def _short_limit():
    drop_in("watchdog", f"[Service]\nWatchdogSec={LIMIT}\n")
    yield
    for folder in (POLICIES, SETTINGS):
        for path in folder.iterdir():
            path.unlink()


def main_pid():
    return int(state(SERVICE, "MainPID")[0])


def restarts():
    return int(state(SERVICE, "NRestarts")[0])


def test_stuck_drain_restarts():
    """The drain alone stands still, while the control side answers: a restart."""
    restart()
    pid = main_pid()
    tid = until(lambda: drain_thread(pid), 10, "drain")
    since = time.monotonic()
    with stopped(tid):
        systemctl("reload", SERVICE)
        wait_for("policies are unchanged", SERVICE)
        assert main_pid() == pid
        until(lambda: is_dead(tid), 15, "end by the watchdog")
    seconds = time.monotonic() - since
    until(lambda: restarts() == 1, 10, "restart")
    until(lambda: state(SERVICE, "ActiveState") == ["active"], 20, "service")
    text = journal(SERVICE)
    manager = ["journalctl", "--no-pager", "--identifier=systemd"]
    said = subprocess.run(manager, check=True, capture_output=True, text=True).stdout
    print(f"restarted after {seconds:.1f} s")

    assert main_pid() != pid
    assert "reading of events stands still" in text
    assert f"{SERVICE}: Watchdog timeout" in said
    assert re.search(r'File ".*daemon/drain\.py", line \d+ in run', text)
    assert seconds >= LIMIT / 2


def write_policies(count):
    """So many, on four hooks."""
    for number in range(count):
        call = ("lseek", "getpriority", "setpriority", "fchmod")[number % 4]
        argument = {"index": 1, "type": "int"}
        wanted = {"index": 1, "operator": "Equal", "values": [str(10**6 + number)]}
        hook = {
            "call": f"sys_{call}",
            "syscall": True,
            "args": [argument],
            "selectors": [{"matchArgs": [wanted]}],
        }
        write_policy(POLICIES, f"p{number}", {"kprobes": [hook]})


def reload_seconds(count):
    """How long it takes to reload so many policies, all of them new."""
    for path in POLICIES.iterdir():
        path.unlink()
    write_policies(count)
    since = time.monotonic()
    systemctl("reload", SERVICE)
    until(lambda: f" {count} policies" in state(SERVICE, "StatusText")[0], 15, "reload")
    return time.monotonic() - since


@pytest.mark.timeout(900)
def test_long_reload_does_not():
    """A reload that takes longer than the limit leaves the service alone."""
    restart()
    pid = main_pid()
    count, seconds = 500, 0.0
    while seconds <= LIMIT:
        count, seconds = 2 * count, reload_seconds(count)
    print(f"a reload of {seconds:.1f} s, {LIMIT} s allowed")

    assert (main_pid(), restarts()) == (pid, 0)


def test_output_that_nobody_reads_does_not():
    """A FIFO without a reader does not stop the drain: nothing is restarted."""
    fifo = Path("/run/tetragon-py/events")
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        (SETTINGS / "export-filename").write_text(str(fifo))
        restart()
        pid = main_pid()
        until(lambda: _is_full(fifo), 30, "full FIFO")
        time.sleep(1.5 * LIMIT)

        assert (main_pid(), restarts()) == (pid, 0)
        os.kill(pid, signal.SIGHUP)
        wait_for("policies are unchanged", SERVICE)
    finally:
        os.close(reader)
        fifo.unlink()


def _is_full(fifo):
    """Make some events, and see whether there is room for one more byte."""
    for _ in range(20):
        subprocess.run(["/bin/true", "x" * 2000], check=True)
    writer = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    try:
        os.write(writer, b"\n" * 4096)
    except BlockingIOError:
        return True
    finally:
        os.close(writer)
    return False
