# SPDX-License-Identifier: Apache-2.0
"""What the tests ask systemd and its journal, and the installed service's own files."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.e2e.agent import SLOWNESS, until

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "EXPORT",
    "POLICIES",
    "SERVICE",
    "SETTINGS",
    "analyze",
    "drop_in",
    "events",
    "journal",
    "restart",
    "state",
    "systemctl",
    "wait_for",
    "wait_for_event",
]

SERVICE = "tetragon-py.service"
SETTINGS = Path("/etc/tetragon-py/conf.d")
POLICIES = Path("/etc/tetragon-py/tetragon.tp.d")
EXPORT = Path("/var/log/tetragon-py/events.json")


def systemctl(*words: str) -> str:
    """Run it; it has to succeed."""
    done = subprocess.run(
        ["systemctl", *words], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, f"systemctl {words}: {done.stderr}"
    return done.stdout


def journal(unit: str, *options: str) -> str:
    """What the journal has of a unit."""
    command = ["journalctl", "--no-pager", "--output=cat", f"--unit={unit}", *options]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def wait_for(text: str, unit: str, count: int = 1) -> None:
    """Wait until the journal has a text so many times."""
    deadline = time.monotonic() + 15 * SLOWNESS
    while journal(unit).count(text) < count:
        assert time.monotonic() < deadline, f"no {text!r} in: {journal(unit)}"
        time.sleep(0.2)


def state(unit: str, *names: str) -> list[str]:
    """Values of a unit's properties."""
    options = [f"--property={name}" for name in names]
    shown = systemctl("show", *options, unit)
    found = dict(line.split("=", 1) for line in shown.splitlines())
    return [found[name] for name in names]


def analyze() -> tuple[float, str]:
    """The exposure of the service by `systemd-analyze security`, and its last line."""
    done = subprocess.run(
        ["systemd-analyze", "--no-pager", "security", SERVICE],
        check=True,
        capture_output=True,
        text=True,
    )
    line = done.stdout.strip().splitlines()[-1]
    return float(line.partition(": ")[2].split()[0]), line


def drop_in(name: str, text: str) -> None:
    """A drop-in for the service until the next boot."""
    path = Path(f"/run/systemd/system/{SERVICE}.d/{name}.conf")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    systemctl("daemon-reload")


def restart() -> None:
    """A fresh service, whatever it was before; it returns when that is ready."""
    systemctl("reset-failed", SERVICE)
    systemctl("restart", SERVICE)


def events() -> list[dict[str, Any]]:
    """All that it has exported."""
    data = EXPORT.read_bytes()
    return [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]


def wait_for_event(
    predicate: Callable[[dict[str, Any]], object], what: str = "event"
) -> dict[str, Any]:
    """The first event for which `predicate` holds."""
    return until(lambda: next(filter(predicate, events()), None), 5, what) or {}
