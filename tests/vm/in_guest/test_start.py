# SPDX-License-Identifier: Apache-2.0
"""How long the agent takes until it tells of processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time


def test_start(kernel, record_property, tmp_path):
    """From the exec of the command to "agent runs": within the kernel's limit."""
    log = tmp_path / "agent.log"
    started = time.monotonic()
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-m", "tetragon_py", "run", "--output", "json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
        ) as agent,
    ):
        while "agent runs" not in log.read_text():
            assert agent.poll() is None, log.read_text()
            assert time.monotonic() - started < 10 * kernel.start_seconds_max
            time.sleep(0.02)
        seconds = time.monotonic() - started
        agent.send_signal(signal.SIGTERM)
        status = agent.wait(10 * kernel.start_seconds_max)
    record_property("start_seconds", seconds)

    assert status == os.EX_OK
    assert seconds <= kernel.start_seconds_max, f"start on {kernel.name}: {seconds} s"
