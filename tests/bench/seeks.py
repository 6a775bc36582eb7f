# SPDX-License-Identifier: Apache-2.0
"""Posted hits: lseek() at full speed and at a steady rate, with nothing, with the floor
and with the agent, in turns; once as a tracepoint, once by the dispatcher.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.agent import Agent
from tests.bench.floor import Floor
from tests.bench.kernel_side import KernelSide, read_policies
from tests.bench.policy_files import WARM, open_policy, seek_policy, write_policies
from tests.bench.run_time import programs_of, run_times, statistics_on
from tests.bench.seek_file import SeekResult, read_seek_file
from tests.bench.workload import run_calls

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.limits import Values
    from tests.bench.programs import Programs
    from tests.bench.workload import Storm

__all__ = ["Seeks"]

_KINDS = ("syscall", "tracepoint")
_CALIBRATION_COUNT = 2_000
#: Drains until everything that happened before the first has been read: the lanes are
#: read one after the other, and the process that marks the end is in the first.
_DRAINS = 3


class Seeks:
    """Runs `count` calls of lseek() and gathers what they show.

    Args:
        programs: The C programs.
        values: Name of a report row -> all values measured.
        count: Calls per run.
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
        self._values = values
        self._count = count
        self._tell = tell
        self._files = {
            kind: write_policies(f"seek-{kind}", [seek_policy(kind)]) for kind in _KINDS
        }

    def alternate(self, rounds: int) -> None:
        """Full speed, `rounds` times, each time in another order."""
        lines = {kind: self._line_bytes(kind) for kind in _KINDS}
        for turn in range(rounds):
            self._tell(f"seeks, round {turn + 1} of {rounds}: {self._count} calls each")
            for kind in sorted(_KINDS, reverse=bool(turn % 2)):
                none = self._run()
                self._values[f"seek_{kind}_none"].append(none.cpu_us_each)
                if turn % 2:
                    self._floor(kind, lines[kind])
                    self._agent(kind)
                else:
                    self._agent(kind)
                    self._floor(kind, lines[kind])

    def sustain(self, rate: int, seconds: int) -> None:
        """At a steady rate, as a tracepoint."""
        self._tell(f"seeks: {rate} calls a second for {seconds} s")
        count = rate * seconds
        with Agent("bench", self._files["tracepoint"]) as agent:
            before = agent.cpu_us()
            storm = run_calls(self._programs, "seek", count, rate)
            used = self._used_us(agent, before)
            told = agent.stop()
            found = read_seek_file(agent.events, storm.pid, count)
        self._values["steady_rate"].append(1e6 / storm.wall_us_each)
        self._values["steady_event"].append(used / count)
        self._count_missing("steady", found, told)

    def bpf(self, rounds: int, unhooked_ns: float) -> None:
        """Run time of the BPF programs, while an agent reads."""
        self._tell("BPF run time of hits, with the kernel's statistics on")
        runs = {
            "bpf_syscall": (self._files["syscall"], "enter_syscall", "seek"),
            "bpf_tracepoint": (self._files["tracepoint"], "hit_tracepoint", "seek"),
            "bpf_open": (
                write_policies("open", [open_policy()]),
                "enter_syscall",
                f"open {WARM}",
            ),
        }
        for _ in range(rounds):
            for key, (policies, program, call) in runs.items():
                with Agent("bench", policies) as agent, statistics_on():
                    run_calls(self._programs, call, self._count)
                    found = run_times(programs_of(agent.pid))[program]
                    agent.kill()
                self._values[key].append(found.mean_ns(self._count, unhooked_ns))

    def _run(self) -> Storm:
        return run_calls(self._programs, "seek", self._count)

    def _line_bytes(self, kind: str) -> int:
        with Agent("bench", self._files[kind]) as agent:
            storm = run_calls(self._programs, "seek", _CALIBRATION_COUNT)
            agent.wait_until_read(self._programs)
            agent.stop()
            found = read_seek_file(agent.events, storm.pid, _CALIBRATION_COUNT)
        return found.line_bytes

    def _floor(self, kind: str, line_bytes: int) -> None:
        with KernelSide() as kernel:
            kernel.put(read_policies(self._files[kind]))
            with Floor(self._programs, line_bytes, kernel.rings) as floor:
                self._run()
                result = floor.stop()
        if result.records < self._count:
            raise RuntimeError(f"the floor has seen {result.records} records only")
        per_record = result.cpu_us / result.records
        self._values[f"seek_{kind}_floor"].append(per_record)
        self._values[f"seek_{kind}_floor_lines"].append(result.lines / result.batches)

    def _agent(self, kind: str) -> None:
        with Agent("bench", self._files[kind]) as agent:
            before, writes = agent.cpu_us(), agent.write_count()
            storm = self._run()
            used = self._used_us(agent, before)
            writes = agent.write_count() - writes
            self._values[f"seek_{kind}_rss"].append(agent.rss_mb())
            told = agent.stop()
            found = read_seek_file(agent.events, storm.pid, self._count)
        self._values[f"seek_{kind}_agent"].append(storm.cpu_us_each)
        self._values[f"seek_{kind}_event"].append(used / self._count)
        self._values[f"seek_{kind}_line"].append(found.line_bytes)
        self._values[f"seek_{kind}_agent_lines"].append(told["hook"] / max(writes, 1))
        self._count_missing(f"seek_{kind}", found, told)

    def _count_missing(self, key: str, found: SeekResult, told: dict[str, int]) -> None:
        self._values[f"{key}_missing"].append(found.missing)
        self._values[f"{key}_wrong"].append(found.wrong)
        self._values[f"{key}_lost"].append(told["lost"] + found.lost)

    def _used_us(self, agent: Agent, before: float) -> float:
        for _ in range(_DRAINS):
            agent.wait_until_read(self._programs)
        return agent.cpu_us() - before
