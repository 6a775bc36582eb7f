# SPDX-License-Identifier: Apache-2.0
"""A policy set and a kernel come in, a plan and all that is wrong go out."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tetragon_py.compiler.entries import compile_entries
from tetragon_py.compiler.limits import Admission
from tetragon_py.compiler.plan import Plan
from tetragon_py.compiler.points import merge_entries
from tetragon_py.compiler.tables.classes import Classes
from tetragon_py.policy.diagnostic import Diagnostic, Severity
from tetragon_py.policy.loaded import LoadedPolicy, diagnose

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tetragon_py.compiler.entries import HookEntry
    from tetragon_py.compiler.plan import AttachPoint
    from tetragon_py.compiler.target import Target

__all__ = ["CompileResult", "compile_policies"]


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


def compile_policies(policies: Sequence[LoadedPolicy], target: Target) -> CompileResult:
    """Compile a policy set for a kernel.

    A policy with an error is left out as a whole. Their order matters: an earlier
    policy has lower numbers, and keeps its place where there is too little room.

    Args:
        policies: Their names are unique.
        target: The kernel.
    """
    admission = Admission()
    entries: list[HookEntry] = []
    diagnostics: list[Diagnostic] = []
    refused: dict[str, tuple[Diagnostic, ...]] = {}
    for loaded in policies:
        own, found = compile_entries(loaded.policy, target)
        if not any(finding.severity is Severity.ERROR for finding in found):
            found += admission.admit(own)
        placed = diagnose(loaded, found) if found else ()
        diagnostics += placed
        errors = tuple(d for d in placed if d.severity is Severity.ERROR)
        if errors:
            refused[loaded.policy.name] = errors
        else:
            entries += own
    return CompileResult(_plan(entries, admission), tuple(diagnostics), refused)


def _plan(entries: Sequence[HookEntry], admission: Admission) -> Plan:
    by_point: dict[AttachPoint, list[HookEntry]] = defaultdict(list)
    for entry in entries:
        by_point[entry.point].append(entry)
    followed = admission.followed
    classes = Classes(*admission.binary_patterns, followed)
    hooks = tuple(merge_entries(its, classes, followed) for its in by_point.values())
    return Plan(hooks, classes.plan())
