# SPDX-License-Identifier: Apache-2.0
"""What a hit costs, by the number of policies: BPF run time, and wall time where the
dispatcher of system calls sees a call that nobody wants.

One hook, the same calls, with 1 policy and with 1,000, in turns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.kernel_side import KernelSide, read_policies
from tests.bench.policy_files import (
    COLD,
    DEEP_ROOT,
    MATCHING,
    WARM,
    open_policy,
    return_policy,
    tenants,
    write_policies,
)
from tests.bench.workload import run_calls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.bench.limits import Values
    from tests.bench.programs import Programs
    from tetragon_py.policy.loaded import LoadedPolicy

__all__ = ["measure_hits"]

_DISPATCHER = ("enter_syscall", "exit_syscall")
_MANY = 1_000
#: Does nothing to who does not ask for it.
_SIGURG = 23
#: Calls whose wall time is measured, of those whose run time is.
_WALL_MULTIPLE = 50


def measure_hits(
    programs: Programs,
    values: Values,
    count: int,
    rounds: int,
    tell: Callable[[str], None],
) -> None:
    """Add the rows of all hits to `values`.

    Args:
        programs: The C programs.
        values: Name of a report row -> all values measured.
        count: Calls per measurement.
        rounds: How often each is made.
        tell: Gets a line of progress.
    """
    hits = _Hits(programs, values, count)
    for turn in range(rounds):
        tell(f"hits, round {turn + 1} of {rounds}: {count} calls each")
        hits.unhooked()
        hits.filtered(turn)


class _Hits:
    def __init__(self, programs: Programs, values: Values, count: int) -> None:
        self._programs = programs
        self._values = values
        self._count = count
        many = _read("tenants", tenants(_MANY, programs.load))
        deep = _read("deep", tenants(_MANY, programs.load, DEEP_ROOT))
        urgent = _read("urgent", tenants(_MANY, programs.load, signal=_SIGURG))
        self._sets = {
            1: (many[:1], deep[:1], urgent[:1]),
            _MANY: (many, deep, urgent),
        }
        self._plain = _read("open", [open_policy()])
        self._returning = _read("return", [open_policy(), return_policy()])
        self._unhooked_ns = 0.0

    def unhooked(self) -> None:
        """A system call without a policy: only the dispatcher sees it."""
        none = self._wall_ns()
        with KernelSide() as kernel:
            for name, policies in (("", self._plain), ("_return", self._returning)):
                kernel.put(policies)
                found = kernel.run_time(_DISPATCHER, lambda: self._calls("getppid"))
                self._values[f"unhooked{name}"].append(found.total_ns / found.runs)
                self._values[f"wall{name}"].append(self._wall_ns() - none)
        self._unhooked_ns = self._values["unhooked"][-1]

    def filtered(self, turn: int) -> None:
        """Hits that 1 policy and that 1,000 look at, with all filters evaluated."""
        order = sorted(self._sets, reverse=bool(turn % 2))
        with KernelSide() as kernel:
            for size in order:
                policies, deep, urgent = self._sets[size]
                kernel.put(policies)
                self._hit(f"warm_{size}", WARM, kernel)
                self._hit(f"cold_{size}", COLD, kernel)
                self._hit(f"posted_{size}", self._matching(size), kernel)
                kernel.put(deep)
                self._hit(f"deep_{size}", DEEP_ROOT + WARM, kernel)
                kernel.put(urgent)
                self._hit(f"spared_{size}", WARM, kernel)
                self._hit(f"signalled_{size}", self._matching(size), kernel)
        add = self._values
        post = add["posted_1"][-1] - add["warm_1"][-1]
        add["matched"].append(add[f"posted_{_MANY}"][-1] - post)

    # With one policy there is only one path that matches.
    def _matching(self, size: int) -> str:
        return MATCHING if size == _MANY else MATCHING.replace("####", "0000")

    def _hit(self, key: str, path: str, kernel: KernelSide) -> None:
        found = kernel.run_time(_DISPATCHER, lambda: self._calls(f"open {path}"))
        self._values[key].append(found.mean_ns(self._count, self._unhooked_ns))

    def _wall_ns(self) -> float:
        count = _WALL_MULTIPLE * self._count
        return run_calls(self._programs, "getppid", count).wall_us_each * 1e3

    def _calls(self, call: str) -> None:
        run_calls(self._programs, call, self._count)


def _read(name: str, texts: Iterable[str]) -> tuple[LoadedPolicy, ...]:
    return read_policies(write_policies(name, texts))
