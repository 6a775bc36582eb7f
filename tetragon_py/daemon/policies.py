# SPDX-License-Identifier: Apache-2.0
"""The policy set of the agent: files in, a generation in the kernel out.

`judge` is what `run` and `tetragon-py policy check` have in common: the same texts, for
the one as reasons to refuse the set, for the other partly as notes.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import structlog

from tetragon_py.compiler.compilation import Compiler
from tetragon_py.compiler.target import Target
from tetragon_py.daemon.policy_names import PolicyNames, entry_path
from tetragon_py.errors import LimitError, PolicyError
from tetragon_py.libbpf import features
from tetragon_py.loader.backends import choose_backend, list_points
from tetragon_py.loader.generation import HookError, PolicyGenerations
from tetragon_py.loader.kernel import KernelTarget
from tetragon_py.loader.triggers import trigger
from tetragon_py.policy.diagnostic import Cause, Severity
from tetragon_py.policy.later import later_parts
from tetragon_py.policy.loaded import LoadResult, diagnose, diagnostic_at
from tetragon_py.policy.model.actions import ENFORCING
from tetragon_py.policy.model.options import PolicyMode
from tetragon_py.policy.source import PolicyReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import TypeAlias

    from tetragon_py.compiler.plan import AttachPoint, HookPlan, Plan
    from tetragon_py.events.hook import HookNames
    from tetragon_py.libbpf.features import ProbeResult
    from tetragon_py.loader.backends import Attachment
    from tetragon_py.loader.lifecycle import LifecycleSensor
    from tetragon_py.policy.diagnostic import Diagnostic
    from tetragon_py.policy.loaded import LoadedPolicy
    from tetragon_py.policy.model.policy import Policy
    from tetragon_py.settings import Settings

    Probe: TypeAlias = Callable[[str], ProbeResult]

__all__ = [
    "JudgedTarget",
    "Judgement",
    "Memory",
    "PolicySet",
    "enforcing_actions",
    "judge",
]

log = structlog.get_logger("policies")
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


class PolicySet:
    """The policies that the settings name. For one thread.

    Args:
        settings: Where the policies are.
        sensor: The kernel side that they extend; closed after this.
        names: Gets the texts of events.
        make_target: Makes the kernel as the compiler sees it.
        make_generations: Makes what puts a plan in force.
        probe: Tries a feature of the kernel.
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
    ) -> None:
        self._settings = settings
        self._sensor = sensor
        self._names = PolicyNames(names)
        self._make_target = make_target
        self._make_generations = make_generations
        self._probe = probe
        self._reader = PolicyReader()
        self._kernel: tuple[KernelTarget, Memory] | None = None
        self._read: tuple[Judgement, KernelTarget] | None = None
        self._before: Judgement | None = None
        self.generations: PolicyGenerations | None = None

    def read(self) -> None:
        """Read and judge all policies; the kernel is asked, and nothing is loaded.

        Raises:
            PolicyError: one is wrong or cannot be had here; it says all there is.
        """
        self._read = self._judge()

    def load(self) -> int:
        """Put in force what was read, or is read if nothing was; how many policies.

        Again: instead of the set before, of which only what is different is changed.

        Raises:
            PolicyError: one cannot be had here; the set before is in force still.
            KernelError: the kernel fails otherwise; the same.
        """
        found, target = self._read or self._judge()
        self._read = None
        if found.policies or self.generations is not None:
            self._apply(found, target)
        return len(found.policies)

    def close(self) -> None:
        """Take them out of the kernel; twice does nothing."""
        if self.generations is not None:
            self.generations.close()

    def _judge(self) -> tuple[Judgement, KernelTarget]:
        if self._kernel is None or not self._kernel[0].is_current:
            made = self._make_target()
            self._kernel = made, Memory(made)
        target, memory = self._kernel
        loaded = self._reader.read(_policy_paths(self._settings), trusted=True)
        found = judge(loaded, target, self._probe, memory)
        if errors := found.errors:
            raise _refusal(errors)
        _log_remarks(found, self._before)
        self._before = found
        return found, target

    def _apply(self, found: Judgement, target: KernelTarget) -> None:
        self._names.set_policies(found.policies)
        with ExitStack() as undo:
            generations = self.generations
            if generations is None:
                generations = self._make_generations(
                    self._sensor, target, self._names.name_match
                )
                undo.callback(generations.close)
            generations.see(target)
            try:
                switch = generations.apply(found.plan)
            except HookError as error:
                raise _refusal(_failed_hook(found, error)) from error
            except LimitError as error:
                raise PolicyError(str(error)) from error
            undo.pop_all()
        self.generations = generations
        _try_out(generations, switch.added, target)
        log.info(
            "policies in force",
            policies=len(found.policies),
            hooks=len(found.plan.hooks),
            generation=switch.generation,
            seconds=round(switch.seconds, 3),
        )


def _try_out(
    generations: PolicyGenerations, added: Sequence[AttachPoint], target: KernelTarget
) -> None:
    """Hit the hooks that this process can hit; one that stays silent does not work.

    Not those that enforce: it is this process that they would hit.
    """
    harmless = set(added) - generations.enforcing()
    triggered = trigger(sorted(harmless, key=str), target)
    hits = generations.hits() if triggered else {}
    for point in sorted(triggered, key=str):
        if not hits[point]:
            log.error(
                "hook is attached and does not run", kind=point.kind, hook=point.name
            )


def _policy_paths(settings: Settings) -> list[Path]:
    """Files and directories that the settings name, in the order of loading."""
    folder = settings.tracing_policy_dir
    asked = "tracing_policy_dir" in settings.model_fields_set
    return [*([folder] if asked or folder.exists() else []), *settings.tracing_policy]


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


def _failed_hook(found: Judgement, error: HookError) -> Iterator[Diagnostic]:
    by_name = {loaded.policy.name: loaded for loaded in found.policies}
    text = f"{list_points([error.point])} cannot be attached: {error.__cause__}"
    for hook in found.plan.hooks:
        if hook.point == error.point:
            for policy, entry in _entries(hook):
                place = entry_path(entry)
                yield diagnostic_at(by_name[policy], place, text, cause=Cause.KERNEL)


def _entries(hook: HookPlan) -> dict[tuple[str, str], None]:
    return dict.fromkeys((s.policy, s.hook_entry) for s in hook.selectors)


def _refusal(errors: Iterable[Diagnostic]) -> PolicyError:
    lines = list(map(str, errors))
    shown = lines[:_SHOWN_ERRORS]
    if len(lines) > len(shown):
        shown.append(f"and {len(lines) - len(shown)} more")
    return PolicyError("\n".join(shown))


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
