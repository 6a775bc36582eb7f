# SPDX-License-Identifier: Apache-2.0
"""Rounds: each a policy set and hits near its values, until enough was compared."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from tests.fuzz.case import Bench, Difference, PolicySet
from tests.fuzz.entries import World
from tests.fuzz.hits import HitMaker
from tests.fuzz.myself import host_namespaces, other_capabilities
from tests.fuzz.policies import PolicyMaker, draw_count
from tests.fuzz.pools import Pools
from tests.fuzz.shape import Shape
from tests.fuzz.shrink import show, shrink
from tests.fuzz.target import SYSCALLS, FuzzTarget
from tetragon_py.errors import LimitError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fuzz.hit import ArgumentKey, Process
    from tests.fuzz.kernel import Classifier
    from tests.fuzz.policies import Document

__all__ = ["POLICIES_MAX", "Fuzz", "Summary"]

POLICIES_MAX = 200
_PROCESSES = 6
_HITS = (200, 400)


@dataclass(slots=True)
class Summary:
    """What a run did."""

    comparisons: int = 0
    rounds: int = 0
    policies: int = 0
    with_match: int = 0  #: comparisons in which some selector matched
    refused: Counter[str] = field(default_factory=Counter)  #: by the compiler
    too_large: int = 0  #: policy sets for which some map had no room
    seconds: float = 0.0
    failure: str = ""

    def __str__(self) -> str:
        rate = self.comparisons / self.seconds if self.seconds else 0
        return (
            f"{self.comparisons} comparisons in {self.rounds} rounds with "
            f"{self.policies} policies, {self.seconds:.1f} s, {rate:.0f}/s; "
            f"{self.with_match} with a match; "
            f"{sum(self.refused.values())} policies refused, "
            f"{self.too_large} sets too large"
        )


class _Failed(NamedTuple):
    documents: list[Document]
    point: str
    keys: tuple[ArgumentKey, ...]
    difference: Difference


class Fuzz:
    """A classifier and everything to question it with."""

    def __init__(self, classifier: Classifier) -> None:
        host = host_namespaces()
        #: For policy sets of one's own.
        self.bench = Bench(
            classifier,
            FuzzTarget(host, classifier.text_bytes_max),
            World(host, SYSCALLS),
        )

    def run(
        self,
        seed: int,
        comparisons: int,
        policies_max: int = POLICIES_MAX,
        progress: Callable[[Summary], None] = lambda _: None,
        *,
        first_round: int = 0,
        is_shrunk: bool = True,
    ) -> Summary:
        """Compare until enough were equal, or one was not: `failure` says which.

        Args:
            seed: The same one makes the same rounds on the same machine.
            comparisons: At least so many.
            policies_max: Of one round.
            progress: Told after each round.
            first_round: Leave out those before.
            is_shrunk: Make the failure small before it is told; takes up to a minute.
        """
        summary = Summary()
        start = time.monotonic()
        while summary.comparisons < comparisons and not summary.failure:
            number = first_round + summary.rounds
            rng = Random(f"{seed}.{number}")
            with other_capabilities(rng) as myself:
                failed = None
                try:
                    failed = self._round(rng, policies_max, myself, summary)
                except LimitError:
                    summary.too_large += 1
                if failed:
                    case = (
                        shrink(*failed, self.bench)
                        if is_shrunk
                        else (failed.documents, failed.difference)
                    )
                    where = f"--seed {seed} --round {number}"
                    summary.failure = f"{where}\n{show(*case)}"
            summary.rounds += 1
            summary.seconds = time.monotonic() - start
            progress(summary)
        return summary

    def _round(
        self, rng: Random, policies_max: int, myself: Process, summary: Summary
    ) -> _Failed | None:
        inodes = tuple(sorted(set(myself.namespaces.values())))
        pools = Pools.draw(rng, myself.pid, inodes)
        shape = Shape.draw(rng)
        maker = PolicyMaker(rng, pools, shape, self.bench.target.text_bytes_max)
        count = draw_count(rng, policies_max)
        documents = [maker.policy(number) for number in range(count)]
        hit_maker = HitMaker(rng, pools, shape, myself)
        processes = [hit_maker.process() for _ in range(_PROCESSES)]
        hits = [hit_maker.hit(processes) for _ in range(rng.randint(*_HITS))]
        with PolicySet(documents, shape.point, shape.keys, self.bench) as policy_set:
            summary.policies += policy_set.policy_count
            summary.refused.update(policy_set.refused)
            for result in policy_set.compare(hits):
                summary.comparisons += 1
                if isinstance(result, Difference):
                    return _Failed(documents, shape.point, shape.keys, result)
                summary.with_match += bool(result.matched)
        return None
