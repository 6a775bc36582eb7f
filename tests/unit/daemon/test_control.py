# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.daemon.control: whatever comes is one call, in this thread."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from tetragon_py.daemon.control import Control


@pytest.fixture
def control():
    with Control() as made:
        yield made


def test_signals_become_calls(control):
    """Many of one kind that come before the call are one; what was before is back."""
    calls = []
    before = signal.getsignal(signal.SIGHUP)
    handlers = {
        signal.SIGHUP: lambda: calls.append("hup"),
        signal.SIGTERM: control.stop,
    }
    with control.signals(handlers):
        for _ in range(1000):
            os.kill(os.getpid(), signal.SIGHUP)
        assert calls == []
        os.kill(os.getpid(), signal.SIGTERM)
        control.run()

    assert calls in (["hup"], [])  # the order of two signals is not kept
    assert signal.getsignal(signal.SIGHUP) is before


def test_a_signal_ends_a_wait(control):
    """Though there is nothing else to wait for."""
    with control.signals({signal.SIGHUP: control.stop}):
        timer = threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGHUP))
        timer.start()
        control.run()
        timer.join()


def test_a_signal_during_a_call_is_not_lost(control):
    """It is a call of its own, after that."""
    calls = []

    def call():
        calls.append(1)
        if len(calls) == 1:
            os.kill(os.getpid(), signal.SIGHUP)
        else:
            control.stop()

    with control.signals({signal.SIGHUP: call}):
        os.kill(os.getpid(), signal.SIGHUP)
        control.run()

    assert len(calls) == 2


def test_other_threads_post(control):
    """Their calls are made here, in their order, however many there are."""
    made = []

    def post():
        for number in range(10_000):
            control.post(lambda number=number: made.append(number))
        control.post(lambda: made.append(threading.current_thread().name))
        control.post(control.stop)

    thread = threading.Thread(target=post)
    thread.start()
    control.run()
    thread.join()

    assert made == [*range(10_000), "MainThread"]


def test_descriptors_and_times(control):
    """A descriptor calls while there is something to read, a time once or again."""
    reader, end = os.pipe()
    calls: list[bytes | str] = []

    def read():
        calls.append(os.read(reader, 1))
        if len(calls) == 2:
            control.forget(reader)

    control.watch(reader, read)
    control.every(0.001, lambda: calls.append("again"))
    control.after(0.05, control.stop)
    os.write(end, b"abc")
    since = time.monotonic()
    control.run()
    os.close(reader)
    os.close(end)

    assert calls[:2] == [b"a", b"b"]
    assert b"c" not in calls
    assert calls.count("again") > 2
    assert time.monotonic() - since >= 0.05


def test_stop_before_run(control):
    """A signal during the start is heeded."""
    control.stop()
    control.run()
