# SPDX-License-Identifier: Apache-2.0
"""The C floor as a child process, with the agent's own sizes and pauses."""

from __future__ import annotations

import json
import signal
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from tests.bench.agent import RING_BYTES
from tests.bench.programs import OUTPUT
from tetragon_py.abi._generated import EVENT_EXEC_SIZE
from tetragon_py.daemon.drain import _GATHER_SECONDS, _HURRY_SHARE
from tetragon_py.libbpf.ringbuf import BUFFER_BYTES, INDEX_RECORDS
from tetragon_py.loader.lifecycle import _PATHS_BYTES
from tetragon_py.settings import Settings

if TYPE_CHECKING:
    from tests.bench.programs import Programs

__all__ = ["Floor", "FloorResult"]


class FloorResult(NamedTuple):
    """What the floor says of itself."""

    records: int
    lines: int
    batches: int
    cpu_us: float


class Floor:
    """One run. A context manager: killed at the end if it was not stopped."""

    def __init__(self, programs: Programs, line_bytes: int) -> None:
        self._output = OUTPUT / "floor.jsonl"
        self._output.unlink(missing_ok=True)
        objects = Path(str(files("tetragon_py.loader"))) / "objects"
        defaults = Settings.model_validate({})
        arguments = defaults.arguments_max_size
        options = {
            "process": objects / "process.bpf.o",
            "iter": objects / "iter.bpf.o",
            "output": self._output,
            "processes": defaults.process_table_entries,
            "arguments": arguments,
            "scratch": EVENT_EXEC_SIZE + _PATHS_BYTES + arguments,
            "line": line_bytes,
            "batch-records": INDEX_RECORDS,
            "batch-bytes": BUFFER_BYTES,
            "gather-us": round(_GATHER_SECONDS * 1e6),
            "hurry-share": _HURRY_SHARE,
        }
        command = [str(programs.floor), *(f"{k}={v}" for k, v in options.items())]
        command += [f"ring={size}" for size in RING_BYTES]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        if self._output_line() != b"ready\n":
            self.kill()
            raise RuntimeError("the floor did not start")

    def stop(self) -> FloorResult:
        """Let it read what is left, and end it."""
        self._process.send_signal(signal.SIGTERM)
        told = json.loads(self._output_line())
        self._process.wait()
        return FloorResult(
            told["records"], told["lines"], told["batches"], told["cpu_us"]
        )

    def kill(self) -> None:
        """Whatever it is doing."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.kill()
        self._output.unlink(missing_ok=True)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _output_line(self) -> bytes:
        assert self._process.stdout is not None
        line: bytes = self._process.stdout.readline()
        return line
