# SPDX-License-Identifier: Apache-2.0
"""What there is to say about a policy set on a kernel.

`judge` is what `run` and `tetragon-py policy check` have in common: the same texts, for
the one as reasons to refuse the set, for the other partly as notes.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from tetragon_py.compiler.compilation import Compiler
from tetragon_py.compiler.target import Target
from tetragon_py.daemon.policy_names import entry_path
from tetragon_py.errors import PolicyError
from tetragon_py.loader.backends import choose_backend, list_points
from tetragon_py.policy.diagnostic import Cause, Severity
from tetragon_py.policy.later import later_parts
from tetragon_py.policy.loaded import LoadResult, diagnose, diagnostic_at
from tetragon_py.policy.model.actions import ENFORCING
from tetragon_py.policy.model.options import PolicyMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import TypeAlias

    from tetragon_py.compiler.plan import AttachPoint, HookPlan, Plan
    from tetragon_py.libbpf.features import ProbeResult
    from tetragon_py.loader.backends import Attachment
    from tetragon_py.loader.generation import HookError
    from tetragon_py.policy.diagnostic import Diagnostic
    from tetragon_py.policy.loaded import LoadedPolicy
    from tetragon_py.policy.model.policy import Policy

    Probe: TypeAlias = Callable[[str], ProbeResult]

__all__ = [
    "JudgedTarget",
    "Judgement",
    "Memory",
    "RefusedError",
    "enforcing_actions",
    "failed_hook",
    "judge",
]

#: More errors than this are counted only.
_SHOWN_ERRORS = 50
#: What the compiler says of a name that is unknown -> what has to be known for that.
_NEEDS = {
    "the kernel has no function": "functions",
    "the kernel has no tracepoint": "tracepoints",
    "the kernel has no raw tracepoint": "types",
    "the kernel has no LSM hook": "types",
}


class JudgedTarget(Target, Protocol):
    """A kernel that says what it cannot tell."""

    @property
    def unjudged(self) -> Mapping[str, str]:
        """Subject ("types", "functions", "tracepoints") -> why nothing is known."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What there is to say about a policy set on a kernel.

    Attributes:
        policies: Those that could be read.
        plan: Of those without errors.
        diagnostics: In the order of the files. Errors are mistakes of the documents,
            and what this kernel or this release cannot run: their `cause` tells which.
        attachments: How each hook of the plan is attached; empty if nobody could try.
    """

    policies: tuple[LoadedPolicy, ...]
    plan: Plan
    diagnostics: tuple[Diagnostic, ...]
    attachments: Mapping[AttachPoint, Attachment]

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """Why the set is refused."""
        return tuple(d for d in self.diagnostics if d.severity is Severity.ERROR)


class RefusedError(PolicyError):
    """A policy set is not put in force: a line or two for each of `diagnostics`."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        lines = list(map(str, diagnostics))
        shown = lines[:_SHOWN_ERRORS]
        if len(lines) > len(shown):
            shown.append(f"and {len(lines) - len(shown)} more")
        super().__init__("\n".join(shown))
        self.diagnostics = tuple(diagnostics)


class Memory:
    """What a set leaves for the next on the same kernel: all about policies that stay.

    Args:
        target: The kernel.
    """

    def __init__(self, target: JudgedTarget) -> None:
        self.compiler = Compiler(target)
        self._later: dict[tuple[str, str, int], tuple[Diagnostic, ...]] = {}

    def later(self, policies: Iterable[LoadedPolicy]) -> Iterator[Diagnostic]:
        """Yield what this release cannot run yet of a set."""
        before, self._later = self._later, {}
        for loaded in policies:
            key = (loaded.file, loaded.file_digest, loaded.document)
            found = before.get(key)
            if found is None:
                found = diagnose(loaded, later_parts(loaded.policy))
            self._later[key] = found
            yield from found


def judge(
    loaded: LoadResult,
    target: JudgedTarget,
    probe: Probe | None,
    memory: Memory | None = None,
) -> Judgement:
    """Compile policies and say all that is to be said about them.

    Args:
        loaded: The policies, and what reading them has said.
        target: The kernel.
        probe: Tries a feature of it; None if that cannot be done: then nothing is said
            about how hooks are attached.
        memory: Of the set before, on the same kernel.
    """
    memory = memory or Memory(target)
    compiled = memory.compiler.compile(loaded.policies)
    unjudged = target.unjudged if compiled.diagnostics else {}
    said = [_unsure(diagnostic, unjudged) for diagnostic in compiled.diagnostics]
    refused = {(d.file, d.line) for d in said if d.severity is Severity.ERROR}
    # where the compiler has refused the part, that is enough
    later = memory.later(loaded.policies)
    said += (d for d in later if (d.file, d.line) not in refused)
    attachments = {}
    if probe is not None:
        for hook in compiled.plan.hooks:
            point = hook.point
            is_typed = point.kind == "function" and bool(target.function(point.name))
            attachments[point] = choose_backend(hook, probe, is_typed=is_typed)
    said += _unattachable(loaded.policies, compiled.plan, attachments)
    files = {d.file: None for d in loaded.diagnostics}
    files |= {policy.file: None for policy in loaded.policies}
    order = {file: number for number, file in enumerate(files)}
    said = sorted(
        [*loaded.diagnostics, *said], key=lambda d: (order[d.file], d.line, d.column)
    )
    return Judgement(loaded.policies, compiled.plan, tuple(said), attachments)


# Without root, or without tracefs, a name may be there and not to be seen.
def _unsure(diagnostic: Diagnostic, unjudged: Mapping[str, str]) -> Diagnostic:
    for text, subject in _NEEDS.items():
        if diagnostic.message.startswith(text) and subject in unjudged:
            message = diagnostic.message.replace(
                "the kernel has no", "it cannot be told whether the kernel has"
            )
            return replace(diagnostic, message=message, hint=unjudged[subject])
    return diagnostic


def enforcing_actions(policy: Policy) -> list[str]:
    """The actions of a policy that change what processes can do."""
    if policy.options.policy_mode is not PolicyMode.ENFORCE:
        return []
    found = {
        action.action.value
        for _, _, hook in policy.hooks()
        for selector in hook.selectors
        for action in (*selector.match_actions, *selector.match_return_actions)
        if action.action in ENFORCING
    }
    return sorted(found)


# ---- what cannot be attached ----


def _unattachable(
    policies: Iterable[LoadedPolicy],
    plan: Plan,
    attachments: Mapping[AttachPoint, Attachment],
) -> Iterator[Diagnostic]:
    """One error for all hooks of an entry that lack the same."""
    by_name = {loaded.policy.name: loaded for loaded in policies}
    lacks: dict[tuple[str, str, str], list[AttachPoint]] = defaultdict(list)
    for hook in plan.hooks:
        found = attachments.get(hook.point)
        if found and found.lack:
            text = f"cannot be attached by {found.backend.title}: {found.lack}"
            for policy, entry in _entries(hook):
                lacks[policy, entry, text].append(hook.point)
    for (policy, entry, text), points in lacks.items():
        yield diagnostic_at(
            by_name[policy],
            entry_path(entry),
            f"{list_points(points)} {text}",
            cause=Cause.KERNEL,
        )


def failed_hook(found: Judgement, error: HookError) -> Iterator[Diagnostic]:
    """Yield an error for each entry that wants the hook which could not be had."""
    by_name = {loaded.policy.name: loaded for loaded in found.policies}
    text = f"{list_points([error.point])} cannot be attached: {error.__cause__}"
    for hook in found.plan.hooks:
        if hook.point == error.point:
            for policy, entry in _entries(hook):
                place = entry_path(entry)
                yield diagnostic_at(by_name[policy], place, text, cause=Cause.KERNEL)


def _entries(hook: HookPlan) -> dict[tuple[str, str], None]:
    return dict.fromkeys((s.policy, s.hook_entry) for s in hook.selectors)
