# SPDX-License-Identifier: Apache-2.0
"""The texts that events show for the numbers of hooks and of policies on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tetragon_py.events.hook import HookNames, HookTexts, PolicyTexts
from tetragon_py.loader.hooks import syscall_symbol
from tetragon_py.policy.model.hooks import (
    KprobeHook,
    ReturningHook,
    TracepointHook,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tetragon_py.compiler.plan import AttachPoint, HookPlan, SelectorPlan
    from tetragon_py.events.hook import ArgumentText
    from tetragon_py.policy.diagnostic import Path
    from tetragon_py.policy.loaded import LoadedPolicy
    from tetragon_py.policy.model.arguments import Argument
    from tetragon_py.policy.model.hooks import Hook
    from tetragon_py.policy.model.policy import Policy

__all__ = ["PolicyNames", "entry_path"]

_KINDS: dict[str, Literal["kprobe", "tracepoint", "lsm"]] = {
    "function": "kprobe",
    "syscall": "kprobe",
    "tracepoint": "tracepoint",
    "raw_tracepoint": "tracepoint",
    "lsm": "lsm",
}


class PolicyNames:
    """Enters texts in `names` as hooks are loaded. For one thread."""

    def __init__(self, names: HookNames) -> None:
        self._names = names
        self._policies: dict[str, Policy] = {}

    def set_policies(self, policies: Iterable[LoadedPolicy]) -> None:
        """The policies that the next hooks belong to."""
        self._policies = {loaded.policy.name: loaded.policy for loaded in policies}

    def name_match(
        self, hook: int, match: int, plan: HookPlan, selector: SelectorPlan
    ) -> None:
        """Enter a policy on a hook, before the kernel can send their numbers."""
        policy = self._policies[selector.policy]
        entry = _find_entry(policy, selector.hook_entry)
        self._names.add_hook(hook, _hook_texts(plan.point, entry))
        self._names.add_match(hook, match, _policy_texts(policy, entry, selector))


def entry_path(text: str) -> Path:
    """The path in the document that a SelectorPlan's `hook_entry` is the text of."""
    section, _, index = text.removeprefix("spec.").removesuffix("]").partition("[")
    return ("spec", section, int(index))


def _hook_texts(point: AttachPoint, entry: Hook) -> HookTexts:
    name = syscall_symbol(point) if point.kind == "syscall" else point.name
    if point.kind == "raw_tracepoint" and isinstance(entry, TracepointHook):
        name = f"{entry.subsystem}/{name}"  # which the kernel does not ask for
    return HookTexts(_KINDS[point.kind], name)


def _find_entry(policy: Policy, path: str) -> Hook:
    _, section, index = entry_path(path)
    hook: Hook = getattr(policy.spec, str(section))[int(index)]
    return hook


def _policy_texts(policy: Policy, entry: Hook, selector: SelectorPlan) -> PolicyTexts:
    data = entry.data if isinstance(entry, ReturningHook) else ()
    return_action = ""
    if isinstance(entry, KprobeHook) and entry.return_arg_action is not None:
        return_action = entry.return_arg_action.upper()
    return PolicyTexts(
        policy.name,
        message=entry.message or "",
        tags=entry.tags,
        args=_arguments(selector.arguments, entry.args),
        data=_arguments(selector.data, data),
        return_slot=selector.return_slot,
        actions=tuple(
            tuple(action.action.upper() for action in one.match_actions)
            for one in entry.selectors
        ),
        return_action=return_action,
    )


def _arguments(
    slots: Sequence[int], listed: Sequence[Argument]
) -> tuple[ArgumentText, ...]:
    captured = [argument for argument in listed if argument.is_captured]
    return tuple(
        (slot, argument.label or None, argument.type)
        for slot, argument in zip(slots, captured, strict=True)
    )
