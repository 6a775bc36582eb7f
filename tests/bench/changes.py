# SPDX-License-Identifier: Apache-2.0
"""What a change of the policy set costs: the first load, one policy more, processes to
classify.
"""

from __future__ import annotations

import os
import time
from itertools import cycle, islice
from typing import TYPE_CHECKING

from tests.bench.kernel_side import KernelSide, compile_all, read_policies
from tests.bench.policy_files import (
    SPREAD_CALLS,
    followers,
    seek_policy,
    spread,
    write_policies,
)
from tests.bench.workload import at_least_processes
from tetragon_py.daemon.policies import PolicySet
from tetragon_py.events.hook import HookNames
from tetragon_py.loader.kernel import KernelTarget
from tetragon_py.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.bench.limits import Values
    from tests.bench.programs import Programs

__all__ = ["measure_changes"]

_POLICIES = 1_000
#: A system call that none of the spread policies is on.
_FREE_CALL = "msgget"
_OLD_CALL = "dup2"


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
    tell("add one policy")
    _add(folder, values, rounds)
    tell(f"{changes} changes of what {processes} processes are classified by")
    _classify(programs, values, processes, changes)


def _load(folder: Path, values: Values) -> None:
    """As the agent does at its start, then its stages one by one."""
    settings = Settings.model_validate({"tracing_policy_dir": folder})
    with KernelSide() as kernel:
        policies = PolicySet(settings, kernel.sensor, HookNames())
        since = time.perf_counter()
        count = policies.load()
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


def _add(folder: Path, values: Values, rounds: int) -> None:
    """One policy more, and the set before again, in turns."""
    more = {
        "add": spread([_POLICIES], _OLD_CALL, binary=7),
        "add_binary": spread([_POLICIES], _OLD_CALL),
        "add_call": spread([_POLICIES], _FREE_CALL, binary=7),
        "add_tracepoint": [seek_policy("tracepoint")],
    }
    files = {key: write_policies(key, texts) for key, texts in more.items()}
    before = read_policies(folder)
    with KernelSide() as kernel:
        kernel.put(before)
        for _ in range(rounds):
            for key, path in files.items():
                since = time.perf_counter()
                one = read_policies(path)
                change = kernel.put((*before, *one))
                values[key].append((time.perf_counter() - since) * 1e3)
                values[f"{key}_compile"].append(change.compile_seconds * 1e3)
                values[f"{key}_apply"].append(change.apply_seconds * 1e3)
                hooks = len(change.switch.added) + len(change.switch.changed)
                values[f"{key}_hooks"].append(hooks)
                kernel.put(before)


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
