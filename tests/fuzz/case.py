# SPDX-License-Identifier: Apache-2.0
"""A policy set in the kernel and in the evaluator: hits come in, differences go out."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple, Self

from tests.fuzz.entries import entries_of, is_told
from tests.fuzz.evaluator import Evaluator, first_match
from tests.fuzz.kernel import HITS_MAX, Classified
from tests.fuzz.policies import write_documents
from tests.fuzz.record import slot_keys
from tetragon_py.compiler.compilation import compile_policies
from tetragon_py.policy.documents import load_text
from tetragon_py.policy.model.hooks import ReturningHook

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.fuzz.entries import World
    from tests.fuzz.hit import ArgumentKey, Hit, Process
    from tests.fuzz.kernel import Classifier
    from tests.fuzz.policies import Document
    from tests.fuzz.target import FuzzTarget

__all__ = ["Bench", "Difference", "PolicySet", "UnloadableError"]


class UnloadableError(Exception):
    """The loader refused a policy: the generator made a wrong one."""


class Difference(NamedTuple):
    """A hit that the two see differently."""

    hit: Hit
    expected: Classified
    found: Classified


class Bench(NamedTuple):
    """What all policy sets of a run share."""

    classifier: Classifier
    target: FuzzTarget
    world: World


class PolicySet:
    """A set of policies at one attach point, compiled and stored. A context manager.

    Args:
        documents: The policies.
        point: The name of the function or tracepoint whose hits are compared.
        keys: All arguments that a hit has.
        bench: Where it runs.

    Raises:
        UnloadableError: Some policy is wrong.
        LimitError: The maps have no room for it.
    """

    def __init__(
        self,
        documents: Sequence[Document],
        point: str,
        keys: Sequence[ArgumentKey],
        bench: Bench,
    ) -> None:
        loaded = load_text(write_documents(documents), "fuzz")
        if loaded.has_errors:
            raise UnloadableError("\n".join(map(str, loaded.diagnostics)))
        compiled = compile_policies(loaded.policies, bench.target)
        #: Messages of the compiler about policies that it refused.
        self.refused = [str(d) for found in compiled.refused.values() for d in found]
        policies = [
            found.policy
            for found in loaded.policies
            if found.policy.name not in compiled.refused
        ]
        self.policy_count = len(policies)
        self._entries = entries_of(policies, point)
        self._evaluator = Evaluator(self._entries, bench.world)
        self._told = [
            [is_told(selector) for selector in entry.hook.selectors] or [True]
            for entry in self._entries
        ]
        self._at_return = [
            isinstance(entry.hook, ReturningHook) and entry.hook.return_
            for entry in self._entries
        ]
        self._classifier = bench.classifier
        self._classes: dict[int, bytes] = {}
        self._undo = contextlib.ExitStack()
        if self._entries:
            [hook] = [h for h in compiled.plan.hooks if h.point.name == point]
            self._slots = slot_keys(hook.arguments, keys)
            self._stored = self._undo.enter_context(
                bench.classifier.store(compiled.plan, hook)
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def expected(self, hit: Hit) -> Classified:
        """What the evaluator makes of a hit; told at the entry comes first."""
        matched, bit = 0, 0
        told: tuple[list[tuple[int, int]], ...] = ([], [])
        for number, matches in enumerate(self._evaluator.matches(hit)):
            for is_match in matches:
                matched |= is_match << bit
                bit += 1
            first = first_match(matches)
            if first is not None and self._told[number][first]:
                told[self._at_return[number]].append((number, first))
        return Classified(matched, (*told[False], *told[True]))

    def compare(self, hits: Sequence[Hit]) -> Iterator[Difference | Classified]:
        """Yield for each hit what both make of it, or how they differ."""
        if not self._entries:
            return
        for start in range(0, len(hits), HITS_MAX):
            batch = hits[start : start + HITS_MAX]
            classed = [(hit, self._class_of(hit.process)) for hit in batch]
            results = self._classifier.classify(self._stored, self._slots, classed)
            for hit, found in zip(batch, results, strict=True):
                expected = self.expected(hit)
                if found == expected:
                    yield found
                else:
                    yield Difference(hit, expected, found)

    def _class_of(self, process: Process) -> bytes:
        if id(process) not in self._classes:
            found = self._classifier.classify_process(process)
            self._classes[id(process)] = found
        return self._classes[id(process)]
