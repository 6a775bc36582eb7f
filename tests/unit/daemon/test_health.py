# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.daemon.health: all parts in one object, problems first."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace
from typing import Any

import pytest
import structlog.testing

from tetragon_py import __version__
from tetragon_py.abi import _generated as c
from tetragon_py.compiler.plan import AttachPoint
from tetragon_py.daemon.health import Health, Parts
from tetragon_py.daemon.policy_change import SetChange
from tetragon_py.daemon.status_file import STATUS_NAME, StatusFile
from tetragon_py.events.agent import PolicyChangeEvent, PolicyProblem

PROBLEM = PolicyProblem("no such function", "/etc/a.yaml", 3)


class Bench:
    """Parts that are well, and the heartbeats that are told."""

    def __init__(self, folder):
        self.told: list[Any] = []
        sink = SimpleNamespace(
            name="/x", backlog_bytes=7, written_bytes=1 << 40, error=""
        )
        self.sink = sink
        counts = [0] * c.EVENT_TYPE_COUNT
        counts[c.EVENT_EXEC] = 11
        self.drain = SimpleNamespace(
            last_turn=time.monotonic(),
            take_latency_ns=lambda: 2_500_000,
            post=lambda call: call(),
        )
        self.pipeline = SimpleNamespace(
            event_counts=counts,
            failed_count=0,
            outputs=[SimpleNamespace(sink=sink)],
            tell_heartbeat=self.told.append,
        )
        self.losses = SimpleNamespace(total=0, totals={}, dropped={})
        self.policies = SimpleNamespace(change=SetChange(3, "ab", 2, 1), silent=())
        self.reloads = SimpleNamespace(good=4, bad=1, last=None)
        rings = [SimpleNamespace(size_bytes=4096, used_bytes=i) for i in range(3)]
        parts: Any = (
            *(self.drain, rings, self.pipeline),
            *(self.losses, self.policies, self.reloads),
        )
        self.folder = folder
        self.health = Health(Parts(*parts), StatusFile(folder), 60.0)

    def beat(self):
        self.health.beat()
        return self.told[-1].state

    def file(self):
        return json.loads((self.folder / STATUS_NAME).read_text())

    def end(self, result, **values):
        self.reloads.last = PolicyChangeEvent(
            result, "sighup", 1, 3, "ab", 2, 1, **values
        )


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path / "run")


def test_all_is_well(bench):
    """The event and the file say the same; big numbers are texts."""
    state = bench.beat()

    assert {key: bench.file()[key] for key in state} == state
    assert (state["state"], state["version"]) == ("running", __version__)
    assert state["problems"] == []
    assert state["events"] == {
        "fork": "0",
        "exec": "11",
        "exit": "0",
        "hook": "0",
        "failed": "0",
    }
    assert state["policy"] == {
        "policies": 2,
        "hooks": 1,
        "generation": 3,
        "digest": "ab",
        "silent_hooks": [],
    }
    assert state["reloads"] == {"good": 4, "bad": 1, "last": {}}
    assert state["rings"]["verdict"] == {"size_bytes": 4096, "used_bytes": 1}
    assert state["outputs"] == [
        {
            "name": "/x",
            "backlog_bytes": 7,
            "written_bytes": str(1 << 40),
            "dropped_lines": "0",
            "error": "",
        }
    ]
    assert state["drain"]["latency_max_ms"] == 2.5
    assert state["memory"]["rss_bytes"] > 1 << 20
    assert state["open_descriptors"] > 2
    assert state["interval_seconds"] == 60.0


def test_losses_are_a_problem_until_the_next_beat(bench):
    """What was lost stays counted, by cause and lane."""
    bench.losses.total = 5
    bench.losses.totals = {("policy", "ring_full"): 3, ("lifecycle", "sink"): 2}
    bench.losses.dropped = {"/x": 2}
    first, second = bench.beat(), bench.beat()

    assert first["problems"] == ["5 events were lost since the last heartbeat"]
    assert second["problems"] == []
    assert second["lost"] == {
        "total": "5",
        "causes": [
            {"lane": "lifecycle", "cause": "sink", "count": "2"},
            {"lane": "policy", "cause": "ring_full", "count": "3"},
        ],
    }
    assert second["outputs"][0]["dropped_lines"] == "2"


def test_problems(bench):
    """Each part that is not well is one text."""
    bench.end("refused", problems=(PROBLEM,))
    bench.policies.silent = (AttachPoint("lsm", "file_open"),)
    bench.drain.last_turn -= 100
    bench.sink.error = "No space left on device"
    state = bench.beat()

    assert state["problems"] == [
        "policies are refused: /etc/a.yaml:3: no such function",
        "1 hooks are attached and do not run",
        "events are not read for 100 s",
        "/x: No space left on device",
    ]
    assert state["policy"]["silent_hooks"] == ["lsm file_open"]


def test_left_out_files_stay_a_problem(bench):
    """Until a reload is good."""
    bench.end("applied", problems=(PROBLEM,))
    assert bench.beat()["problems"] == [
        "policies are left out: /etc/a.yaml:3: no such function"
    ]
    bench.end("applied")
    assert bench.beat()["problems"] == []


def test_only_the_file_has_the_lists(bench):
    """Of the last reload: its own event has told them already."""
    bench.end("refused", added=("a",), problems=(PROBLEM,))
    last = bench.beat()["reloads"]["last"]

    assert last["counts"] == {"added": 1, "errors": 1}
    assert "errors" not in last
    assert bench.file()["reloads"]["last"]["errors"][0]["line"] == 3


def test_a_file_that_cannot_be_written(bench):
    """Is said once, and costs nothing else."""
    bench.folder.write_text("in the way")
    with structlog.testing.capture_logs() as logs:
        bench.beat()
        bench.health.write("ended")

    assert [entry["event"] for entry in logs] == ["the status file cannot be written"]
    bench.folder.unlink()
    bench.health.write("ended")
    assert bench.file()["state"] == "ended"
