# SPDX-License-Identifier: Apache-2.0
"""Batches in, lines out; a bad record costs itself only.

tests/golden/events holds one session: its records (hex, one per line) and the lines of
each encoder. TETRAGON_TEST_UPDATE=1 writes them again.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.records import (
    CHILD,
    HOST,
    exec_event,
    exec_record,
    exit_record,
    fork_record,
    hook_record,
    match_bytes,
    number,
    path_argument,
)
from tetragon_py.abi import _generated as c
from tetragon_py.abi.record import INDEX
from tetragon_py.encode.compact import CompactEncoder
from tetragon_py.encode.jsonl import JsonEncoder, JsonOptions
from tetragon_py.encode.timestamp import Timestamps
from tetragon_py.enrich.process_cache import ProcessCache
from tetragon_py.errors import DecodeError
from tetragon_py.events.agent import HeartbeatEvent, LossEvent, PolicyChangeEvent
from tetragon_py.events.hook import HookNames, HookTexts, Match, PolicyTexts
from tetragon_py.events.process import Credentials, ProcessKey
from tetragon_py.events.repeat import RepeatEvent
from tetragon_py.pipeline import Output, Pipeline

GOLDEN = Path(__file__).parent.parent / "golden" / "events"
KINDS = {
    "fork": (c.EVENT_FORK, fork_record()),
    "exec": (c.EVENT_EXEC, exec_record({"filename": b"/bin/true"})),
    "exit": (c.EVENT_EXIT, exit_record()),
    "hook": (c.EVENT_HOOK, hook_record([path_argument()], [match_bytes(5)])),
}


class Sink:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.writes: list[tuple[bytes, int, bool]] = []
        self.kept: list[bytes] = []

    def write(
        self, data: bytes, line_count: int, *, spare: bool = False, keep: bool = False
    ) -> None:
        self.writes.append((data, line_count, spare))
        if keep:
            self.kept.append(data)

    @property
    def lines(self) -> list[bytes]:
        return b"".join(data for data, _, _ in self.writes).splitlines(keepends=True)


class Words:
    """An encoder that says what it was asked for."""

    def exec_line(self, process):
        return b"exec %d\n" % process.key.tgid

    def exit_line(self, process, event):
        return b"exit %d\n" % process.key.tgid

    def hook_lines(self, process, event, names):
        return [b"hook %d\n" % process.key.tgid for _ in event.matches]

    def repeat_line(self, process, event, names):
        return b"repeat %d of %d\n" % (event.hits, process.key.tgid)

    def loss_line(self, event):
        return b"loss %d\n" % event.total

    def policy_change_line(self, event):
        return b"policy %d\n" % event.generation

    def heartbeat_line(self, event):
        return b"beat %d\n" % event.boottime_ns


class Bench:
    """A pipeline with two outputs, and what it told about errors."""

    def __init__(self, *encoders, names: HookNames | None = None) -> None:
        self.sinks = [Sink() for _ in encoders]
        self.errors: list[Exception] = []
        outputs = [
            Output(encoder, sink)  # type: ignore[arg-type] # a fake
            for encoder, sink in zip(encoders, self.sinks, strict=True)
        ]
        self.pipeline = Pipeline(
            ProcessCache("node"), outputs, self.errors.append, names
        )

    def run(self, *records: tuple[int, bytes], lane: int = c.LANE_LIFECYCLE) -> None:
        data, index = batch(*records)
        self.pipeline.run(memoryview(data), memoryview(index), lane)


def batch(*records: tuple[int, bytes]) -> tuple[bytes, bytes]:
    """Records and their index, as RingBuffer.peek gives them."""
    index, offset = b"", 0
    for kind, data in records:
        index += INDEX.pack(offset, kind)
        offset += len(data)
    return b"".join(data for _, data in records), index


def test_one_write_per_batch_and_output():
    """All lines of a batch reach each sink at once, in the order of the records."""
    bench = Bench(Words(), Words())
    bench.run(KINDS["fork"], KINDS["exec"], KINDS["exit"])

    assert bench.errors == []
    for sink in bench.sinks:
        assert sink.writes == [(b"exec 42\nexit 42\n", 2, False)]


def test_forks_alone_write_nothing():
    """A fork has no line, so there is no write."""
    bench = Bench(Words())
    bench.run(KINDS["fork"])

    assert bench.sinks[0].writes == []
    assert bench.pipeline.cache.find(CHILD) is not None


@pytest.mark.parametrize(
    ("lane", "spare"), [(c.LANE_LIFECYCLE, 0), (c.LANE_VERDICT, 0), (c.LANE_POLICY, 1)]
)
def test_what_policies_only_observe_may_be_spared(lane, spare):
    """Lines of the other lanes are kept longer."""
    bench = Bench(Words())
    bench.run(KINDS["exec"], lane=lane)

    assert bench.sinks[0].writes == [(b"exec 42\n", 1, bool(spare))]


def test_events_are_counted_by_type():
    """The totals that the agent tells at its end."""
    bench = Bench(Words())
    bench.run(KINDS["fork"], KINDS["exec"], KINDS["exec"], KINDS["exit"])

    assert bench.pipeline.event_counts == [0, 1, 2, 1, 0]
    assert bench.pipeline.failed_count == 0


@pytest.mark.parametrize("kind", [c.EVENT_NONE, c.EVENT_TYPE_COUNT, 255])
def test_unknown_type_is_counted_not_raised(kind):
    """A type that this version does not know costs that record only."""
    bench = Bench(Words())
    bench.run(KINDS["exec"], (kind, bytes(24)), KINDS["exit"])

    assert bench.sinks[0].lines == [b"exec 42\n", b"exit 42\n"]
    assert bench.pipeline.failed_count == 1
    assert bench.pipeline.event_counts == [0, 0, 1, 1, 0]
    assert len(bench.errors) == 1


@pytest.mark.parametrize("name", KINDS)
def test_malformed_record_costs_itself(name):
    """A record that is too short is told, its neighbours are not touched."""
    kind, data = KINDS[name]
    bench = Bench(Words())
    bench.run(KINDS["exec"], (kind, bytes(8) + data[8:]), KINDS["exit"])

    assert bench.sinks[0].lines == [b"exec 42\n", b"exit 42\n"]
    (error,) = bench.errors
    assert isinstance(error, DecodeError)
    assert bench.pipeline.failed_count == 1


def test_failing_encoder_costs_its_line():
    """A stage that fails for one event goes on with the next one."""

    class Picky(Words):
        def exec_line(self, process):
            raise KeyError(process.key)

    bench = Bench(Picky(), Words())
    bench.run(KINDS["exec"], KINDS["exit"])

    assert bench.sinks[0].lines == [b"exit 42\n"]
    assert bench.pipeline.failed_count == 1


@given(
    st.lists(
        st.tuples(
            st.integers(0, 6),
            st.binary(max_size=300)
            | st.sampled_from([data for _, data in KINDS.values()]),
        )
    )
)
def test_nothing_is_raised_out_of_the_pipeline(records):
    """Whatever the records are: each is an event or is counted as failed."""
    bench = Bench(Words())
    bench.run(*records)
    counts = bench.pipeline.event_counts

    assert sum(counts) + bench.pipeline.failed_count == len(records)
    assert len(bench.errors) == bench.pipeline.failed_count
    hooks = [line for line in bench.sinks[0].lines if line.startswith(b"hook")]
    others = len(bench.sinks[0].lines) - len(hooks)
    assert others == counts[c.EVENT_EXEC] + counts[c.EVENT_EXIT]
    assert len(hooks) >= counts[c.EVENT_HOOK]


def test_a_hit_is_one_line_per_policy():
    """Each output gets all lines of a hit, in the order of its policies."""
    bench = Bench(Words(), Words())
    matches = [match_bytes(5), match_bytes(6)]
    bench.run(KINDS["exec"], (c.EVENT_HOOK, hook_record([], matches)), KINDS["exit"])

    assert bench.pipeline.event_counts == [0, 0, 1, 1, 1]
    for sink in bench.sinks:
        assert sink.writes == [(b"exec 42\nhook 42\nhook 42\nexit 42\n", 4, False)]


def told_hits(*records, names=None, **changes):
    """The hit of `changes` as JSON, after the records, and the pipeline's cache."""
    bench = Bench(JsonEncoder("node", Timestamps(), HOST, JsonOptions()), names=names)
    arguments = [number(c.ARGUMENT_INT32, 3)]
    bench.run(*records, (c.EVENT_HOOK, hook_record(arguments, **changes)))
    assert bench.errors == []
    return json.loads(bench.sinks[0].lines[-1]), bench.pipeline.cache


def test_a_hit_has_its_process():
    """The process of the record's key, also if it has not called exec or is gone."""
    for records in (
        [KINDS["exec"]],
        [KINDS["exec"], KINDS["exit"]],
        [KINDS["fork"]],
    ):
        told, cache = told_hits(*records)
        process = told["process_kprobe"]["process"]

        assert (process["pid"], process["tid"]) == (42, 43)
        assert process["exec_id"] == cache.exec_id(CHILD).decode()
    told, _ = told_hits(process=ProcessKey(0, 0))
    assert told["process_kprobe"]["process"]["binary"] == "<kernel>"


@pytest.mark.parametrize(
    "key", [ProcessKey(0, 42), ProcessKey(4_999, 42), ProcessKey(5_000, 41)]
)
def test_a_hit_of_an_unknown_process(key):
    """Another process with the same number is not blamed."""
    told, cache = told_hits(KINDS["exec"], process=key)
    process = told["process_kprobe"]["process"]

    assert process["flags"] == "unknown"
    assert process["exec_id"] == cache.exec_id(key).decode()
    assert "binary" not in process
    assert cache.find(CHILD) is not None


def test_names_come_from_whoever_loads_policies():
    """The pipeline's registry, empty unless one is given, also if that is empty yet."""
    told, _ = told_hits()
    assert told["process_kprobe"]["function_name"] == "<unknown hook 9>"

    names = HookNames()
    bench = Bench(Words(), names=names)
    assert bench.pipeline.names is names
    names.add_hook(9, HookTexts("lsm", "file_open"))
    names.add_match(9, 5, PolicyTexts("files"))
    told, _ = told_hits(names=names)

    assert told["process_lsm"]["function_name"] == "file_open"
    assert told["process_lsm"]["policy_name"] == "files"


def test_events_outlive_their_batch():
    """The ring's buffer is used again for the next batch; what was told stays."""
    bench = Bench(Words())
    texts = {"filename": b"/bin/true", "arguments": b"true\0"}
    data, index = batch((c.EVENT_EXEC, exec_record(texts)))
    buffer = bytearray(data)
    bench.pipeline.run(memoryview(buffer), memoryview(index), c.LANE_LIFECYCLE)
    buffer[:] = bytes(len(buffer))
    process = bench.pipeline.cache.find(CHILD)

    assert process is not None
    assert process.exec.image.filename == b"/bin/true"
    assert process.exec.arguments == b"true\0"


def test_memory_does_not_follow_arguments():
    """What only the exec's own line shows is let go with it: argv may be 192 KiB."""
    bench = Bench(Words())
    texts = {"arguments": b"a" * 150_000 + b"\0", "environment": b"A=1\0"}
    data, index = batch((c.EVENT_EXEC, exec_record(texts)))
    bench.pipeline.run(memoryview(data), memoryview(index), c.LANE_LIFECYCLE)
    process = bench.pipeline.cache.find(CHILD)

    assert process is not None
    assert process.exec.arguments == b"a" * 4096
    assert process.exec.environment == b""
    assert process.exec.flags & c.EXEC_ARGUMENTS_CUT


def test_seed_tells_the_scan():
    """What lived before is told as exec events, parents first, the kernel too."""
    bench = Bench(Words())
    images = [
        exec_event(process=ProcessKey(20, 2), parent=ProcessKey(10, 1)),
        exec_event(process=ProcessKey(10, 1), parent=ProcessKey(0, 0)),
    ]

    assert bench.pipeline.seed(images) == 3
    assert bench.sinks[0].writes == [(b"exec 0\nexec 1\nexec 2\n", 3, False)]


def test_loss_is_told_at_once():
    """A loss does not wait for the next batch."""
    bench = Bench(Words(), Words())
    bench.pipeline.tell_loss(LossEvent("lifecycle", "sink", {"line": 3}, 0, 0))

    assert [b"loss 3\n"] == bench.sinks[0].lines == bench.sinks[1].lines
    assert [b"loss 3\n"] == bench.sinks[0].kept == bench.sinks[1].kept


def test_repeats_are_told_in_one_write():
    """Of all processes, to each output; they are not spared."""
    bench = Bench(Words(), Words())
    process = bench.pipeline.cache.exec(exec_event())
    match = Match(5, 0, c.ACTION_SIGNAL, c.ACTION_SIGNAL, 0, 0)
    event = RepeatEvent(9, match, 7, 0, 0)
    bench.pipeline.tell_repeats([(process, event), (process, event._replace(hits=8))])

    for sink in bench.sinks:
        assert sink.writes == [(b"repeat 7 of 42\nrepeat 8 of 42\n", 2, False)]


def test_only_losses_are_kept_longest():
    """A line that waits when a loss is told goes before it, and is no loss itself."""
    bench = Bench(Words())
    bench.pipeline.outputs[0].lines.append(b"waits\n")
    bench.pipeline.tell_loss(LossEvent("lifecycle", "sink", {"line": 3}, 0, 0))
    bench.run(KINDS["exec"])

    assert bench.sinks[0].lines == [b"waits\n", b"loss 3\n", b"exec 42\n"]
    assert bench.sinks[0].kept == [b"loss 3\n"]


def test_the_agent_tells_about_itself():
    """In order with all other lines, and kept longest."""
    bench = Bench(Words(), Words())
    change = PolicyChangeEvent("applied", "sighup", 5, 7, "ab", 3, 4)
    bench.pipeline.tell_policy_change(change)
    bench.pipeline.tell_heartbeat(HeartbeatEvent(9, {}))

    for sink in bench.sinks:
        assert sink.lines == sink.kept == [b"policy 7\n", b"beat 9\n"]


# ---- the golden session ----


def session() -> list[tuple[int, bytes]]:
    """A shell that runs programs: plain, hostile, privileged, unread, lost."""
    shell, bash = ProcessKey(1_000_000_000, 50), ProcessKey(1_500_000_000, 60)
    curl, again = ProcessKey(1_600_000_000, 60), ProcessKey(1_700_000_000, 60)
    unit = b"ssh.service\0system.slice\0"
    ids = Credentials._make([1000, 1000, 0, 1000, 0, 1000, 0, 1000, 0, 1000, *[1] * 5])
    return [
        (c.EVENT_FORK, fork_record(bash, shell)),
        (
            c.EVENT_EXEC,
            exec_record(
                {
                    "filename": b"/usr/bin/curl",
                    "executable": b"/usr/bin/curl",
                    "cwd": b"/root",
                    "tty": b"pts0",
                    "cgroup": unit,
                    "arguments": b"curl\0-s\0https://example.org/a b\0",
                    "environment": b"HOME=/root\0LANG=C\0",
                },
                process=curl,
                parent=shell,
                nspid=0,
            ),
        ),
        (
            c.EVENT_EXEC,
            exec_record(
                {
                    "filename": b"./\xff\x1b[31m\n",
                    "interpreter": b"/bin/sh",
                    "executable": b"/tmp/\xc2\x9b",
                    "cwd": b"/tmp/\x7f",
                    "cgroup": unit,
                    "arguments": b'x\0"\0\\\0\xe2\x80\xae\0',
                },
                process=again,
                parent=curl,
                flags=c.EXEC_SETUID,
                credentials=ids,
                links=0,
                nspid=0,
                executable_flags=c.PATH_DELETED,
            ),
        ),
        (c.EVENT_EXIT, exit_record(again, 11 | 0x80, 60)),
        (
            c.EVENT_EXEC,
            exec_record(
                lengths=[-14] * 8,
                process=ProcessKey(2_000_000_000, 61),
                parent=ProcessKey(1_900_000_000, 61),
                flags=c.EXEC_PARENT_UNKNOWN | c.EXEC_ARGUMENTS_CUT,
            ),
        ),
        (c.EVENT_EXIT, exit_record(ProcessKey(2_000_000_000, 61), 3 << 8, 61)),
        (c.EVENT_EXIT, exit_record(ProcessKey(2_500_000_000, 99), 0, 99)),
    ]


def golden(name: str, actual: bytes) -> bytes:
    path = GOLDEN / name
    if os.environ.get("TETRAGON_TEST_UPDATE") == "1":
        path.write_bytes(actual)
    return path.read_bytes()


def test_golden_session():
    """From the bytes of the kernel to the lines of each encoder, nothing changed."""
    records = session()
    text = "".join(f"{kind} {data.hex()}\n" for kind, data in records)
    assert golden("session.hex", text.encode()).decode() == text
    timestamps = Timestamps(1_795_000_000_000_000_000)
    everything = JsonOptions(
        extended=True,
        credentials=True,
        namespaces=True,
        ancestors=True,
        environment=True,
    )
    bench = Bench(
        JsonEncoder("node", timestamps, HOST, JsonOptions()),
        CompactEncoder("node", color=False, timestamps=timestamps),
    )
    extended = Bench(JsonEncoder("node", timestamps, HOST, everything, "user{}".format))
    shell = exec_event(
        process=ProcessKey(1_000_000_000, 50),
        parent=ProcessKey(0, 0),
        filename=b"/bin/sh",
        from_procfs=True,
    )
    for each in (bench, extended):
        each.pipeline.seed([shell])
        each.run(*records)
        each.pipeline.tell_loss(LossEvent("lifecycle", "ring_full", {"exit": 7}, 1, 2))

        assert each.errors == []
    for name, sink in (
        ("session.jsonl", bench.sinks[0]),
        ("session.compact", bench.sinks[1]),
        ("session.extended.jsonl", extended.sinks[0]),
    ):
        actual = b"".join(sink.lines)

        assert golden(name, actual).decode() == actual.decode()


def test_sinks_are_flushed_only_with_lines():
    """Nothing to say, nothing written."""
    bench = Bench(Words())
    bench.pipeline.flush()

    assert bench.sinks[0].writes == []
