# SPDX-License-Identifier: Apache-2.0
"""The texts that events show for the numbers of hooks and of policies on them."""

from __future__ import annotations

import signal
import time
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.selectors.actions import ENFORCING_BITS
from tetragon_py.events.hook import Enforcement, HookNames, HookTexts, PolicyTexts
from tetragon_py.loader.hooks import syscall_symbol
from tetragon_py.policy.model.actions import ActionKind
from tetragon_py.policy.model.hooks import (
    KprobeHook,
    ReturningHook,
    TracepointHook,
)
from tetragon_py.policy.model.policy import Enforcer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tetragon_py.compiler.plan import AttachPoint, HookPlan, SelectorPlan
    from tetragon_py.events.hook import ArgumentText
    from tetragon_py.policy.diagnostic import Path
    from tetragon_py.policy.loaded import LoadedPolicy
    from tetragon_py.policy.model.arguments import Argument
    from tetragon_py.policy.model.hooks import Hook
    from tetragon_py.policy.model.policy import Policy

__all__ = ["PolicyNames", "Ring", "entry_path"]

_KINDS: dict[str, Literal["kprobe", "tracepoint", "lsm"]] = {
    "function": "kprobe",
    "syscall": "kprobe",
    "guard": "kprobe",
    "call": "kprobe",
    "tracepoint": "tracepoint",
    "raw_tracepoint": "tracepoint",
    "lsm": "lsm",
}
_ENFORCING = ENFORCING_BITS | c.ACTION_CLEANUP_ENFORCER


#: What is counted of a hit and told later (repeats, returns) is told within this time.
_KEPT_SECONDS: Final = 120.0
_PAUSE_SECONDS: Final = 0.001


class Ring(Protocol):
    """Of a ring buffer, what has been put in and what has been read."""

    @property
    def produced(self) -> int:
        """Bytes since it was made."""

    @property
    def committed(self) -> int:
        """Of these, before which all are read."""


class _Retired(NamedTuple):
    marks: list[int]  # of the rings: records before them may name these
    since: float
    numbers: set[tuple[int, int]]


class PolicyNames:
    """Enters texts in `names` as hooks are loaded, and forgets them. For one thread.

    Args:
        names: Where; read by the thread of the events.
        rings: That the events come by.
    """

    def __init__(self, names: HookNames, rings: Sequence[Ring] = ()) -> None:
        self._names = names
        self._rings = rings
        self._entered: set[tuple[int, int]] = set()
        self._retired: deque[_Retired] = deque()
        self._policies: dict[str, Policy] = {}
        self._grouped: HookPlan | None = None
        self._groups: dict[tuple[str, str], list[SelectorPlan]] = {}

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
        texts = (
            _enforcer_texts(policy)
            if isinstance(entry, Enforcer)
            else _policy_texts(policy, entry, self._selectors_like(selector, plan))
        )
        self._names.add_match(hook, match, texts)
        self._entered.add((hook, match))

    def retire(self, used: set[tuple[int, int]]) -> None:
        """Hook and match numbers that are still used: the others are, for a while.

        To be called once the kernel cannot send the others any more.
        """
        if gone := self._entered - used:
            marks = [ring.produced for ring in self._rings]
            self._retired.append(_Retired(marks, time.monotonic(), gone))
            self._entered &= used

    def await_reading(self, seconds: float) -> None:
        """Wait until no record in the rings has retired numbers, or that long.

        A number of a hook can be given to another one then.
        """
        deadline = time.monotonic() + seconds
        while self._retired and not self._is_read(self._retired[-1]):
            if time.monotonic() > deadline:
                return
            time.sleep(_PAUSE_SECONDS)

    def forget_retired(self) -> None:
        """Let go of texts that nothing can ask for any more."""
        due = time.monotonic() - _KEPT_SECONDS
        while self._retired and self._retired[0].since <= due:
            if not self._is_read(self._retired[0]):
                return
            for hook, match in self._retired.popleft().numbers:
                self._names.forget(hook, match)

    def _is_read(self, retired: _Retired) -> bool:
        pairs = zip(self._rings, retired.marks, strict=True)
        return all(ring.committed >= mark for ring, mark in pairs)

    def _selectors_like(
        self, selector: SelectorPlan, plan: HookPlan
    ) -> Sequence[SelectorPlan]:
        """Those of the same policy and entry; grouped once for all of a hook."""
        if self._grouped is not plan:
            self._grouped = plan
            self._groups = defaultdict(list)
            for one in plan.selectors:
                self._groups[one.policy, one.hook_entry].append(one)
        return self._groups[selector.policy, selector.hook_entry]


def entry_path(text: str) -> Path:
    """The path in the document that a SelectorPlan's `hook_entry` is the text of."""
    section, _, index = text.removeprefix("spec.").removesuffix("]").partition("[")
    return ("spec", section, int(index))


def _hook_texts(point: AttachPoint, entry: Hook | Enforcer) -> HookTexts:
    name = syscall_symbol(point) if point.abi else point.name
    if point.kind == "raw_tracepoint" and isinstance(entry, TracepointHook):
        name = f"{entry.subsystem}/{name}"  # which the kernel does not ask for
    return HookTexts(_KINDS[point.kind], name)


def _find_entry(policy: Policy, path: str) -> Hook | Enforcer:
    _, section, index = entry_path(path)
    entry: Hook | Enforcer = getattr(policy.spec, str(section))[int(index)]
    return entry


def _policy_texts(
    policy: Policy, entry: Hook, selectors: Sequence[SelectorPlan]
) -> PolicyTexts:
    selector = selectors[0]
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
        enforcement={
            one.number: Enforcement(
                one.monitored, abs(one.error), one.signal or one.failure_signal
            )
            for one in selectors
            if one.actions & _ENFORCING
        },
    )


def _enforcer_texts(policy: Policy) -> PolicyTexts:
    """Of what NotifyEnforcer has left for a thread: the record does not say which."""
    notes = [
        action
        for _, _, hook in policy.hooks()
        for selector in hook.selectors
        for action in (*selector.match_actions, *selector.match_return_actions)
        if action.action is ActionKind.NOTIFY_ENFORCER
    ]
    signals = {note.arg_sig for note in notes if note.arg_sig}
    errors = {-note.errno for note in notes if note.errno}
    words = ["SIGKILL" if number == signal.SIGKILL else "SIGNAL" for number in signals]
    return PolicyTexts(
        policy.name,
        actions=((*words, "OVERRIDE"),),
        enforcement={0: Enforcement(0, _only(errors), _only(signals))},
    )


def _only(numbers: set[int]) -> int:
    """The number if there is just one, else 0."""
    return next(iter(numbers)) if len(numbers) == 1 else 0


def _arguments(
    slots: Sequence[int], listed: Sequence[Argument]
) -> tuple[ArgumentText, ...]:
    captured = [argument for argument in listed if argument.is_captured]
    return tuple(
        (slot, argument.label or None, argument.type)
        for slot, argument in zip(slots, captured, strict=True)
    )
