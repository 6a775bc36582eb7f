# SPDX-License-Identifier: Apache-2.0
"""The agent as a subprocess, and its events as parsed JSON.

Everything waits with a deadline; TETRAGON_TEST_SLOWNESS multiplies all deadlines, for
guests without hardware virtualisation. The agent has the capabilities that the unit of
the service gives it, and no others.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import orjson

from tests.e2e.events import Run, exits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from tests.e2e.events import Event

__all__ = [
    "ROOT",
    "SLOWNESS",
    "Agent",
    "scaled",
    "until",
]

ROOT = Path(__file__).parents[2]
SLOWNESS = float(os.environ.get("TETRAGON_TEST_SLOWNESS", "1"))
#: Seconds between two looks at a condition.
_PAUSE = 0.01
_LOG_LINES = 25
_FILE_MAX_BYTES = 4 << 30
_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_CAPABILITIES_MAX = 64
_LIBC = ctypes.CDLL(None)

T = TypeVar("T")


def scaled(count: int, few: int) -> int:
    """How many processes: `few` where each takes long."""
    return count if SLOWNESS < 4 else few


def until(condition: Callable[[], T], seconds: float, what: str) -> T:
    """What `condition` returns as soon as it is true; fails after the deadline."""
    deadline = time.monotonic() + seconds * SLOWNESS
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"no {what} within {seconds * SLOWNESS:g} s")
        time.sleep(_PAUSE)
    return found


def _capabilities() -> frozenset[int]:
    """The numbers of those in the unit's CapabilityBoundingSet."""
    header = Path("/usr/include/linux/capability.h").read_text()
    pairs = re.findall(r"^#define (CAP_\w+)\s+(\d+)$", header, re.MULTILINE)
    numbers = {name: int(number) for name, number in pairs}
    unit = ROOT / "tetragon_py/service/tetragon-py.service"
    [words] = re.findall(
        r"^CapabilityBoundingSet=(.+)$", unit.read_text(), re.MULTILINE
    )
    return frozenset(numbers[word] for word in words.split())


_UNNEEDED = sorted(set(range(_CAPABILITIES_MAX)) - _capabilities())


def _limit() -> None:
    """In the agent's process: it ends with the tests and cannot fill the disk."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    with contextlib.suppress(ValueError):  # root who may not: its kernel is not so old
        resource.setrlimit(resource.RLIMIT_MEMLOCK, unlimited)  # as the unit does
    for number in _UNNEEDED:  # those that this kernel does not know fail
        _LIBC.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_MAX_BYTES, _FILE_MAX_BYTES))


class Agent:
    """`tetragon-py run` with an export file in `folder`; a context manager.

    Args:
        folder: For its files; must exist.
        options: Of the command line.
        stdout: Where its standard output goes; by default to a file.
        export: Where the events go; None for no file.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        stdout: int | None = None,
        export: Path | None = Path("events.jsonl"),
    ) -> None:
        self.export = folder / export if export else None
        self.log_path = folder / "agent.log"
        self.stdout_path = folder / "stdout"
        self._stdout = stdout
        self._events: list[Event] = []
        self._read_bytes = 0
        self._log_start = 0
        self._numbers = itertools.count()
        self._process: subprocess.Popen[bytes] | None = None
        self.runtime = folder / "run"
        self.command = [sys.executable, "-m", "tetragon_py", "run"]
        self.command += ["--export-file-max-size-mb=0", *options]  # all in one file
        self.command += ["--runtime-dir", str(self.runtime)]
        if self.export:
            self.command += ["--export-filename", str(self.export)]

    def __enter__(self) -> Self:
        self.start()
        self.wait_until_runs()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            error.add_note(self.log_tail())
        if self._process is not None and self._process.poll() is None:
            self.kill()
        if error is None and self.export is not None:
            self.export.unlink(missing_ok=True)  # it may be large

    @property
    def pid(self) -> int:
        """Of the agent."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start, without waiting for anything."""
        with self.log_path.open("ab") as log, self.stdout_path.open("ab") as out:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=out if self._stdout is None else self._stdout,
                stderr=log,
                cwd=ROOT,
                preexec_fn=_limit,  # noqa: PLW1509 - tests have one thread
            )

    def wait_until_runs(self) -> None:
        """Wait until processes are told from here on."""
        self.until(lambda: "agent runs" in self.log(), 30, "'agent runs' in the log")

    def until(self, condition: Callable[[], T], seconds: float, what: str) -> T:
        """The same as the function, but fails at once if the agent is gone."""

        def check() -> T:
            found = condition()
            assert self._process is not None
            if not found and self._process.poll() is not None:
                raise AssertionError(f"agent ended with {self._process.returncode}")
            return found

        try:
            return until(check, seconds, what)
        except AssertionError as error:
            error.add_note(self.log_tail())
            raise

    def log(self) -> str:
        """What the agent logged since its start."""
        return self.log_path.read_bytes()[self._log_start :].decode(errors="replace")

    def log_tail(self) -> str:
        """The end of that, for messages."""
        lines = self.log().splitlines()[-_LOG_LINES:]
        return "\n".join(["the agent's log ends:", *lines])

    def totals(self) -> dict[str, int]:
        """The counts that it logs at its end."""
        line = next(line for line in self.log().splitlines() if "agent ends" in line)
        pairs = (word.split("=") for word in line.split() if "=" in word)
        return {name: int(value) for name, value in pairs}

    def events(self) -> list[Event]:
        """All events so far: each line of the export file has to be JSON."""
        assert self.export is not None
        with self.export.open("rb") as file:
            file.seek(self._read_bytes)
            data = file.read()
        end = data.rfind(b"\n") + 1
        self._read_bytes += end
        parsed = map(self.parse, data[:end].splitlines())
        self._events += [event for event in parsed if event is not None]
        return self._events

    def parse(self, line: bytes) -> Event | None:
        """The event of a line; None for what is none."""
        event: Event = orjson.loads(line)
        return event

    def forget(self) -> None:
        """Let go of all events so far, in memory and on the disk."""
        assert self.export is not None
        os.truncate(self.export, 0)
        self._read_bytes = 0
        self._events = []

    def wait_for(
        self, predicate: Callable[[Event], bool], seconds: float = 20, since: int = 0
    ) -> Event:
        """The first event for which `predicate` holds."""
        at = since

        def look() -> Event | None:
            nonlocal at
            events = self.events()
            for index in range(at, len(events)):
                if predicate(events[index]):
                    return events[index]
            at = len(events)
            return None

        found = self.until(look, seconds, "such event")
        assert found is not None
        return found

    def settle(self, seconds: float = 60) -> list[Event]:
        """All events up to now: those of a last process have come, so others have."""
        mark = f"settle-{os.getpid()}-{next(self._numbers)}"
        at = len(self.events())
        next_try, pause = 0.0, 2.0 * SLOWNESS

        def look() -> bool:
            nonlocal at, next_try, pause
            if time.monotonic() >= next_try:  # again, for a full ring can lose one
                subprocess.run(["/bin/true", mark], check=True)
                next_try, pause = time.monotonic() + pause, pause * 2
            events = self.events()
            start, at = at, len(events)
            return bool(exits(events[start:], arguments=mark))

        self.until(look, seconds, "end of a last process")
        return self.events()

    def run(self, command: Sequence[str | bytes | Path], **options: Any) -> Run:
        """Run a command to its end, and return what it caused."""
        since = len(self.events())
        options = {"stdout": subprocess.PIPE, **options}
        with subprocess.Popen(command, **options) as process:
            output = process.communicate(timeout=60 * SLOWNESS)[0] or b""
        events = self.settle()[since:]
        return Run(process.pid, process.returncode, output, events)

    def signal(self, number: int, meanwhile: Callable[[], object] = bool) -> int:
        """Send a signal, wait for the end; the exit status as subprocess tells it.

        Args:
            number: Of the signal.
            meanwhile: Called again and again until the end: reads what is written.
        """
        process = self._process
        assert process is not None
        process.send_signal(number)
        until(lambda: meanwhile() is self or process.poll() is not None, 30, "end")
        return process.wait()

    def stop(self, meanwhile: Callable[[], object] = bool) -> int:
        """SIGTERM; the exit status."""
        return self.signal(signal.SIGTERM, meanwhile)

    def kill(self) -> int:
        """SIGKILL."""
        return self.signal(signal.SIGKILL)

    def wait(self, seconds: float = 30) -> int:
        """Wait for an end that comes by itself."""
        assert self._process is not None
        return self._process.wait(seconds * SLOWNESS)
