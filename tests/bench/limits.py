# SPDX-License-Identifier: Apache-2.0
"""What is measured, and the limits that must hold: one table.

In comes nothing, out go the rows of the report in their order. A row without a limit
is there to be read; the others decide the exit status.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ROWS", "TETRAGON_MULTIPLE", "Row"]

#: Tetragon 1.8-pre (4fbfe2d) on the same kind of workload: the agent's CPU as multiple
#: of the workload's own (5,000 and 20,000 processes, full speed).
TETRAGON_MULTIPLE = (1.4, 1.7)

_GOAL = "goal of the project"
_AGAINST = "a sixth of Tetragon's 252 us"
_AGAINST_BPF = "half of Tetragon's 22.9 us"
_HONEST = "else the ratio flatters the agent"


class Row(NamedTuple):
    """One line of the report.

    `key` names the value; `limit` is what it may be at most, or exactly if `exact`;
    `goal` is what is aimed at, and breaks nothing.
    """

    key: str
    label: str
    unit: str
    limit: float | None = None
    source: str = ""
    goal: float | None = None
    exact: bool = False


ROWS = (
    Row("workload_none", "workload CPU per process, no agent", "us"),
    Row("workload_floor", "workload CPU per process, floor", "us"),
    Row("workload_agent", "workload CPU per process, agent", "us"),
    Row("slow_down", "slow-down of the workload by the agent", "us", 20, _GOAL),
    Row("agent_process", "agent CPU per process", "us", 60, _AGAINST, 40),
    Row("agent_record", "agent CPU per record", "us"),
    Row("floor_record", "floor CPU per record", "us", 1.0, _HONEST),
    Row("floor_ratio", "agent / floor, per record, least of each", "x", 15, _GOAL),
    Row("multiple", "agent CPU / workload's own CPU", "x"),
    Row("bpf_fork", "BPF run time of process_fork", "us"),
    Row("bpf_exec", "BPF run time of process_exec", "us"),
    Row("bpf_exit", "BPF run time of process_exit", "us"),
    Row(
        "bpf_process", "BPF run time per process, all three", "us", 12, _AGAINST_BPF, 6
    ),
    Row("exec_missing", "exec events missing", "", 0, _GOAL, exact=True),
    Row("exit_missing", "exit events missing", "", 0, _GOAL, exact=True),
    Row("lost", "losses that the agent tells", "", 0, _GOAL, exact=True),
    Row("wrong_parents", "events with a wrong parent", "", 0, _GOAL, exact=True),
    Row("line_bytes", "median line", "bytes"),
    Row("agent_lines", "lines per write, agent", ""),
    Row("floor_lines", "lines per write, floor", ""),
    Row("batch_ratio", "lines per write, agent / floor", "x", 2, _HONEST),
    Row("rings_mib", "default ring buffers together", "MiB", 64, _GOAL),
    Row("first_event", "start to first event, 300 processes", "s", 1.0, _GOAL),
    Row("ready", "start to running, 300 processes", "s"),
    Row("rss_start", "RSS after start, without the rings", "MB", 80, _GOAL),
    Row("rss_end", "RSS after the storm, without the rings", "MB"),
    Row("rss_50000", "RSS after 50,000 processes", "MB"),
    Row("rss_200000", "RSS after 200,000 processes", "MB"),
    Row("rss_drift", "largest change of RSS between them", "%", 5, _GOAL),
)
