# SPDX-License-Identifier: Apache-2.0
"""What a change of the policy set costs: the first load, one policy more, many that are
other ones, processes to classify.
"""

from __future__ import annotations

import contextlib
import os
import time
from itertools import cycle, islice
from typing import TYPE_CHECKING

from tests.bench.kernel_side import KernelSide, compile_all, read_policies
from tests.bench.policy_files import (
    SPREAD_CALLS,
    followers,
    number_policy,
    seek_policy,
    spread,
    write_policies,
)
from tests.bench.workload import at_least_processes
from tetragon_py.daemon.policies import PolicySet
from tetragon_py.events.hook import HookNames
from tetragon_py.loader.generation import PolicyGenerations
from tetragon_py.loader.kernel import KernelTarget
from tetragon_py.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from tests.bench.limits import Values
    from tests.bench.programs import Programs
    from tetragon_py.compiler.plan import Plan
    from tetragon_py.loader.generation import Switch

__all__ = ["measure_changes"]

_POLICIES = 1_000
#: A system call that none of the spread policies is on.
_FREE_CALL = "msgget"
_OLD_CALL = "dup2"
#: How often one is added.
_ADDITIONS = 10
#: Policies that change at once.
_SOME = 100


def measure_changes(
    programs: Programs,
    values: Values,
    processes: int,
    changes: int,
    rounds: int,
    tell: Callable[[str], None],
) -> None:
    """Add the rows of all changes to `values`.

    Args:
        programs: The C programs.
        values: Name of a report row -> all values measured.
        processes: That live while classes change.
        changes: Of the classes.
        rounds: How often all else is measured.
        tell: Gets a line of progress.
    """
    folder = write_policies("spread", spread(range(_POLICIES)))
    for turn in range(rounds):
        hooks = len(SPREAD_CALLS)
        tell(f"load {_POLICIES} policies on {hooks} hooks, {turn + 1} of {rounds}")
        _load(folder, values)
    tell(f"add one policy, {_ADDITIONS} times each")
    _add(folder, values)
    tell(f"change some of {_POLICIES} policies, and all")
    _change(folder, values, rounds)
    tell(f"{changes} changes of what {processes} processes are classified by")
    _classify(programs, values, processes, changes)


def _load(folder: Path, values: Values) -> None:
    """As the agent does at its start, then its stages one by one."""
    settings = Settings.model_validate({"tracing_policy_dir": folder})
    with KernelSide() as kernel:
        policies = PolicySet(settings, kernel.sensor, HookNames())
        since = time.perf_counter()
        count = policies.load().policies
        values["load"].append(time.perf_counter() - since)
        policies.close()
    if count != _POLICIES:
        raise RuntimeError(f"{count} policies were loaded instead of {_POLICIES}")
    with KernelSide() as kernel:
        since = time.perf_counter()
        read = read_policies(folder)
        values["load_read"].append(time.perf_counter() - since)
        change = kernel.put(read)
        values["load_compile"].append(change.compile_seconds)
        values["load_apply"].append(change.apply_seconds)


class _Timed(PolicyGenerations):
    """Generations that keep what the last one changed, and its seconds."""

    last: Switch
    seconds: float

    def apply(self, plan: Plan, renamed: Collection[str] = ()) -> Switch:
        since = time.perf_counter()
        self.last = super().apply(plan, renamed)
        self.seconds = time.perf_counter() - since
        return self.last


class _Agent:
    """The policy set of the agent, from its files to the kernel."""

    def __init__(self, folder: Path, kernel: KernelSide) -> None:
        settings = Settings.model_validate({"tracing_policy_dir": folder})
        self._policies = PolicySet(
            settings, kernel.sensor, HookNames(), make_generations=_Timed
        )
        self._policies.load()

    def load(self) -> tuple[float, _Timed]:
        """Put in force what the files say now; seconds of all that it takes."""
        since = time.perf_counter()
        self._policies.load()
        seconds = time.perf_counter() - since
        if not isinstance(self._policies.generations, _Timed):
            raise TypeError
        return seconds, self._policies.generations

    def close(self) -> None:
        """Take them out of the kernel."""
        self._policies.close()


def _add(folder: Path, values: Values) -> None:
    """One policy more, and the set before again, in turns."""
    more = {
        "add": number_policy(_POLICIES, _OLD_CALL),
        "add_binary": spread([_POLICIES], _OLD_CALL)[0],
        "add_call": spread([_POLICIES], _FREE_CALL, binary=7)[0],
        "add_tracepoint": seek_policy("tracepoint"),
    }
    # it comes between the others
    added = folder / "0500-more.yaml"
    with KernelSide() as kernel, contextlib.closing(_Agent(folder, kernel)) as agent:
        agent.load()
        for _ in range(_ADDITIONS):
            for key, text in more.items():
                added.write_text(text)
                seconds, generations = agent.load()
                values[key].append(seconds * 1e3)
                values[f"{key}_apply"].append(generations.seconds * 1e3)
                switch = generations.last
                hooks = len(switch.added) + len(switch.changed)
                values[f"{key}_hooks"].append(hooks)
                added.unlink()
                agent.load()
    for key in more:
        values[f"{key}_worst"].append(max(values[key]))


def _change(folder: Path, values: Values, rounds: int) -> None:
    """Some files want another binary, on all hooks; then all do."""
    files = sorted(folder.iterdir())
    with KernelSide() as kernel, contextlib.closing(_Agent(folder, kernel)) as agent:
        for turn in range(1, rounds + 1):
            for key, count in (("change_some", _SOME), ("change_all", _POLICIES)):
                texts = spread(range(count))
                for path, text in zip(files, texts, strict=False):
                    path.write_text(text.replace("/opt/", f"/opt/{key}-{turn}/"))
                values[key].append(agent.load()[0])


def _classify(programs: Programs, values: Values, processes: int, changes: int) -> None:
    """Change all that is kept of a process, again and again."""
    texts = [
        followers(os.getpid(), programs.load, "/bench/load"),
        followers(os.getppid(), programs.leaf, "/bench/leaf"),
    ]
    plans = [
        compile_all(read_policies(write_policies("followers", [text])), KernelTarget())
        for text in texts
    ]
    with at_least_processes(programs, processes), KernelSide() as kernel:
        for plan in islice(cycle(plans), changes):
            values["classes"].append(kernel.apply(plan) * 1e3)
    values["classes_worst"].append(max(values["classes"]))
