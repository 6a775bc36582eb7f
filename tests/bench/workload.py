# SPDX-License-Identifier: Apache-2.0
"""The exec storm, system calls, and processes that only have to be there."""

from __future__ import annotations

import contextlib
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.programs import Programs

__all__ = ["Storm", "at_least_processes", "run_calls", "run_storm"]


class Storm(NamedTuple):
    """What one run of load.c says of itself: each is a process or a call."""

    pid: int
    cpu_us_each: float
    wall_us_each: float


def run_storm(programs: Programs, count: int, rate: float = 0) -> Storm:
    """Run `count` processes, `rate` per second or as fast as it goes."""
    return _run(programs, ["exec", str(programs.leaf)], count, rate)


def run_calls(programs: Programs, call: str, count: int, rate: float = 0) -> Storm:
    """The same with a system call: "seek", "getppid" or "open PATH"."""
    return _run(programs, call.split(), count, rate)


def _run(programs: Programs, what: list[str], count: int, rate: float) -> Storm:
    command = [str(programs.load), *what, str(count), str(rate)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.read())
    if told["failures"]:
        raise RuntimeError(f"{told['failures']} of {count} times {what[0]} went wrong")
    return Storm(process.pid, told["cpu_us_each"], told["wall_us_each"])


@contextlib.contextmanager
def at_least_processes(programs: Programs, count: int) -> Iterator[int]:
    """Fill /proc up to `count` processes; gives how many there are."""
    present = _processes()
    command = [str(programs.load), "idle", str(max(count - present - 1, 0))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield _processes()
        process.communicate()


def _processes() -> int:
    return sum(entry.name.isdigit() for entry in Path("/proc").iterdir())
