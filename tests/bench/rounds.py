# SPDX-License-Identifier: Apache-2.0
"""The same storm with nothing, with the floor and with the agent, in turns."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.bench.agent import Agent
from tests.bench.event_file import read_event_file
from tests.bench.floor import Floor
from tests.bench.kernel_side import KernelSide
from tests.bench.run_time import programs_of, run_times, statistics_on
from tests.bench.workload import at_least_processes, run_storm

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.limits import Values
    from tests.bench.programs import Programs

__all__ = ["Rounds"]

#: fork, exec and exit
_RECORDS_PER_PROCESS = 3
_STARTS = 3
_START_PROCESSES = 300
_CALIBRATION_COUNT = 500
#: RSS is looked at after each of these, and has to be flat from the first bound on.
_MEMORY_STEP = 10_000
_MEMORY_FROM, _MEMORY_TO = 50_000, 200_000
_PROGRAMS = {
    "bpf_fork": "process_fork",
    "bpf_exec": "process_exec",
    "bpf_exit": "process_exit",
}


class Rounds:
    """Runs storms of `count` processes and gathers what they show.

    Args:
        programs: The C programs.
        values: Name of a report row -> all values measured.
        count: Processes per storm.
        tell: Gets a line of progress.
    """

    def __init__(
        self,
        programs: Programs,
        values: Values,
        count: int,
        tell: Callable[[str], None],
    ) -> None:
        self._programs = programs
        self._count = count
        self._tell = tell
        self._line_bytes = 0
        self.values = values
        self.foreign = 0  # events of others, in all agent runs

    def calibrate(self) -> None:
        """Find the median line, which the floor writes; warm up."""
        self._tell("calibrate: how long the agent's lines are")
        with Agent("bench") as agent:
            storm = run_storm(self._programs, _CALIBRATION_COUNT)
            agent.wait_until_read(self._programs)
            agent.stop()
            found = read_event_file(agent.events, self._programs.leaf, storm.pid)
        self._line_bytes = found.line_bytes

    def alternate(self, rounds: int) -> None:
        """Run all three subjects `rounds` times, each time in another order."""
        subjects = [self._none, self._floor, self._agent]
        for turn in range(rounds):
            self._tell(f"round {turn + 1} of {rounds}: {self._count} processes each")
            shift = turn % len(subjects)
            for subject in subjects[shift:] + subjects[:shift]:
                subject()

    def starts(self) -> None:
        """How long a start takes, and the memory after it."""
        self._tell(f"start with {_START_PROCESSES} processes")
        with at_least_processes(self._programs, _START_PROCESSES):
            for _ in range(_STARTS):
                with Agent("bench") as agent:
                    self.values["first_event"].append(agent.first_event_seconds)
                    self.values["ready"].append(agent.ready_seconds)
                    time.sleep(0.2)
                    self.values["rss_start"].append(agent.rss_mb())
                    agent.stop()

    def bpf(self) -> None:
        """Run time of the BPF programs, in a storm of its own."""
        self._tell("BPF run time, with the kernel's statistics on")
        with Agent("bench") as agent, statistics_on():
            run_storm(self._programs, self._count)
            found = run_times(programs_of(agent.pid))
            agent.kill()
        total = 0.0
        for key, name in _PROGRAMS.items():
            mean_us = found[name].total_ns / max(found[name].runs, 1) / 1e3
            self.values[key].append(mean_us)
            total += mean_us
        self.values["bpf_process"].append(total)

    def memory(self) -> None:
        """RSS over many processes."""
        samples = []
        with Agent("bench") as agent:
            for done in range(_MEMORY_STEP, _MEMORY_TO + 1, _MEMORY_STEP):
                run_storm(self._programs, _MEMORY_STEP)
                rss = agent.rss_mb()
                self._tell(f"memory: {done} processes, RSS {rss:.1f} MB")
                if done >= _MEMORY_FROM:
                    samples.append(rss)
            agent.stop()
        first = samples[0]
        drift = max(abs(rss - first) / first * 100 for rss in samples)
        self.values["rss_50000"].append(first)
        self.values["rss_200000"].append(samples[-1])
        self.values["rss_drift"].append(drift)

    def _none(self) -> None:
        storm = run_storm(self._programs, self._count)
        self.values["workload_none"].append(storm.cpu_us_each)

    def _floor(self) -> None:
        with (
            KernelSide() as kernel,
            Floor(self._programs, self._line_bytes, kernel.rings) as floor,
        ):
            storm = run_storm(self._programs, self._count)
            result = floor.stop()
        if result.records < self._count * _RECORDS_PER_PROCESS:
            raise RuntimeError(f"the floor has seen {result.records} records only")
        self.values["workload_floor"].append(storm.cpu_us_each)
        self.values["floor_record"].append(result.cpu_us / result.records)
        self.values["floor_lines"].append(result.lines / result.batches)

    def _agent(self) -> None:
        with Agent("bench") as agent:
            before, writes = agent.cpu_us(), agent.write_count()
            storm = run_storm(self._programs, self._count)
            agent.wait_until_read(self._programs)
            used = agent.cpu_us() - before
            writes = agent.write_count() - writes
            self.values["rss_end"].append(agent.rss_mb())
            told = agent.stop()
            found = read_event_file(agent.events, self._programs.leaf, storm.pid)
        self.foreign += found.foreign
        records = told["fork"] + told["exec"] + told["exit"]
        add = self.values
        add["workload_agent"].append(storm.cpu_us_each)
        add["agent_process"].append(used / self._count)
        add["agent_record"].append(used / max(records, 1))
        add["agent_lines"].append((told["exec"] + told["exit"]) / max(writes, 1))
        add["line_bytes"].append(found.line_bytes)
        add["exec_missing"].append(self._count - found.execs)
        add["exit_missing"].append(self._count - found.exits)
        add["wrong_parents"].append(found.wrong_parents)
        add["lost"].append(told["lost"] + found.lost)
