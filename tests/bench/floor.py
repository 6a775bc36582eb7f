# SPDX-License-Identifier: Apache-2.0
"""The C floor as a child process, with the agent's own sizes and pauses."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING, NamedTuple, Self

from tests.bench.programs import OUTPUT
from tetragon_py.daemon.drain import _GATHER_SECONDS, _HURRY_SHARE
from tetragon_py.libbpf.ringbuf import BUFFER_BYTES, INDEX_RECORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.programs import Programs
    from tetragon_py.libbpf import RingBuffer

__all__ = ["Floor", "FloorResult"]


class FloorResult(NamedTuple):
    """What the floor says of itself."""

    records: int
    lines: int
    batches: int
    cpu_us: float


class Floor:
    """One run. A context manager: killed at the end if it was not stopped.

    Args:
        programs: The C programs.
        line_bytes: Of each line that it writes.
        rings: One per lane; nobody else reads them meanwhile.
    """

    def __init__(
        self, programs: Programs, line_bytes: int, rings: Sequence[RingBuffer]
    ) -> None:
        self._output = OUTPUT / "floor.jsonl"
        self._output.unlink(missing_ok=True)
        options = {
            "output": self._output,
            "line": line_bytes,
            "batch-records": INDEX_RECORDS,
            "batch-bytes": BUFFER_BYTES,
            "gather-us": round(_GATHER_SECONDS * 1e6),
            "hurry-share": _HURRY_SHARE,
        }
        command = [str(programs.floor), *(f"{k}={v}" for k, v in options.items())]
        for ring in rings:
            command += [f"fd={ring.fd}", f"ring={ring.size_bytes}"]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, pass_fds=[ring.fd for ring in rings]
        )
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
