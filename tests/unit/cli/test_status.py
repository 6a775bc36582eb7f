# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.cli.status: one line says how it is and what to do."""

from __future__ import annotations

import json
import os

import pytest

from tetragon_py.daemon import status_file
from tetragon_py.daemon.status_file import StatusFile

STATE = {
    "state": "running",
    "version": "9.9",
    "uptime_seconds": 93784.2,
    "interval_seconds": 60.0,
    "problems": [],
    "events": {"exec": "11"},
    "lost": {"total": "0", "causes": []},
    "policy": {"policies": 2, "hooks": 3, "generation": 4, "digest": "abcdef0123456"},
    "reloads": {"good": 1, "bad": 0, "last": {"result": "applied", "trigger": "start"}},
    "rings": {"verdict": {"size_bytes": 8 << 20, "used_bytes": 4 << 20}},
    "outputs": [
        {
            "name": "/x",
            "written_bytes": "2048",
            "backlog_bytes": 0,
            "dropped_lines": "0",
            "error": "",
        }
    ],
    "memory": {"rss_bytes": 64 << 20},
    "open_descriptors": 99,
}


@pytest.fixture
def say(invoke, etc_dir, tmp_path):
    """What `status` says of an agent in such a state, which is this process."""
    folder = tmp_path / "run"

    def run(*options, **changes):
        StatusFile(folder).write({**STATE, **changes})
        return invoke("status", "--runtime-dir", str(folder), *options)

    return run


def test_all_is_well(say):
    """Status 0; every part has its line."""
    result = say()

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        f"well: tetragon-py 9.9, pid {os.getpid()}, up 1 d 2 h, as of 0 s ago",
        "  policies  2 on 3 hooks, generation 4, digest abcdef012345",
        "  reloads   1 good, 0 bad; last: applied (start)",
        "  events    11 exec",
        "  lost      0",
        "  rings     verdict 50 % of 8.0 MiB",
        "  output    /x: 2.0 KiB written, 0 B wait, 0 lines dropped",
        "  process   64.0 MiB memory, 99 descriptors",
    ]


def test_problems(say):
    """They are told first, and the status is 1; errors of policies have places."""
    error = {"file": "a.yaml", "line": 3, "message": "bad"}
    last = {
        "result": "refused",
        "trigger": "sighup",
        "errors": [error, {"message": "x"}],
    }
    causes = [{"lane": "policy", "cause": "ring_full", "count": "7"}]
    result = say(
        problems=["7 events were lost"],
        lost={"total": "7", "causes": causes},
        reloads={"good": 0, "bad": 1, "last": last},
    )
    lines = result.stdout.splitlines()

    assert result.exit_code == 1
    assert lines[0].startswith("degraded: ")
    assert lines[1] == "  ! 7 events were lost"
    assert "            a.yaml:3: bad" in lines
    assert "            x" in lines
    assert "  lost      7 (7 policy ring_full)" in lines


def test_json(say):
    """The agent's own object, with the verdict."""
    result = say("--output", "json")
    answer = json.loads(result.stdout)

    assert result.exit_code == 0
    assert answer["verdict"] == "well"
    assert {key: answer[key] for key in STATE} == STATE
    assert answer["age_seconds"] < 60


@pytest.mark.parametrize(
    ("state", "words"),
    [("ended", "the agent was stopped"), ("failed", "the agent has failed")],
)
def test_an_agent_that_ended(say, state, words):
    """It is said how, and what to do."""
    result = say(state=state)

    assert result.exit_code == 1
    assert result.stdout.startswith("not running: ")
    assert words in result.stdout


def test_an_agent_that_died(say, monkeypatch):
    """The file of a dead process says nothing of the present."""
    starts = iter((1, 2))  # another process has its number
    monkeypatch.setattr(status_file, "_start_of", lambda _: next(starts))
    result = say()

    assert result.exit_code == 1
    assert "not running: " in result.stdout
    assert "the agent died without a word" in result.stdout


@pytest.mark.parametrize(("interval", "verdict"), [(60.0, "degraded"), (0.0, "well")])
def test_an_agent_that_hangs(say, monkeypatch, interval, verdict):
    """It has missed its heartbeats; without heartbeats nobody can tell."""
    times = iter((10**12, 10**12 + 200 * 10**9))
    monkeypatch.setattr(status_file, "_now_ns", lambda: next(times))
    result = say(interval_seconds=interval)

    assert result.stdout.startswith(f"{verdict}: ")
    assert ("written nothing for 200 s" in result.stdout) is (verdict == "degraded")


def test_no_agent(invoke, etc_dir, tmp_path):
    """One line with what to do."""
    result = invoke("status", "--runtime-dir", str(tmp_path / "none"))

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"tetragon-py: no agent has run here ({tmp_path}/none is empty): start one "
        "with `tetragon-py run`, or name its --runtime-dir\n"
    )


def test_the_directory_is_that_of_the_configuration(invoke, etc_dir, tmp_path):
    """What `run` was told in a file holds here."""
    (etc_dir / "a.yaml").write_text(f"runtime-dir: {tmp_path}/other")
    result = invoke("status")

    assert f"{tmp_path}/other is empty" in result.stderr
