# SPDX-License-Identifier: Apache-2.0
"""A world that an earlier agent has left and this one does not go on with.

It stays in force until the policies of this agent are. Both tell what processes do
meanwhile: what this agent has of that is dropped, and the old ring is read up to there.
Of policies each tells what it was in force for, up to the switch. An event of that very
moment (`_MARGIN_NS`) can be told twice, none is lost. If the old records cannot be read
they are counted as lost.
"""

from __future__ import annotations

import contextlib
from struct import Struct
from typing import TYPE_CHECKING

import structlog

from tetragon_py.abi import _generated as c
from tetragon_py.daemon.clock import boottime_ns
from tetragon_py.daemon.journal import read_journal
from tetragon_py.errors import TetragonError
from tetragon_py.events.agent import LossEvent
from tetragon_py.events.hook import HookNames
from tetragon_py.libbpf import RingBuffer
from tetragon_py.libbpf.programs import wait_for_programs
from tetragon_py.loader.shared import LANE_MAPS

if TYPE_CHECKING:
    from tetragon_py.daemon.saved_state import Header, SavedState
    from tetragon_py.enrich.process_cache import ProcessCache
    from tetragon_py.libbpf.ringbuf import Batch
    from tetragon_py.loader.lifecycle import LifecycleSensor
    from tetragon_py.loader.pins import Pins
    from tetragon_py.pipeline import Pipeline

__all__ = ["Leftover"]

log = structlog.get_logger("leftover")
#: Between the number of a record in one world and in the other.
_MARGIN_NS = 100_000
_HEADER = Struct(c.EVENT_HEADER_FORMAT)
_INDEX = Struct("=II")  # of libbpf.ringbuf.Batch: offset and type
_LANES = ("lifecycle", "verdict", "policy")
_IDENTITY_BYTES = 40  # of struct process_entry: start, parent, execs, flags
_CLASSES_BYTES = 2 * c.PROCESS_CLASS_SIZE  # numbers of a policy set
_REST_BYTES = c.PROCESS_ENTRY_SIZE - _IDENTITY_BYTES - _CLASSES_BYTES
_ENTRY = Struct(f"<{_IDENTITY_BYTES}s{_CLASSES_BYTES}x{_REST_BYTES}s")


class Leftover:
    """One such world. For one thread.

    Args:
        pins: What is pinned.
        state: What was written down, if anything.
        header: Of this agent: what an agent with the same ABI has left can be read.
    """

    def __init__(self, pins: Pins, state: SavedState, header: Header) -> None:
        self._pins = pins
        self._state = state
        found = state.read_header()
        #: An agent that ran, and not only began to.
        self._was_complete = found is not None
        self._is_readable = found is not None and found.abi == header.abi
        self._version = found.version if found else "unknown"
        self._undo = contextlib.ExitStack()
        self._rings: tuple[RingBuffer, ...] = ()
        self._marks: list[int] = []
        self._copied: dict[bytes, bytes] = {}
        with contextlib.suppress(TetragonError):
            self._rings = tuple(
                self._undo.enter_context(
                    RingBuffer(self._undo.enter_context(pins.open_map(name)))
                )
                for name in LANE_MAPS
            )

    def copy_processes(self, sensor: LifecycleSensor, cache: ProcessCache) -> None:
        """Have this agent know the processes that the old one knew."""
        if not self._is_readable or not self._rings:
            return
        committed = self._rings[0].committed
        if not read_journal(self._state.journal_path, cache, committed):
            self._is_readable = False
            return
        table = sensor.shared.maps["processes"]
        for key, entry in self._processes().items():
            table.update(key, entry)
            self._copied[key] = entry

    def attached(self, sensor: LifecycleSensor) -> None:
        """From now on this agent's programs run too: correct what changed meanwhile."""
        wait_for_programs()
        self._marks = [ring.produced for ring in self._rings]
        if not self._copied:
            return
        table = sensor.shared.maps["processes"]
        now = self._processes()
        for key, entry in now.items():
            if _start(table.lookup(key)) < _start(entry):
                table.update(key, entry)
        for key in self._copied.keys() - now.keys():
            if _start(table.lookup(key)) == _start(self._copied[key]):
                table.delete(key)

    def take_over(
        self, sensor: LifecycleSensor, pipeline: Pipeline, switched_ns: int
    ) -> None:
        """This agent's policies are in force: read what the old one left, remove it.

        Args:
            sensor: Of this agent.
            pipeline: Gets the records.
            switched_ns: Since when its policies are in force; 0 if there are none.
        """
        until = self._drop_new(sensor) if self._copied else boottime_ns()
        # Where the new hook denies, the kernel does not ask the old one.
        untils = [until, *[switched_ns or until] * 2]
        self._marks[1:] = [ring.produced for ring in self._rings[1:]]
        self._pins.detach()
        wait_for_programs()
        counts = {"read": 0, "lost": 0}
        if self._rings and self._copied:
            counts["read"] = self._read(pipeline, untils)
        elif self._rings and self._was_complete:
            counts["lost"] = self._count(pipeline)
        self.close()
        self._pins.remove()
        self._state.remove()
        log.info(
            "took over from an earlier agent",
            world=self._pins.number,
            version=self._version,
            **counts,
        )

    def close(self) -> None:
        """Let go of it; twice does nothing."""
        self._undo.close()

    def _processes(self) -> dict[bytes, bytes]:
        with self._pins.open_map("processes") as table:
            return {
                key: _ENTRY.pack(*_ENTRY.unpack(entry)) for key, entry in table.items()
            }

    @staticmethod
    def _drop_new(sensor: LifecycleSensor) -> int:
        """Drop the processes that the old world tells too; up to which time."""
        until, ring = boottime_ns(), sensor.rings[0]
        mark = ring.produced
        while (batch := ring.peek(mark)) is not None:
            ring.commit(batch.position)
        return until

    def _read(self, pipeline: Pipeline, untils: list[int]) -> int:
        """Read all records of each lane up to a time; how many."""
        found = self._state.read()
        names, own = HookNames(), pipeline.names
        if found is not None and found["names"] is not None:
            names.restore(found["names"])
        pipeline.names, count = names, 0
        try:
            for lane, (ring, until) in enumerate(zip(self._rings, untils, strict=True)):
                while (batch := ring.peek()) is not None:
                    index = _up_to(batch, until + _MARGIN_NS)
                    pipeline.run(batch.data, memoryview(index), lane)
                    count += len(index) // _INDEX.size
                    ring.commit(batch.position)
        finally:
            pipeline.names = own
        return count

    def _count(self, pipeline: Pipeline) -> int:
        """Tell how many records there are that nobody can read."""
        now, total = boottime_ns(), 0
        for lane, (ring, mark) in enumerate(zip(self._rings, self._marks, strict=True)):
            count = 0
            while (batch := ring.peek(mark)) is not None:
                count += batch.count + batch.damaged
            if count:
                total += count
                event = LossEvent(
                    _LANES[lane], "other_version", {"record": count}, now, now
                )
                pipeline.tell_loss(event)
        return total


def _start(entry: bytes | None) -> int:
    return int.from_bytes(entry[:8], "little") if entry else 0


def _up_to(batch: Batch, until_ns: int) -> bytes:
    numbers = batch.index.cast("I").tolist()
    return b"".join(
        _INDEX.pack(offset, kind)
        for offset, kind in zip(numbers[::2], numbers[1::2], strict=True)
        if _HEADER.unpack_from(batch.data, offset)[5] <= until_ns
    )
