# SPDX-License-Identifier: Apache-2.0
"""Real units under a real systemd: start, reload, stop, and what the journal keeps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.agent import ROOT
from tests.vm.in_systemd.units import journal, state, systemctl, wait_for

UNITS = Path("/run/systemd/system")
#: A service as systemd wants it: tells when it is ready and while it reloads.
NOTIFYING = """\
import os, signal, socket, time

def tell(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.sendto(text.encode(), os.environ["NOTIFY_SOCKET"].replace("@", "\\0", 1))

def reload(*_):
    tell(f"RELOADING=1\\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
    print("has reloaded", flush=True)
    tell("READY=1")

signal.signal(signal.SIGHUP, reload)
signal.signal(signal.SIGTERM, lambda *_: exit(0))
print("is ready", flush=True)
tell("READY=1")
while True:
    signal.pause()
"""


@pytest.fixture
def install():
    """Install a unit; it is gone afterwards."""
    units = []

    def write(name, text):
        (UNITS / name).write_text(text)
        units.append(name)
        systemctl("daemon-reload")
        return name

    yield write
    for name in units:
        subprocess.run(["systemctl", "kill", "--signal=KILL", name], check=False)
        (UNITS / name).unlink()
    systemctl("daemon-reload")


def test_systemd_is_the_first_process():
    """Nothing pretends."""
    assert Path("/proc/1/comm").read_text() == "systemd\n"


def test_agent_as_a_service(install, tmp_path):
    """The agent starts, survives a reload, tells of processes, stops with success."""
    export = tmp_path / "events.jsonl"
    unit = install(
        "guest-agent.service",
        f"""\
[Service]
Type=exec
WorkingDirectory={ROOT}
Environment=TETRAGON_PY_RUNTIME_DIR={tmp_path}
ExecStart={sys.executable} -m tetragon_py run --export-filename {export}
ExecReload=/bin/kill -HUP $MAINPID
""",
    )
    systemctl("start", unit)
    wait_for("agent runs", unit)
    systemctl("reload", unit)
    assert state(unit, "ActiveState") == ["active"]

    subprocess.run(["/bin/true", "told-to-the-service"], check=True)
    systemctl("stop", unit)
    wait_for("agent ends", unit)

    assert state(unit, "ActiveState", "Result", "ExecMainStatus") == [
        *("inactive", "success", "0")
    ]
    assert "told-to-the-service" in export.read_text()


def test_reload(install, tmp_path):
    """Start waits for READY, reload is told to the service and ends, stop is clean."""
    script = tmp_path / "notifying.py"
    script.write_text(NOTIFYING)
    unit = install(
        "guest-notify.service",
        f"""\
[Service]
Type=notify
ExecStart=/usr/bin/python3 {script}
ExecReload=/bin/kill -HUP $MAINPID
""",
    )
    systemctl("start", unit)
    assert state(unit, "ActiveState", "SubState") == ["active", "running"]

    systemctl("reload", unit)
    wait_for("has reloaded", unit)
    assert state(unit, "ActiveState") == ["active"]

    systemctl("stop", unit)
    assert state(unit, "ActiveState", "Result") == ["inactive", "success"]
    assert journal(unit).index("is ready") < journal(unit).index("has reloaded")
