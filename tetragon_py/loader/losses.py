# SPDX-License-Identifier: Apache-2.0
"""The kernel side's loss counters, as what is new since the last look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tetragon_py.abi import _generated as c
from tetragon_py.abi.record import LOSS_SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tetragon_py.libbpf import Map, PinnedProgram, Program

    #: Lane and name of a cause.
    _Place = tuple[str, str]

__all__ = ["CAUSE_NAMES", "TYPE_NAMES", "LossCounters", "Losses"]

CAUSE_NAMES = {
    c.LOSS_RING_FULL: "ring_full",
    c.LOSS_TABLE_FULL: "table_full",
    c.LOSS_NO_SCRATCH: "no_scratch",
    c.LOSS_NOT_RUN: "not_run",
    c.LOSS_VERDICTS_FULL: "ring_full",
}
TYPE_NAMES = {
    c.EVENT_FORK: "fork",
    c.EVENT_EXEC: "exec",
    c.EVENT_EXIT: "exit",
    c.EVENT_HOOK: "hook",
}


class Losses(NamedTuple):
    """New losses in one lane: by kind of record, and by the process behind them."""

    lane: str
    cause: str
    counts: dict[str, int]
    sources: dict[int, int]  # tgid -> records; a hint, the counts are exact


class LossCounters:
    """Reads the maps "losses" and "loss_sources", and the kernel's own misses.

    Args:
        losses: Per-CPU counters by cause and type.
        sources: By whom; emptied at each look.
        stand_ins: Per-CPU counters by type: what a program's stand-in told.
        programs: Type of record -> the program that posts it and its stand-in, if any.
    """

    def __init__(
        self,
        losses: Map,
        sources: Map,
        stand_ins: Map,
        programs: Iterable[tuple[int, Sequence[Program | PinnedProgram]]],
    ) -> None:
        self._losses = losses
        self._sources = sources
        self._stand_ins = stand_ins
        self._programs = list(programs)
        self._seen: dict[tuple[int, int], int] = {}
        self._not_run_seen: dict[int, int] = {}
        #: Hits of policies' hooks that no program ran for; who attaches them sets it.
        self.hook_misses: Callable[[], int] = int

    def read_new(self) -> list[Losses]:
        """What was lost since the last call, one entry per lane and cause."""
        fresh: dict[_Place, dict[str, int]] = {}
        for (cause, kind), total in self._totals().items():
            new = total - self._seen.get((cause, kind), 0)
            if new:
                self._seen[cause, kind] = total
                counts = fresh.setdefault(_place(cause, kind), {})
                counts[TYPE_NAMES[kind]] = new
        if not fresh:
            return []
        sources = self._take_sources()
        return [
            Losses(*place, counts, sources.get(place, {}))
            for place, counts in fresh.items()
        ]

    def told(self) -> dict[str, Any]:
        """What was told so far, for `go_on`."""
        return {"seen": dict(self._seen), "not_run": dict(self._not_run_seen)}

    def go_on(self, told: Mapping[str, Any]) -> None:
        """Go on where an earlier agent ended that read the same maps."""
        self._seen = dict(told["seen"])
        self._not_run_seen = dict(told["not_run"])

    def _totals(self) -> dict[tuple[int, int], int]:
        totals = {}
        for cause in CAUSE_NAMES:
            for kind in TYPE_NAMES:
                index = cause * c.EVENT_TYPE_COUNT + kind
                totals[cause, kind] = _sum(self._losses, index)
        for kind, copies in self._programs:
            totals[c.LOSS_NOT_RUN, kind] += self._not_run(kind, copies)
        totals[c.LOSS_NOT_RUN, c.EVENT_HOOK] += self.hook_misses()
        return totals

    def _not_run(self, kind: int, copies: Sequence[Program | PinnedProgram]) -> int:
        """How many hits no copy ran for, at most: the kernel counts each copy alone."""
        missed = [program.info().recursion_misses for program in copies]
        told = _sum(self._stand_ins, kind)
        # misses only grow: so may this, lest a loss be told twice
        total = max(
            min([missed[0] - told, *missed[1:]]), self._not_run_seen.get(kind, 0)
        )
        self._not_run_seen[kind] = total
        return total

    def _take_sources(self) -> dict[_Place, dict[int, int]]:
        found: dict[_Place, dict[int, int]] = {}
        for key, value in self._sources.items():
            self._sources.delete(key)
            tgid, kind, cause = LOSS_SOURCE.unpack(key)
            by_tgid = found.setdefault(_place(cause, kind), {})
            by_tgid[tgid] = by_tgid.get(tgid, 0) + int.from_bytes(value, "little")
        return found


def _place(cause: int, kind: int) -> _Place:
    lane = "policy" if kind == c.EVENT_HOOK else "lifecycle"
    return "verdict" if cause == c.LOSS_VERDICTS_FULL else lane, CAUSE_NAMES[cause]


def _sum(counters: Map, index: int) -> int:
    values = counters.percpu_values(index.to_bytes(4, "little"))
    return sum(int.from_bytes(value, "little") for value in values)
