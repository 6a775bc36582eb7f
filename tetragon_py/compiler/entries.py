# SPDX-License-Identifier: Apache-2.0
"""One policy, compiled by itself: an entry for each of its hooks and attach points.

Entries know nothing of other policies; points.py puts those of one point together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.capture.arguments import (
    Captured,
    capture_argument,
    capture_data,
    capture_return,
)
from tetragon_py.compiler.capture.surface import NoArgumentError, Surface
from tetragon_py.compiler.enforcement.division import (
    divide_by_time,
    is_denying,
    observing_part,
)
from tetragon_py.compiler.enforcement.enforcers import (
    compile_enforcers,
    enforcer_number,
)
from tetragon_py.compiler.enforcement.guards import can_guard, compile_guards
from tetragon_py.compiler.entry import HookEntry, SelectorEntry
from tetragon_py.compiler.hooks import Lists, attach_points
from tetragon_py.compiler.selectors.actions import compile_actions
from tetragon_py.compiler.selectors.arguments import FilterContext
from tetragon_py.compiler.selectors.conditions import Conditions
from tetragon_py.compiler.selectors.filters import CapturedHook, compile_filters
from tetragon_py.policy.diagnostic import (
    Cause,
    Finding,
    Path,
    PolicyValueError,
    error,
    warning,
)
from tetragon_py.policy.model.hooks import ReturningHook
from tetragon_py.policy.model.options import (
    OnReadError,
    OverrideMethod,
    PolicyMode,
)
from tetragon_py.policy.model.policy import Policy, PolicyKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tetragon_py.compiler.plan import ArgumentPlan, AttachPoint
    from tetragon_py.compiler.target import Target
    from tetragon_py.policy.model.arguments import Argument
    from tetragon_py.policy.model.hooks import Hook
    from tetragon_py.policy.model.options import PolicyOptions
    from tetragon_py.policy.model.selectors import Selector

__all__ = ["HookEntry", "SelectorEntry", "compile_entries"]

_CANNOT_RUN = "cannot run in this release"
_WORKLOADS = {
    "pod_selector": "podSelector",
    "container_selector": "containerSelector",
    "host_selector": "hostSelector",
    "node_selector": "nodeSelector",
}


def compile_entries(
    policy: Policy, target: Target
) -> tuple[list[HookEntry], list[Finding]]:
    """Return the entries of a policy, and what is to be said about it.

    With an error among the findings the entries are of no use.
    """
    compiler = _Compiler(policy, target)
    compiler.policy()
    # Lists are shared by hooks, and hooks by points: the same is said once.
    return compiler.entries, list(dict.fromkeys(compiler.found))


class _Compiler:
    def __init__(self, policy: Policy, target: Target) -> None:
        self.entries: list[HookEntry] = []
        self.found: list[Finding] = []
        self._policy = policy
        self._target = target
        self._context = FilterContext(Lists.of(policy.spec.lists), target)
        # Of the hook at hand: where `found` says that it has no such argument, and
        # whether the kernel tells another type of one that it has.
        self._surplus: list[int] = []
        self._is_doubted = False

    def policy(self) -> None:
        spec = self._policy.spec
        if self._policy.kind is PolicyKind.NAMESPACED:
            text = f"a namespaced policy {_CANNOT_RUN}"
            self.found.append(
                error(("kind",), text, "it needs Kubernetes", Cause.RELEASE)
            )
        if spec.loader:
            text = f"loader events {_CANNOT_RUN}"
            self.found.append(error(("spec", "loader"), text, cause=Cause.RELEASE))
        for name, key in _WORKLOADS.items():
            if getattr(spec, name) is not None:
                text = f"{key} {_CANNOT_RUN}: workloads are not told apart"
                self.found.append(error(("spec", key), text, cause=Cause.RELEASE))
        options = self._policy.options
        for section, index, hook in self._policy.hooks():
            path: Path = ("spec", section.value, index)
            lists = self._context.lists
            self._surplus.clear()
            self._is_doubted = False
            for point in attach_points(hook, path, lists, self._target, self.found):
                self._hook(hook, path, point, options)
            if self._is_doubted:
                self._excuse()
        if options.policy_mode is PolicyMode.ENFORCE:  # else nobody notifies them
            self.entries += compile_enforcers(
                self._policy, self._context.lists, self._target, self.found
            )

    # An argument too many: a mistake, unless others differ too. Then the function had
    # another signature in the kernel that the policy was written for.
    def _excuse(self) -> None:
        for place in self._surplus:
            self.found[place] = self.found[place]._replace(cause=Cause.KERNEL)

    def _hook(
        self, hook: Hook, path: Path, point: AttachPoint, options: PolicyOptions
    ) -> None:
        surface = Surface.of(point, self._target)
        captured = self._capture(hook, path, surface)
        tells_return = isinstance(hook, ReturningHook) and hook.return_
        selectors: Sequence[Selector | None] = hook.selectors or (None,)
        entry = HookEntry(
            policy=self._policy.name,
            path=path,
            point=point,
            args=_plans(captured.args),
            data=_plans(captured.data),
            returned=captured.returned.plan if captured.returned else None,
            tells_return=tells_return,
            selectors=tuple(
                self._selector(number, selector, path, captured, options)
                for number, selector in enumerate(selectors)
            ),
            prefers_fmod=options.override_method is OverrideMethod.FMOD_RET,
        )
        enforces = options.policy_mode is PolicyMode.ENFORCE
        watches = not enforces and not can_guard(point, self._target)
        if point.kind != "syscall" or watches or not is_denying(entry):
            self.entries += divide_by_time(entry)
            return
        self.entries += compile_guards(entry, captured, self._context, self.found)
        if observing := observing_part(entry):
            self.entries += divide_by_time(observing)

    def _capture(self, hook: Hook, path: Path, surface: Surface) -> CapturedHook:
        args = tuple(
            self._one(capture_argument, argument, (*path, "args", index), surface)
            for index, argument in enumerate(hook.args)
        )
        if not isinstance(hook, ReturningHook):
            return CapturedHook(hook, args)
        data = tuple(
            self._one(capture_data, argument, (*path, "data", index), surface)
            for index, argument in enumerate(hook.data)
        )
        returned = None
        if hook.return_ and hook.return_arg:
            place = (*path, "returnArg")
            returned = self._one(capture_return, hook.return_arg, place, surface)
        return CapturedHook(hook, args, data, returned)

    def _one(
        self,
        capture: Callable[[Argument, Surface], Captured],
        argument: Argument,
        path: Path,
        surface: Surface,
    ) -> Captured | None:
        try:
            captured = capture(argument, surface)
        except PolicyValueError as problem:
            if isinstance(problem, NoArgumentError) and "args" in path:
                self._surplus.append(len(self.found))
            text, hint = problem.message, problem.hint
            self.found.append(error(path, text, hint, problem.cause))
            return None
        self._is_doubted |= captured.is_doubted
        if captured.warning:
            self.found.append(warning(path, captured.warning))
        return captured

    def _selector(
        self,
        number: int,
        selector: Selector | None,
        path: Path,
        captured: CapturedHook,
        options: PolicyOptions,
    ) -> SelectorEntry:
        place = (*path, "selectors", number)
        conditions = Conditions()
        if selector is not None:
            conditions = compile_filters(
                selector, place, captured, self._context, self.found
            )
        actions = compile_actions(selector, place, captured, options, self.found)
        if actions.actions & c.ACTION_NOTIFY_ENFORCER:
            number_of = enforcer_number(self._policy.name)
            actions = actions._replace(enforcer=number_of)
        return SelectorEntry(
            number=number,
            label=(selector.label or "") if selector else "",
            conditions=conditions,
            actions=actions,
            denies=actions.is_enforcing and options.on_read_error is OnReadError.DENY,
            needs_return=selector is not None and _needs_return(selector),
        )


# What is done at the return has no list of its own: it waits if anything does.
def _needs_return(selector: Selector) -> bool:
    return bool(selector.match_return_args or selector.match_return_actions)


def _plans(captured: Sequence[Captured | None]) -> tuple[ArgumentPlan, ...]:
    return tuple(c.plan for c in captured if c is not None and c.plan is not None)
