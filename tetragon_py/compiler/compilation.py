# SPDX-License-Identifier: Apache-2.0
"""A policy set and a kernel come in, a plan and all that is wrong go out."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tetragon_py.compiler.drafts import Draft
from tetragon_py.compiler.entries import compile_entries
from tetragon_py.compiler.limits import Admission
from tetragon_py.compiler.plan import Plan
from tetragon_py.compiler.tables.classes import Classes
from tetragon_py.policy.diagnostic import Diagnostic, Severity
from tetragon_py.policy.loaded import LoadedPolicy, diagnose

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tetragon_py.compiler.entries import HookEntry
    from tetragon_py.compiler.plan import AttachPoint
    from tetragon_py.compiler.target import Target
    from tetragon_py.policy.diagnostic import Finding

__all__ = ["CompileResult", "Compiler", "compile_policies"]


@dataclass(frozen=True, slots=True)
class CompileResult:
    """The plan of all policies without errors.

    Attributes:
        plan: Of those that were not refused.
        diagnostics: Everything that is to be said, in the order of the policies.
        refused: Name of a policy -> its errors.
    """

    plan: Plan
    diagnostics: tuple[Diagnostic, ...] = ()
    refused: Mapping[str, tuple[Diagnostic, ...]] = field(default_factory=dict)


class _Unit(NamedTuple):
    """A policy that is compiled, without what the others make of it."""

    loaded: LoadedPolicy
    entries: list[HookEntry]
    found: list[Finding]
    said: tuple[Diagnostic, ...]

    @property
    def is_wrong(self) -> bool:
        return any(finding.severity is Severity.ERROR for finding in self.found)


def compile_policies(policies: Sequence[LoadedPolicy], target: Target) -> CompileResult:
    """Compile a policy set for a kernel, as `Compiler.compile` does the first one."""
    return Compiler(target).compile(policies)


class Compiler:
    """Compiles policy sets for a kernel, one after the other. For one thread.

    What a set has in common with the one before is not compiled again: policies are
    known by their digest, and a hook of the same policies keeps its plan. Whether a set
    is right does not depend on the one before; the numbers of classes do.

    Args:
        target: The kernel; whoever sees it change makes a new compiler.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._units: dict[str, _Unit] = {}
        self._drafts: dict[AttachPoint, Draft] = {}
        self._classes: Classes | None = None

    def compile(self, policies: Sequence[LoadedPolicy]) -> CompileResult:
        """Compile a policy set.

        A policy with an error is left out as a whole. Their order matters: an earlier
        policy has lower numbers, and keeps its place where there is too little room.

        Args:
            policies: Their names are unique.
        """
        units = [self._compile(loaded) for loaded in policies]
        self._units = {unit.loaded.digest: unit for unit in units}
        right = [unit for unit in units if not unit.is_wrong]
        drafts = self._draft(right)
        late: dict[str, tuple[Diagnostic, ...]] = {}
        if not Admission().admit_all(drafts):
            late = _refuse(right)
            drafts = self._draft(u for u in right if u.loaded.digest not in late)
        diagnostics: list[Diagnostic] = []
        refused: dict[str, tuple[Diagnostic, ...]] = {}
        for unit in units:
            said = (*unit.said, *late.get(unit.loaded.digest, ()))
            diagnostics += said
            if errors := tuple(d for d in said if d.severity is Severity.ERROR):
                refused[unit.loaded.policy.name] = errors
        return CompileResult(self._merge(drafts), tuple(diagnostics), refused)

    def _compile(self, loaded: LoadedPolicy) -> _Unit:
        known = self._units.get(loaded.digest)
        if known is None:
            entries, found = compile_entries(loaded.policy, self._target)
        elif known.loaded is loaded:
            return known
        else:
            entries, found = known.entries, known.found
        # it may stand elsewhere now
        said = diagnose(loaded, found) if found else ()
        return _Unit(loaded, entries, found, said)

    def _draft(self, units: Iterable[_Unit]) -> list[Draft]:
        by_point: dict[AttachPoint, list[HookEntry]] = defaultdict(list)
        for unit in units:
            for entry in unit.entries:
                by_point[entry.point].append(entry)
        drafts = {}
        for point, its in by_point.items():
            known = self._drafts.get(point)
            if known is None or known.entries != its:
                known = Draft(its)
            drafts[point] = known
        self._drafts = drafts
        return list(drafts.values())

    def _merge(self, drafts: Sequence[Draft]) -> Plan:
        self._classes = Classes(
            {pattern for draft in drafts for pattern in draft.patterns(ends=False)},
            {pattern for draft in drafts for pattern in draft.patterns(ends=True)},
            dict.fromkeys(values for draft in drafts for values in draft.followed),
            before=self._classes,
        )
        hooks = tuple(draft.plan(self._classes) for draft in drafts)
        return Plan(hooks, self._classes.plan())


# Who comes too late: digest -> why.
def _refuse(units: Iterable[_Unit]) -> dict[str, tuple[Diagnostic, ...]]:
    admission = Admission()
    late = {}
    for unit in units:
        if found := admission.admit(unit.entries):
            late[unit.loaded.digest] = diagnose(unit.loaded, found)
    return late
