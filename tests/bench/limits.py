# SPDX-License-Identifier: Apache-2.0
"""What is measured, and the limits that must hold: one table.

In comes nothing, out go the rows of the report in their order. A row without a limit
is there to be read; the others decide the exit status.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["GROUPS", "TETRAGON_MULTIPLE", "Row", "Values"]

#: Key of a row -> what was measured for it, in the order of the rounds.
Values = dict[str, list[float]]

#: Tetragon 1.8-pre (4fbfe2d) on the same kind of workload: the agent's CPU as multiple
#: of the workload's own (5,000 and 20,000 processes, full speed).
TETRAGON_MULTIPLE = (1.4, 1.7)

_GOAL = "goal of the project"
_AGAINST = "a sixth of Tetragon's 252 us"
_AGAINST_BPF = "half of Tetragon's 22.9 us"
_HONEST = "else the ratio flatters the agent"
_FLAT = "the cost of a hook does not grow with its policies"
_POST = "half of Tetragon's 1,817 ns"
_OPEN = "a third of Tetragon's 1,650 ns"
_EVENT = "a sixth of Tetragon's 75 us"
_ALL = "Tetragon loses 82 % with its default buffers"
_FIRST = "Tetragon's first hook takes 3 to 4 s"


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


_SETTINGS = (Row("rings_mib", "default ring buffers together", "MiB", 64, _GOAL),)
_PROCESSES = (
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
    Row("first_event", "start to first event, 300 processes", "s", 1.0, _GOAL),
    Row("ready", "start to running, 300 processes", "s"),
    Row("rss_start", "RSS after start, without the rings", "MB", 80, _GOAL),
    Row("rss_end", "RSS after the storm, without the rings", "MB"),
    Row("rss_50000", "RSS after 50,000 processes", "MB"),
    Row("rss_200000", "RSS after 200,000 processes", "MB"),
    Row("rss_drift", "largest change of RSS between them", "%", 5, _GOAL),
)
_HITS = (
    Row("unhooked", "a call without a hook", "ns", 60, _GOAL),
    Row("unhooked_return", "the same, returns are watched too", "ns", 60, _GOAL),
    Row("wall", "its wall time: what is added", "ns", 150, _GOAL),
    Row("wall_return", "the same, returns are watched too", "ns", 150, _GOAL),
    Row("warm_1", "3 filters say no, 1 policy", "ns", 400, _GOAL),
    Row("warm_1000", "3 filters say no, 1,000 policies", "ns", 400, _GOAL),
    Row("flat_warm", "1,000 policies / 1", "x", 2.0, _FLAT),
    Row("cold_1", "another path each time, 1 policy", "ns", 400, _GOAL),
    Row("cold_1000", "another path each time, 1,000", "ns", 400, _GOAL),
    Row("flat_cold", "1,000 policies / 1", "x", 2.0, _FLAT),
    Row("deep_1", "115 bytes in common, 1 policy", "ns", 400, _GOAL),
    Row("deep_1000", "115 bytes in common, 1,000", "ns", 400, _GOAL),
    Row("flat_deep", "1,000 policies / 1", "x", 2.0, _FLAT),
    Row("posted_1", "posted, 1 policy", "ns"),
    Row("posted_1000", "posted, by one of 1,000", "ns"),
    Row("flat_posted", "1,000 policies / 1", "x", 2.0, _FLAT),
    Row("matched", "the same without the post", "ns", 400, _GOAL),
    Row("spared_1", "3 filters say no signal, 1 policy", "ns", 400, _GOAL),
    Row("spared_1000", "3 filters say no signal, 1,000", "ns", 400, _GOAL),
    Row("flat_spared", "1,000 policies / 1", "x", 2.0, _FLAT),
    Row("signalled_1", "SIGURG is sent, 1 policy", "ns"),
    Row("signalled_1000", "SIGURG is sent, by one of 1,000", "ns"),
    Row("flat_signalled", "1,000 policies / 1", "x", 2.0, _FLAT),
    Row("bpf_syscall", "posts 3 integers, system call", "ns", 900, _POST),
    Row("bpf_tracepoint", "posts 3 integers, tracepoint", "ns", 900, _POST),
    Row("bpf_open", "open filtered out by its prefix", "ns", 500, _OPEN),
)


def _seeks(kind: str) -> tuple[Row, ...]:
    key = f"seek_{kind}"
    return (
        Row(f"{key}_none", "workload CPU per call, no agent", "us"),
        Row(f"{key}_agent", "workload CPU per call, agent", "us"),
        Row(f"{key}_event", "agent CPU per event", "us", 12, _EVENT, 7.5),
        Row(f"{key}_floor", "floor CPU per record", "us", 1.0, _HONEST),
        Row(f"{key}_ratio", "agent / floor, least of each", "x", 15, _GOAL),
        Row(f"{key}_missing", "events missing", "", 0, _ALL, exact=True),
        Row(f"{key}_wrong", "events twice or of others", "", 0, _GOAL, exact=True),
        Row(f"{key}_lost", "losses that the agent tells", "", 0, _GOAL, exact=True),
        Row(f"{key}_line", "median line", "bytes"),
        Row(f"{key}_rss", "RSS at the end, without the rings", "MB"),
        Row(f"{key}_batch", "lines per write, agent / floor", "x", 2, _HONEST),
    )


_STEADY = (
    Row("steady_rate", "calls per second", ""),
    Row("steady_event", "agent CPU per event", "us", 12, _EVENT),
    Row("steady_missing", "events missing", "", 0, _GOAL, exact=True),
    Row("steady_wrong", "events twice or of others", "", 0, _GOAL, exact=True),
    Row("steady_lost", "losses that the agent tells", "", 0, _GOAL, exact=True),
)
_CHANGES = (
    Row("load", "1,000 policies on 50 hooks, all of it", "s", 5, _GOAL),
    Row("load_read", "  read", "s"),
    Row("load_compile", "  compile", "s"),
    Row("load_apply", "  put in force", "s"),
    Row("add", "one more, known hook, no binary", "ms", 50, _GOAL),
    Row("add_worst", "  the longest", "ms", goal=50),
    Row("add_apply", "  put in force", "ms"),
    Row("add_hooks", "  hooks whose tables are written", "", 1, _GOAL, exact=True),
    Row("add_binary", "one more, known hook, new binary", "ms", 50, _GOAL),
    Row("add_binary_worst", "  the longest", "ms", goal=50),
    Row("add_binary_apply", "  put in force", "ms"),
    Row(
        "add_binary_hooks", "  hooks whose tables are written", "", 1, _GOAL, exact=True
    ),
    Row("add_call", "one more, new system call", "ms", 300, _FIRST),
    Row("add_call_worst", "  the longest", "ms", goal=300),
    Row("add_call_apply", "  put in force", "ms"),
    Row("add_tracepoint", "one more, new tracepoint", "ms", 300, _FIRST),
    Row("add_tracepoint_worst", "  the longest", "ms", goal=300),
    Row("add_tracepoint_apply", "  put in force", "ms"),
    Row("change_some", "100 of 1,000 are other ones, all of it", "s", 1, _GOAL),
    Row("change_all", "all 1,000 are other ones, all of it", "s", 4, _GOAL),
    Row("classes", "binaries and followed sets change", "ms"),
    Row("classes_worst", "  the longest", "ms"),
)
_RELOADS = (
    Row("reload_none", "SIGHUP, nothing changed", "s"),
    Row("reload_some", "100 of 1,000 files changed, to the switch", "s", 1, _GOAL),
    Row("reload_all", "all 1,000 changed, to the switch", "s", 4, _GOAL),
    Row("reload_quiet", "latest event without reloads", "ms"),
    Row("reload_none_late", "latest event, nothing changed", "ms", 200, _GOAL),
    Row("reload_some_late", "latest event, 100 changed", "ms", 200, _GOAL),
    Row("reload_all_late", "latest event, all changed", "ms", 200, _GOAL),
    Row("reload_missing", "events missing", "", 0, _GOAL, exact=True),
    Row("reload_wrong", "events twice or of others", "", 0, _GOAL, exact=True),
    Row("reload_lost", "losses that the agent tells", "", 0, _GOAL, exact=True),
)
#: Heading -> rows, in the order of the report.
GROUPS = {
    "default settings": _SETTINGS,
    "processes": _PROCESSES,
    "policies: BPF run time of a hit": _HITS,
    "policies: hits at full speed, posted by a system call": _seeks("syscall"),
    "policies: hits at full speed, posted by a tracepoint": _seeks("tracepoint"),
    "policies: hits at a steady rate, posted by a tracepoint": _STEADY,
    "policies: changes of the set": _CHANGES,
    "policies: reloads by signal, with 2,000 hits a second": _RELOADS,
}
