# SPDX-License-Identifier: Apache-2.0
"""Records that are read again: each line is written once."""

from __future__ import annotations

from collections import Counter
from struct import Struct
from types import SimpleNamespace
from typing import Any

import pytest

from tetragon_py.abi import _generated as c
from tetragon_py.daemon.replay import Replay
from tetragon_py.export.written_lines import Origin

HEADER = Struct(c.EVENT_HEADER_FORMAT)
INDEX = Struct("=II")


class Sink:
    """Keeps the lines."""

    def __init__(self):
        self.lines = []
        self.writes = 0

    def write(self, data, line_count, *, spare=False, keep=False):
        lines = data.splitlines()
        assert len(lines) == line_count
        self.lines += lines
        self.writes += 1


class Pipeline:
    """Each record makes as many lines as its type says."""

    def __init__(self, outputs):
        self.outputs = [SimpleNamespace(sink=Sink()) for _ in range(outputs)]
        self.cache = object()
        self.failed_count = 3
        self.runs = 0

    def run(self, data, index, lane):
        self.runs += 1
        numbers = index.cast("I").tolist()
        lines = []
        for offset, kind in zip(numbers[::2], numbers[1::2], strict=True):
            sequence = HEADER.unpack_from(data, offset)[4]
            lines += [b"%d.%d.%d\n" % (lane, sequence, i) for i in range(kind)]
        for output in self.outputs:
            if lines:
                output.sink.write(b"".join(lines), len(lines))


def replay_of(pipeline: Any, written: Any) -> Replay:
    return Replay(pipeline, written)


def batch(lane, *records):
    """Records of (number, lines)."""
    data = b"".join(
        HEADER.pack(HEADER.size, kind, lane, 1, sequence, 0)
        for sequence, kind in records
    )
    index = b"".join(
        INDEX.pack(HEADER.size * i, kind) for i, (_, kind) in enumerate(records)
    )
    return memoryview(data), memoryview(index), lane


def test_only_missing_lines_are_written():
    """Of a record that has some of its lines the others; of one with all, none."""
    pipeline = Pipeline(1)
    written = Counter({Origin("policy", 1, 5): 2, Origin("policy", 1, 6): 1})
    replay = replay_of(pipeline, [written])
    replay.run(*batch(c.LANE_POLICY, (5, 2), (6, 3), (7, 1), (8, 0)))
    [output] = pipeline.outputs

    assert output.sink.lines == [b"2.6.1", b"2.6.2", b"2.7.0"]
    assert replay.skipped_count == 3
    assert not written


def test_lanes_and_cpus_have_their_own_numbers():
    """The same number in another lane or on another CPU is another record."""
    pipeline = Pipeline(1)
    written = Counter({Origin("lifecycle", 1, 5): 1, Origin("policy", 0, 5): 1})
    replay_of(pipeline, [written]).run(*batch(c.LANE_POLICY, (5, 1)))

    assert pipeline.outputs[0].sink.lines == [b"2.5.0"]


def test_each_output_has_what_it_has():
    """One that nobody can ask gets all."""
    pipeline = Pipeline(2)
    written = [Counter({Origin("verdict", 1, 5): 1}), Counter()]
    replay_of(pipeline, written).run(*batch(c.LANE_VERDICT, (5, 1), (6, 1)))
    told = [output.sink.lines for output in pipeline.outputs]

    assert told == [[b"1.6.0"], [b"1.5.0", b"1.6.0"]]


@pytest.mark.parametrize("written", [Counter(), Counter({Origin("policy", 1, 99): 1})])
def test_nothing_to_skip(written):
    """Then the batch goes as a whole."""
    pipeline = Pipeline(1)
    replay_of(pipeline, [written]).run(*batch(c.LANE_POLICY, (5, 1), (6, 1)))

    assert (pipeline.runs, pipeline.outputs[0].sink.writes) == (1, 1)


def test_it_stands_for_the_pipeline():
    """The drain finds what it needs, and the sinks are themselves afterwards."""
    pipeline = Pipeline(1)
    sink = pipeline.outputs[0].sink
    replay = replay_of(pipeline, [Counter({Origin("policy", 1, 5): 1})])
    replay.run(*batch(c.LANE_POLICY, (5, 1)))
    replay.failed_count += 1

    assert pipeline.outputs[0].sink is sink
    assert replay.outputs is pipeline.outputs
    assert replay.cache is pipeline.cache
    assert pipeline.failed_count == replay.failed_count == 4
