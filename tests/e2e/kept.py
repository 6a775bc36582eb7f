# SPDX-License-Identifier: Apache-2.0
"""An agent whose sensors outlive it, and attempts on its policy."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from tests.e2e.agent import Agent

if TYPE_CHECKING:
    from tests.e2e.events import Event

__all__ = ["Attempts", "KeptAgent"]

BPFFS = Path("/sys/fs/bpf")


class KeptAgent(Agent):
    """`tetragon-py run --keep-sensors-on-exit`; `clear` removes what it has left."""

    def __init__(self, folder: Path, *options: str, keeps: bool = True) -> None:
        self.name = f"tetragon-py-test-{os.getpid()}"
        keep = ["--keep-sensors-on-exit"] if keeps else []
        super().__init__(folder, *keep, "--bpf-dir", self.name, *options)
        self.pins = BPFFS / self.name
        self.state = self.runtime / self.name

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)  # type: ignore[arg-type]  # as they came
        self.clear()

    def again(self) -> None:
        """Start once more, and wait until it runs."""
        self.start()
        self.wait_until_runs()

    def pretend(self, **changes: Any) -> None:
        """Have the state be written by an agent that differs in these."""
        [path] = self.state.glob("*/state")
        line, _, rest = path.read_bytes().partition(b"\n")
        path.write_bytes(orjson.dumps(orjson.loads(line) | changes) + b"\n" + rest)

    def parse(self, line: bytes) -> Event | None:
        """A line that a kill has cut is no event."""
        try:
            return super().parse(line)
        except orjson.JSONDecodeError:
            assert not line.endswith(b"}")
            return None

    def clear(self) -> None:
        """Remove pins and state."""
        for folder, _, files in os.walk(self.pins, topdown=False):
            for file in files:
                (Path(folder) / file).unlink()
            Path(folder).rmdir()
        shutil.rmtree(self.state, ignore_errors=True)


class Attempts:
    """Fresh processes, one for each try, that the policy is to stop.

    Args:
        command: Of a try.
        success: The exit status of one that gets through.
    """

    def __init__(self, command: list[str], success: int = 0) -> None:
        self._command = command
        self._success = success
        self.pids: list[int] = []
        self.through = 0

    def make(self, count: int = 1) -> None:
        """Try."""
        for _ in range(count):
            with subprocess.Popen(
                self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            ) as process:
                self.through += process.wait() == self._success
            self.pids.append(process.pid)
