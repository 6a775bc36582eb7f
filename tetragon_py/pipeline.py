# SPDX-License-Identifier: Apache-2.0
"""One record through decode, enrich and encode to its outputs.

Comes in: batches of records of one lane. Goes out: one write per batch and output. A
record that a stage cannot deal with costs that record only, and is counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tetragon_py.abi import _generated as c
from tetragon_py.decode.hook import decode_hook
from tetragon_py.decode.process import decode_exec, decode_exit, decode_fork
from tetragon_py.encode.arguments import SHOWN_ARGUMENTS_BYTES
from tetragon_py.events.hook import HookNames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tetragon_py.enrich.process_cache import ProcessCache
    from tetragon_py.events.agent import (
        HeartbeatEvent,
        LossEvent,
        PolicyChangeEvent,
    )
    from tetragon_py.events.hook import HookEvent
    from tetragon_py.events.process import ExecEvent, ExitEvent, Process, ProcessKey
    from tetragon_py.events.repeat import RepeatEvent
    from tetragon_py.export.line_sink import LineSink

__all__ = ["Encoder", "Output", "Pipeline"]


class Encoder(Protocol):
    """Event -> one line that ends with a newline."""

    def exec_line(self, process: Process) -> bytes:
        """A process runs a new image."""

    def exit_line(self, process: Process, event: ExitEvent) -> bytes:
        """A process has ended."""

    def hook_lines(
        self, process: Process, event: HookEvent, names: HookNames, /
    ) -> list[bytes]:
        """Policies wanted a hit: one line for each of them."""

    def repeat_line(
        self, process: Process, event: RepeatEvent, names: HookNames, /
    ) -> bytes:
        """Hits were counted and not told one by one."""

    def loss_line(self, event: LossEvent) -> bytes:
        """Records were lost."""

    def policy_change_line(self, event: PolicyChangeEvent) -> bytes:
        """The policy set was loaded, or refused."""

    def heartbeat_line(self, event: HeartbeatEvent) -> bytes:
        """How the agent does."""


@dataclass(slots=True)
class Output:
    """An encoder with the sink that its lines go to."""

    encoder: Encoder
    sink: LineSink
    lines: list[bytes] = field(default_factory=list)

    def flush(self, *, spare: bool = False, keep: bool = False) -> None:
        """One write for all lines since the last time."""
        if self.lines:
            data = b"".join(self.lines)
            self.sink.write(data, len(self.lines), spare=spare, keep=keep)
            self.lines.clear()


def _let_go(process: Process) -> None:
    """Forget what only the exec's own line shows: memory must not follow argv."""
    event = process.exec
    arguments = event.arguments
    is_cut = len(arguments) > SHOWN_ARGUMENTS_BYTES
    process.exec = event._replace(
        flags=event.flags | c.EXEC_ARGUMENTS_CUT if is_cut else event.flags,
        arguments=arguments[:SHOWN_ARGUMENTS_BYTES],
        environment=b"",
    )
    process.fragment = process.parent_fragment = b""


class Pipeline:
    """The data path behind the ring buffers. For one thread.

    Args:
        cache: Knows the processes.
        outputs: At least one.
        on_error: Told of each record that failed, with the exception.
        names: What the numbers of hooks and policies stand for; whoever loads policies
            fills it.
    """

    def __init__(
        self,
        cache: ProcessCache,
        outputs: list[Output],
        on_error: Callable[[Exception], None],
        names: HookNames | None = None,
    ) -> None:
        self.cache = cache
        self.names = HookNames() if names is None else names
        self.outputs = outputs
        self.event_counts = [0] * c.EVENT_TYPE_COUNT
        self.failed_count = 0
        self._on_error = on_error
        # looked up once: each record goes through them
        self._lines = [
            (output.lines.append, output.encoder.exec_line, output.encoder.exit_line)
            for output in outputs
        ]
        self._hook_lines = [
            (output.lines.extend, output.encoder.hook_lines) for output in outputs
        ]
        # whose the hit before was: hits of one batch are often of one process
        self._last_key: ProcessKey | None = None
        self._last_process: Process | None = None
        self._handlers: list[Callable[[bytes, int], None]] = [
            self._malformed,
            self._fork,
            self._exec,
            self._exit,
            self._hook,
        ]

    def run(self, data: memoryview, index: memoryview, lane: int) -> None:
        """Deal with one batch; its lines are with the sinks afterwards.

        Args:
            data: The records.
            index: Offset and type of each, see libbpf.ringbuf.Batch.
            lane: Which ring they come from.
        """
        self._last_key = None
        handlers = self._handlers
        counts = self.event_counts
        numbers = index.cast("I").tolist()
        offsets, kinds = numbers[::2], numbers[1::2]
        for kind in range(len(counts)):
            counts[kind] += kinds.count(kind)
        records = bytes(data)  # its slices cost a third of a memoryview's
        for offset, kind in zip(offsets, kinds, strict=True):
            try:
                handlers[kind](records, offset)
            except Exception as error:  # noqa: BLE001 - one bad record must not stop the agent
                if kind < len(counts):
                    counts[kind] -= 1
                self.failed_count += 1
                self._on_error(error)
        self.flush(spare=lane == c.LANE_POLICY)

    def seed(self, images: Iterable[ExecEvent]) -> int:
        """Enter and tell the processes that lived before the agent; how many."""
        processes = self.cache.seed(images)
        for process in processes:
            for output in self.outputs:
                output.lines.append(output.encoder.exec_line(process))
            _let_go(process)
        self.flush()
        return len(processes)

    def tell_loss(self, event: LossEvent) -> None:
        """Write a loss event at once; it is the last to be dropped."""
        self._tell(lambda encoder: encoder.loss_line(event))

    def tell_policy_change(self, event: PolicyChangeEvent) -> None:
        """Write what became of the policy set, the same way."""
        self._tell(lambda encoder: encoder.policy_change_line(event))

    def tell_heartbeat(self, event: HeartbeatEvent) -> None:
        """Write how the agent does, the same way."""
        self._tell(lambda encoder: encoder.heartbeat_line(event))

    def tell_repeats(self, events: Iterable[tuple[Process, RepeatEvent]]) -> None:
        """Write what was counted of each process, at once."""
        for process, event in events:
            for output in self.outputs:
                line = output.encoder.repeat_line(process, event, self.names)
                output.lines.append(line)
        self.flush()

    def flush(self, *, spare: bool = False) -> None:
        """Hand all lines to the sinks."""
        for output in self.outputs:
            output.flush(spare=spare)

    def _tell(self, line: Callable[[Encoder], bytes]) -> None:
        self.flush()
        for output in self.outputs:
            output.lines.append(line(output.encoder))
            output.flush(keep=True)

    def _fork(self, data: bytes, offset: int) -> None:
        self.cache.fork(decode_fork(data, offset))

    def _exec(self, data: bytes, offset: int) -> None:
        event = decode_exec(data, offset)
        process = self.cache.exec(event)
        for append, exec_line, _ in self._lines:
            append(exec_line(process))
        if len(event.arguments) > SHOWN_ARGUMENTS_BYTES or event.environment:
            _let_go(process)

    def _exit(self, data: bytes, offset: int) -> None:
        event = decode_exit(data, offset)
        process = self.cache.exit(event)
        for append, _, exit_line in self._lines:
            append(exit_line(process, event))

    def _hook(self, data: bytes, offset: int) -> None:
        event = decode_hook(data, offset)
        key = event.process
        process = self._last_process
        if process is None or key != self._last_key:
            process = self.cache.process_of(key)
            self._last_key, self._last_process = key, process
        for extend, hook_lines in self._hook_lines:
            extend(hook_lines(process, event, self.names))

    def _malformed(self, data: bytes, offset: int) -> None:
        raise ValueError(f"record at {offset} has no type")
