# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.encode.agent_json: what is empty is left out, lists are cut."""

from __future__ import annotations

import json

from tetragon_py.encode.agent_json import loss_object, policy_change_object
from tetragon_py.encode.jsonl import JsonEncoder, JsonOptions
from tetragon_py.encode.timestamp import Timestamps
from tetragon_py.events.agent import (
    HeartbeatEvent,
    LossEvent,
    LossSource,
    PolicyChangeEvent,
    PolicyProblem,
)
from tetragon_py.events.process import Namespaces


def time(boottime_ns):
    return b"t%d" % boottime_ns


def test_loss():
    """64-bit numbers are texts; sources that are not known have no binary."""
    event = LossEvent("policy", "ring_full", {"hook": 3}, 1, 2, [LossSource(7, 3)])

    assert loss_object(event, time) == {
        "lane": "policy",
        "cause": "ring_full",
        "total": "3",
        "counts": {"hook": "3"},
        "since": "t1",
        "until": "t2",
        "sources": [{"pid": 7, "exec_id": "", "binary": "", "count": "3"}],
    }


def test_policy_change():
    """Only lists that say something are there, each with its count."""
    event = PolicyChangeEvent(
        *("applied", "sighup", 5, 2, "ab", 3, 4),
        added=("a", "b"),
        changed=("c",),
        detached=("lsm file_open",),
        seconds=0.12345,
    )

    assert policy_change_object(event) == {
        "result": "applied",
        "trigger": "sighup",
        "generation": 2,
        "digest": "ab",
        "policies": 3,
        "hooks": 4,
        "seconds": 0.123,
        "counts": {"added": 2, "changed": 1, "hooks_detached": 1},
        "added": ["a", "b"],
        "changed": ["c"],
        "hooks_detached": ["lsm file_open"],
    }


def test_nothing_changed():
    """No counts of nothing."""
    event = PolicyChangeEvent("unchanged", "watch", 5, 2, "ab", 3, 4)

    assert "counts" not in policy_change_object(event)


def test_problems():
    """With what is known of their place; of many the first fifty."""
    problems = (
        PolicyProblem("bad", "a.yaml", 3, 4, "spec", "do this"),
        *[PolicyProblem("too large")] * 60,
    )
    event = PolicyChangeEvent(
        *("refused", "sighup", 5, 2, "ab", 3, 4), problems=problems
    )
    body = policy_change_object(event)

    assert body["counts"] == {"errors": 61}
    assert len(body["errors"]) == 50
    assert body["errors"][:2] == [
        {
            "file": "a.yaml",
            "line": 3,
            "column": 4,
            "field": "spec",
            "message": "bad",
            "hint": "do this",
        },
        {"message": "too large"},
    ]


def test_many_names_are_cut():
    """The count is exact."""
    names = tuple(f"p{number}" for number in range(1000))
    event = PolicyChangeEvent(*("applied", "start", 5, 2, "ab", 3, 4), added=names)
    body = policy_change_object(event)

    assert body["counts"] == {"added": 1000}
    assert body["added"] == list(names[:200])


def test_lines():
    """Their values are objects; node and time follow as in all lines."""
    host = Namespaces._make([1] * len(Namespaces._fields))
    encoder = JsonEncoder("vm", Timestamps(0), host, JsonOptions())
    change = PolicyChangeEvent("unchanged", "watch", 3_000, 2, "ab", 3, 4)
    beat = HeartbeatEvent(4_000, {"state": "running", "problems": ['\u2028"']})

    assert encoder.policy_change_line(change) == (
        b'{"policy_change":{"result":"unchanged","trigger":"watch","generation":2,'
        b'"digest":"ab","policies":3,"hooks":4,"seconds":0.0},"node_name":"vm",'
        b'"time":"1970-01-01T00:00:00.000003000Z"}\n'
    )
    line = json.loads(encoder.heartbeat_line(beat))
    assert line["heartbeat"] == beat.state
    assert list(line) == ["heartbeat", "node_name", "time"]
