# SPDX-License-Identifier: Apache-2.0
"""Records that were read before, and lines of which may be in the export file already.

An agent that dies between writing lines and freeing their records leaves both: the next
one reads the records again and writes only the lines that are missing.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from tetragon_py.abi import _generated as c
from tetragon_py.export.written_lines import Origin

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from tetragon_py.enrich.process_cache import ProcessCache
    from tetragon_py.export.line_sink import LineSink
    from tetragon_py.pipeline import Output, Pipeline

__all__ = ["Replay"]

_HEADER = Struct(c.EVENT_HEADER_FORMAT)
_LANES = ("lifecycle", "verdict", "policy")
_INDEX = Struct("=II")  # of libbpf.ringbuf.Batch: offset and type


class _Filter:
    """Stands for a sink: lets the first lines of a record pass by."""

    def __init__(self, sink: LineSink) -> None:
        self.sink = sink
        self.skip = 0

    def write(
        self, data: bytes, line_count: int, *, spare: bool = False, keep: bool = False
    ) -> None:
        """As LineSink.write."""
        lines = data.splitlines(keepends=True)[min(self.skip, line_count) :]
        if lines:
            self.sink.write(b"".join(lines), len(lines), spare=spare, keep=keep)


class Replay:
    """A pipeline for the first drain of an agent that has adopted its rings.

    Args:
        pipeline: Gets what it lets pass.
        written: By output, in their order: how many lines of each record are there.
    """

    def __init__(self, pipeline: Pipeline, written: Sequence[Counter[Origin]]) -> None:
        self._pipeline = pipeline
        self._written = written
        self.skipped_count = 0

    @property
    def outputs(self) -> list[Output]:
        """Those of the pipeline."""
        return self._pipeline.outputs

    @property
    def cache(self) -> ProcessCache:
        """That of the pipeline."""
        return self._pipeline.cache

    @property
    def failed_count(self) -> int:
        """That of the pipeline."""
        return self._pipeline.failed_count

    @failed_count.setter
    def failed_count(self, count: int) -> None:
        self._pipeline.failed_count = count

    def run(self, data: memoryview, index: memoryview, lane: int) -> None:
        """As Pipeline.run."""
        offsets = index.cast("I").tolist()[::2]
        origins = [_origin(data, offset) for offset in offsets]
        if not any(
            written.keys() & set(origins) for written in self._written if written
        ):
            self._pipeline.run(data, index, lane)
            return
        filters = [_Filter(output.sink) for output in self.outputs]
        try:
            for output, one in zip(self.outputs, filters, strict=True):
                output.sink = one  # type: ignore[assignment]  # only `write` is called
            for offset, origin in zip(offsets, origins, strict=True):
                for one, written in zip(filters, self._written, strict=True):
                    one.skip = written.pop(origin, 0)
                    self.skipped_count += one.skip
                size, kind = _HEADER.unpack_from(data, offset)[:2]
                record = data[offset : offset + size]
                self._pipeline.run(record, memoryview(_INDEX.pack(0, kind)), lane)
        finally:
            for output, one in zip(self.outputs, filters, strict=True):
                output.sink = one.sink


def _origin(data: memoryview, offset: int) -> Origin:
    _, _, lane, cpu, sequence, _ = _HEADER.unpack_from(data, offset)
    return Origin(_LANES[lane] if lane < len(_LANES) else str(lane), cpu, sequence)
