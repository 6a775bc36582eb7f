# SPDX-License-Identifier: Apache-2.0
"""Reloads of a thousand policy files by signal, while hits are told at a steady rate.

How late the latest event was told is the agent's own account: from the kernel's time of
the record to the end of its write. The same without reloads is what the machine does.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

from tests.bench.agent import Agent
from tests.bench.policy_files import seek_policy, spread, write_policies
from tests.bench.seek_file import read_seek_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.bench.limits import Values
    from tests.bench.programs import Programs

__all__ = ["measure_reloads"]

_POLICIES = 1_000
#: Files that change at once -> row.
_CHANGES = {"reload_none": 0, "reload_some": 100, "reload_all": _POLICIES}
_RATE = 2_000
_SECONDS = 12
_QUIET_SECONDS = 2.0
_BEAT_SECONDS = 0.25
_PATIENCE_SECONDS = 60.0


def measure_reloads(
    programs: Programs, values: Values, rounds: int, tell: Callable[[str], None]
) -> None:
    """Add the rows of reloads to `values`.

    Args:
        programs: The C programs.
        values: Name of a report row -> all values measured.
        rounds: How often each kind of change is made.
        tell: Gets a line of progress.
    """
    tell(f"reload {_POLICIES} files, {rounds} times each, {_RATE} hits a second")
    texts = [*spread(range(_POLICIES)), seek_policy("tracepoint")]
    folder = write_policies("reloads", texts)
    count = _RATE * _SECONDS * rounds
    command = [str(programs.load), "seek", str(count), str(_RATE)]
    options = ("--heartbeat-interval", str(_BEAT_SECONDS))
    with Agent("bench", folder, *options) as agent:
        with subprocess.Popen(command, stdout=subprocess.PIPE) as load:
            time.sleep(1)
            for turn in range(rounds):
                values["reload_quiet"].append(_latency_ms(agent, _quiet))
                for key, changed in _CHANGES.items():
                    _write(folder, f"{key}-{turn}", changed)
                    late = _latency_ms(agent, _reload)
                    values[f"{key}_late"].append(late)
                    values[key].append(_status(agent)["reloads"]["last"]["seconds"])
            load.communicate()
        agent.wait_until_read(programs)
        told = agent.stop()
        found = read_seek_file(agent.events, load.pid, count)
    values["reload_missing"].append(found.missing)
    values["reload_wrong"].append(found.wrong)
    values["reload_lost"].append(told["lost"] + found.lost)


def _write(folder: Path, word: str, count: int) -> None:
    files = sorted(folder.iterdir())
    for path, text in zip(files, spread(range(count)), strict=False):
        path.write_text(text.replace("/opt/", f"/opt/{word}/"))


def _quiet(_: Agent) -> None:
    time.sleep(_QUIET_SECONDS)


def _reload(agent: Agent) -> None:
    before = _status(agent)["reloads"]["good"]
    os.kill(agent.pid, signal.SIGHUP)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while _status(agent)["reloads"]["good"] == before:
        if time.monotonic() > deadline:
            raise RuntimeError("the agent does not reload")
        time.sleep(0.01)


def _latency_ms(agent: Agent, during: Callable[[Agent], None]) -> float:
    """The most that a heartbeat says of that time."""
    before = len(_beats(agent))
    during(agent)
    time.sleep(2 * _BEAT_SECONDS)
    beats = _beats(agent)[before:]
    return max(float(beat["drain"]["latency_max_ms"]) for beat in beats)


def _beats(agent: Agent) -> list[Any]:
    with agent.events.open("rb") as file:
        lines = [line for line in file if line.startswith(b'{"heartbeat"')]
    return [json.loads(line)["heartbeat"] for line in lines]


def _status(agent: Agent) -> Any:
    return json.loads((agent.runtime / "status.json").read_bytes())
