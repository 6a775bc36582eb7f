# SPDX-License-Identifier: Apache-2.0
"""The agent as a child process, with its settings' defaults and an export file.

Says when its first event was there, what CPU time and memory it uses, when it has read
everything that happened so far, and what it counted in the end.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.bench.programs import OUTPUT
from tetragon_py.settings import VARIABLE_PREFIX, Settings

if TYPE_CHECKING:
    from tests.bench.programs import Programs

__all__ = ["RING_BYTES", "Agent"]

_DEFAULTS = Settings.model_validate({})
#: The lanes' default sizes, in the order of the lanes.
RING_BYTES = (
    _DEFAULTS.lifecycle_ring_size,
    _DEFAULTS.verdict_ring_size,
    _DEFAULTS.policy_ring_size,
)
_PATIENCE_SECONDS = 60.0
_POLL_SECONDS = 0.001
#: The end of the event file that is searched for the last process.
_TAIL_BYTES = 1 << 20
#: The first lines of the event file: its start record, and a first event.
_HEAD_BYTES = 4096
_TOTALS = ("fork", "exec", "exit", "hook", "lost")


class Agent:
    """One run. A context manager.

    At the end it is killed if it was not stopped, and its event file removed.

    Args:
        name: Of its files.
        policies: A file or directory.
        options: More of the command line.
    """

    def __init__(self, name: str, policies: Path | None = None, *options: str) -> None:
        self.events = OUTPUT / f"{name}.jsonl"
        self._log = OUTPUT / f"{name}.log"
        self.events.unlink(missing_ok=True)
        environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(VARIABLE_PREFIX)
        }
        command = [str(Path(sys.executable).parent / "tetragon-py"), "run"]
        command += ["--export-filename", str(self.events), "--log-format", "json"]
        command += ["--export-file-max-size-mb", "0"]
        self.runtime = OUTPUT / f"{name}.run"
        command += ["--runtime-dir", str(self.runtime), *options]
        if policies is not None:
            command += ["--tracing-policy", str(policies)]
        started = time.monotonic()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stderr=log, env=environment)
        self.pid = self._process.pid
        try:
            self._wait_for(self._has_event, "first event")
            self.first_event_seconds = time.monotonic() - started
            self._wait_for(self._runs, "log line of its start")
            self.ready_seconds = time.monotonic() - started
        except BaseException:
            self.kill()
            self.events.unlink(missing_ok=True)
            raise

    def cpu_us(self) -> float:
        """User and system time of all threads so far."""
        # CPUCLOCK_SCHED of another process, see clock_getcpuclockid(3)
        return time.clock_gettime_ns((~self.pid << 3) | 2) / 1e3

    def write_count(self) -> int:
        """Write calls so far: one per batch of events, few others."""
        text = Path(f"/proc/{self.pid}/io").read_text()
        found = re.search(r"^syscw: (\d+)", text, re.MULTILINE)
        return int(found[1]) if found else 0

    def rss_mb(self) -> float:
        """Resident memory (10^6 bytes) without the mappings of the ring buffers."""
        total, is_ring = 0, False
        for line in Path(f"/proc/{self.pid}/smaps").read_text().splitlines():
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                is_ring = "anon_inode:bpf-map" in line
            elif line.startswith("Rss:") and not is_ring:
                total += int(line.split()[1])
        return total * 1024 / 1e6

    def wait_until_read(self, programs: Programs) -> None:
        """Return when it has told everything that happened before this call.

        Records come in order, so the exit of a process that is started here comes
        after them; several are tried, for the first ones can be lost.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        marks: list[bytes] = []
        while time.monotonic() < deadline:
            with subprocess.Popen([str(programs.leaf), "mark"]) as process:
                marks.append(b',"pid":%d,' % process.pid)
            for _ in range(20):
                time.sleep(0.02)
                lines = self._tail().splitlines()
                exits = b"".join(x for x in lines if x.startswith(b'{"process_exit"'))
                if any(mark in exits for mark in marks):
                    return
        raise RuntimeError("the agent does not tell what happened")

    def stop(self) -> dict[str, int]:
        """End it; what it counted: fork, exec, exit, hook, lost."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(_PATIENCE_SECONDS)
        told = self._log_line("agent ends")
        if told is None:
            raise RuntimeError(f"the agent failed: {self._log_tail()}")
        return {name: int(told[name]) for name in _TOTALS}

    def kill(self) -> None:
        """Whatever it is doing; the event file stays."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.kill()
        self.events.unlink(missing_ok=True)

    def _has_event(self) -> bool:
        if not self.events.exists():
            return False
        with self.events.open("rb") as file:
            return b'{"process_exec"' in file.read(_HEAD_BYTES)

    def _runs(self) -> bool:
        return self._log_line("agent runs") is not None

    def _log_line(self, event: str) -> dict[str, str] | None:
        for line in self._log.read_text().splitlines():
            if line.startswith("{") and line.endswith("}"):
                entry: dict[str, str] = json.loads(line)
                if entry.get("event") == event:
                    return entry
        return None

    def _log_tail(self) -> str:
        return self._log.read_text()[-500:].strip()

    def _tail(self) -> bytes:
        try:
            with self.events.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
                return file.read()
        except FileNotFoundError:  # it has just been renamed
            return b""

    def _wait_for(self, condition, what: str) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not condition():
            if self._process.poll() is not None:
                raise RuntimeError(f"the agent failed: {self._log_tail()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"no {what} of the agent: {self._log_tail()}")
            time.sleep(_POLL_SECONDS)
