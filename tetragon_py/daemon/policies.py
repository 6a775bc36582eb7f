# SPDX-License-Identifier: Apache-2.0
"""The policy set of the agent: files in, a generation in the kernel out."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from tetragon_py.daemon.judgement import (
    Judgement,
    Memory,
    RefusedError,
    enforcing_actions,
    failed_hook,
    judge,
)
from tetragon_py.daemon.policy_change import (
    PolicyDifference,
    SetChange,
    compare_policies,
    digest_policies,
    log_errors,
)
from tetragon_py.daemon.policy_names import PolicyNames
from tetragon_py.errors import LimitError, PolicyError, TetragonError
from tetragon_py.libbpf import features
from tetragon_py.loader.generation import HookError, PolicyGenerations, Switch
from tetragon_py.loader.kernel import KernelTarget
from tetragon_py.loader.triggers import trigger
from tetragon_py.policy.diagnostic import Severity
from tetragon_py.policy.loaded import LoadResult
from tetragon_py.policy.source import PolicyReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeAlias

    from tetragon_py.compiler.plan import AttachPoint
    from tetragon_py.events.hook import HookNames
    from tetragon_py.libbpf.features import ProbeResult
    from tetragon_py.loader.lifecycle import LifecycleSensor
    from tetragon_py.loader.saved_generation import SavedGeneration
    from tetragon_py.policy.diagnostic import Diagnostic
    from tetragon_py.policy.loaded import LoadedPolicy
    from tetragon_py.settings import Settings

    Probe: TypeAlias = Callable[[str], ProbeResult]

__all__ = ["PolicySet", "policy_paths"]

log = structlog.get_logger("policies")
#: Of a reading that is so far behind, late events may name a hook of the next set.
_READ_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A set that could be put in force."""

    loaded: LoadResult
    judgement: Judgement
    target: KernelTarget
    left_out: tuple[Diagnostic, ...] = ()


class PolicySet:
    """The policies that the settings name.

    For one thread at a time, which need not be that of the events: their texts are
    entered in `names` before the kernel can send their numbers.

    At the first load a file of the directory that is wrong is left out, unless the
    settings are strict. Whatever else is wrong refuses the set as a whole: the set
    before stays in force.

    Args:
        settings: Where the policies are.
        sensor: The kernel side that they extend; closed after this.
        names: Gets the texts of events.
        make_target: Makes the kernel as the compiler sees it.
        make_generations: Makes what puts a plan in force.
        probe: Tries a feature of the kernel.
        save: What the next agent needs, see PolicyGenerations.
    """

    def __init__(
        self,
        settings: Settings,
        sensor: LifecycleSensor,
        names: HookNames,
        *,
        make_target: Callable[[], KernelTarget] = KernelTarget,
        make_generations: Callable[..., PolicyGenerations] = PolicyGenerations,
        probe: Probe = features.probe,
        save: Callable[[list[SavedGeneration]], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._save = save
        self._sensor = sensor
        self._names = PolicyNames(names, sensor.rings)
        self._make_target = make_target
        self._make_generations = make_generations
        self._probe = probe
        self._reader = PolicyReader()
        self._kernel: tuple[KernelTarget, Memory] | None = None
        self._read: _Candidate | None = None
        self._remarked: Judgement | None = None
        self._in_force: Judgement | None = None
        self._is_restored = False  # the set of an earlier agent is in force
        self.generations: PolicyGenerations | None = None
        self.change = SetChange(0, digest_policies(()), 0, 0)
        #: Hooks that were hit for a try, and whose programs did not run.
        self.silent: tuple[AttachPoint, ...] = ()

    def read(self) -> None:
        """Read and judge all policies; the kernel is asked, and nothing is loaded.

        Raises:
            PolicyError: one is wrong or cannot be had here; it says all there is.
        """
        self._read = self._judge()

    def load(self) -> SetChange:
        """Put in force what was read, or is read if nothing was.

        Again: instead of the set before, of which only what is different is changed.

        Raises:
            PolicyError: one cannot be had here; the set before is in force still.
            KernelError: the kernel fails otherwise; the same.
        """
        since = time.monotonic()
        candidate, self._read = self._read or self._judge(), None
        while True:
            try:
                change = self._put(candidate, since)
            except RefusedError as refusal:
                candidate = self._without(candidate, refusal.diagnostics)
                continue
            if self._in_force is not None or change.policies:
                change.log(is_first=self._in_force is None)
            self._in_force = candidate.judgement
            self.change = change
            return change

    @property
    def policies(self) -> tuple[LoadedPolicy, ...]:
        """Those in force."""
        return self._in_force.policies if self._in_force else ()

    def restore(self, saved: list[SavedGeneration]) -> None:
        """Go on with the set of an earlier agent; to be called after `read`.

        Raises:
            TetragonError: what is pinned is not what it has saved.
        """
        if not saved or self._read is None:
            return
        generations = self._make_generations(
            self._sensor, self._read.target, self._names.name_match, self._save
        )
        if not generations.restore(saved):
            raise TetragonError("the pinned policies are none that were saved")
        self.generations = generations
        self._is_restored = True

    def close(self) -> None:
        """Take them out of the kernel; twice does nothing."""
        if self.generations is not None:
            self.generations.close()

    # ---- from files to a candidate ----

    def _judge(self) -> _Candidate:
        if self._kernel is None or not self._kernel[0].is_current:
            made = self._make_target()
            self._kernel = made, Memory(made)
        loaded = self._reader.read(policy_paths(self._settings), trusted=True)
        candidate = self._candidate(loaded)
        while errors := candidate.judgement.errors:
            candidate = self._without(candidate, errors)
        _log_remarks(candidate.judgement, self._remarked)
        self._remarked = candidate.judgement
        return candidate

    def _candidate(
        self, loaded: LoadResult, left_out: tuple[Diagnostic, ...] = ()
    ) -> _Candidate:
        assert self._kernel is not None  # noqa: S101 - for mypy
        target, memory = self._kernel
        found = judge(loaded, target, self._probe, memory)
        return _Candidate(loaded, found, target, left_out)

    def _without(
        self, candidate: _Candidate, errors: Iterable[Diagnostic]
    ) -> _Candidate:
        """The set without the files of these errors, where that is allowed.

        Raises:
            RefusedError: It is not.
        """
        errors = tuple(errors)
        files = {error.file for error in errors}
        if not all(map(self._may_be_left_out, files)):
            raise RefusedError((*candidate.left_out, *errors))
        log_errors("policy file is left out", errors)
        loaded = LoadResult(
            tuple(p for p in candidate.loaded.policies if p.file not in files),
            tuple(d for d in candidate.loaded.diagnostics if d.file not in files),
        )
        return self._candidate(loaded, (*candidate.left_out, *errors))

    def _may_be_left_out(self, file: str) -> bool:
        """Only at the start, and only what nobody has named on purpose."""
        settings, path = self._settings, Path(file)
        return (
            self._in_force is None
            and not settings.strict
            and path.parent == settings.tracing_policy_dir
            and not {path, path.parent}.intersection(settings.tracing_policy)
        )

    # ---- from a candidate to the kernel ----

    def _put(self, candidate: _Candidate, since: float) -> SetChange:
        found, before = candidate.judgement, self._in_force
        difference = compare_policies(before.policies if before else (), found.policies)
        is_same = not difference and (before is None or before.plan == found.plan)
        switch, seconds = None, time.monotonic() - since
        is_first = before is None and (self.generations or found.policies)
        if not is_same or is_first:
            switch = self._switch(candidate, difference)
            seconds += switch.seconds
        return SetChange(
            self.generations.generation if self.generations else 0,
            digest_policies(found.policies),
            len(found.policies),
            len(found.plan.hooks),
            difference,
            switch.added if switch else (),
            switch.removed if switch else (),
            switch.changed if switch else (),
            candidate.left_out,
            is_switch=switch is not None,
            seconds=seconds,
        )

    def _switch(self, candidate: _Candidate, difference: PolicyDifference) -> Switch:
        found, target = candidate.judgement, candidate.target
        self._names.await_reading(_READ_SECONDS)
        self._names.forget_retired()
        self._names.set_policies(found.policies)
        with ExitStack() as undo:
            generations = self.generations
            if generations is None:
                generations = self._make_generations(
                    self._sensor, target, self._names.name_match, self._save
                )
                undo.callback(generations.close)
            generations.see(target)
            try:
                # who was before this agent does not say which texts it had
                renamed = difference.added if self._is_restored else ()
                self._is_restored = False
                switch = generations.apply(
                    found.plan, frozenset((*difference.changed, *renamed))
                )
            except HookError as error:
                raise RefusedError(tuple(failed_hook(found, error))) from error
            except LimitError as error:
                raise PolicyError(str(error)) from error
            undo.pop_all()
        self.generations = generations
        self._names.retire(generations.matches())
        still = {hook.point for hook in found.plan.hooks}.difference(switch.added)
        self.silent = (
            *(point for point in self.silent if point in still),
            *_try_out(generations, switch.added, target),
        )
        return switch


def _try_out(
    generations: PolicyGenerations, added: Sequence[AttachPoint], target: KernelTarget
) -> list[AttachPoint]:
    """Hit the hooks that this process can hit; those that are silent do not work.

    Not those that enforce: it is this process that they would hit.
    """
    harmless = set(added) - generations.enforcing()
    triggered = trigger(sorted(harmless, key=str), target)
    hits = generations.hits() if triggered else {}
    silent = [point for point in sorted(triggered, key=str) if not hits[point]]
    for point in silent:
        log.error("hook is attached and does not run", kind=point.kind, hook=point.name)
    return silent


def policy_paths(settings: Settings) -> list[Path]:
    """Files and directories that the settings name, in the order of loading."""
    folder = settings.tracing_policy_dir
    asked = "tracing_policy_dir" in settings.model_fields_set
    return [*([folder] if asked or folder.exists() else []), *settings.tracing_policy]


# ---- the log ----


def _log_remarks(found: Judgement, before: Judgement | None) -> None:
    """Say what was not said about the set before."""
    told = set(before.diagnostics) if before else set()
    known = {id(loaded) for loaded in before.policies} if before else set()
    for diagnostic in found.diagnostics:
        if diagnostic in told:
            continue
        level = log.warning if diagnostic.severity is Severity.WARNING else log.info
        fields = {
            "file": diagnostic.file,
            "line": diagnostic.line,
            "policy": _policy_at(diagnostic, found.policies),
            "field": diagnostic.path,
            "hint": diagnostic.hint,
        }
        level(diagnostic.message, **{key: said for key, said in fields.items() if said})
    for loaded in found.policies:
        if id(loaded) in known:
            continue
        if actions := enforcing_actions(loaded.policy):
            log.info(
                "the policy enforces",
                file=loaded.file,
                policy=loaded.policy.name,
                actions=actions,
            )


def _policy_at(diagnostic: Diagnostic, policies: Sequence[LoadedPolicy]) -> str:
    """The policy of the file that begins last before the line."""
    own = [loaded for loaded in policies if loaded.file == diagnostic.file]
    if len(own) > 1:
        own = [loaded for loaded in own if loaded.locate(())[0] <= diagnostic.line]
    return own[-1].policy.name if own and diagnostic.line else ""
