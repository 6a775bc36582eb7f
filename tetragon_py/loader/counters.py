# SPDX-License-Identifier: Apache-2.0
"""What selectors did, as the kernel side counts it and as Tetragon does."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from tetragon_py.abi import _generated as c

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tetragon_py.compiler.plan import AttachPoint, HookPlan, SelectorPlan

__all__ = [
    "ActionKey",
    "MatchKey",
    "SelectorCounters",
    "SelectorKey",
    "count_actions",
    "match_key",
    "sum_counters",
]

_COUNTERS = Struct(c.SELECTOR_COUNTERS_FORMAT)
#: Policy, hook entry, attach point: one list of selectors.
MatchKey: TypeAlias = "tuple[str, str, AttachPoint]"


class SelectorKey(NamedTuple):
    """A selector over all generations: its counters go on when its hook changes."""

    match: MatchKey
    number: int


class SelectorCounters(NamedTuple):
    """struct selector_counters."""

    matched: int
    posted: int
    limited: int  # not posted because of the rate limit
    signalled: int
    overridden: int
    notified: int
    monitored: int  # enforcement that was asked for and not done
    failed: int
    repeated: int  # not posted one by one
    lost: int


class ActionKey(NamedTuple):
    """An action of a selector, as Tetragon counts them."""

    policy: str
    entry: str  # of the hook in the policy: "spec.kprobes[0]"
    point: AttachPoint
    selector: int
    label: str
    action: str  # "post", "signal", "monitor_signal"


#: What a note for an enforcer may ask for.
_NOTED: Final = c.ACTION_SIGNAL | c.ACTION_OVERRIDE


def match_key(point: AttachPoint, selector: SelectorPlan) -> MatchKey:
    """The list of selectors that one belongs to."""
    return (selector.policy, selector.hook_entry, point)


def sum_counters(values: Iterable[bytes]) -> SelectorCounters:
    """The values of all CPUs as one."""
    rows = map(_COUNTERS.unpack, values)
    return SelectorCounters(*map(sum, zip(*rows, strict=True)))


def count_actions(
    hooks: Iterable[HookPlan], counters: Mapping[SelectorKey, SelectorCounters]
) -> dict[ActionKey, int]:
    """How often each action of each selector was taken.

    As Tetragon counts: Sigkill and Signal are both "signal"; what a policy only
    monitors is "monitor_signal" and the like; "post" is every event that was wanted,
    also if it was counted with others or lost, but not if a rate limit held it back.

    Args:
        hooks: Those in force.
        counters: Of their selectors, see PolicyGenerations.counters.
    """
    found: dict[ActionKey, int] = {}
    for hook in hooks:
        for selector in hook.selectors:
            match = match_key(hook.point, selector)
            counted = counters.get(SelectorKey(match, selector.number))
            if counted is None or not selector.actions:
                continue
            place = (*match, selector.number, selector.label)
            for action, count in _actions(selector, counted):
                found[ActionKey(*place, action)] = count
    return found


def _actions(
    selector: SelectorPlan, counted: SelectorCounters
) -> Iterator[tuple[str, int]]:
    asked, monitored = selector.actions, selector.monitored
    if asked & c.ACTION_POST:
        yield "post", counted.posted + counted.repeated + counted.lost
    if asked & c.ACTION_NO_POST:
        yield "nopost", counted.matched
    if asked & c.ACTION_ENFORCE:
        asked |= _NOTED
    for word, bit, count in (
        ("signal", c.ACTION_SIGNAL, counted.signalled),
        ("override", c.ACTION_OVERRIDE, counted.overridden),
        ("notify_enforcer", c.ACTION_NOTIFY_ENFORCER, counted.notified),
    ):
        if monitored & bit:
            yield f"monitor_{word}", counted.monitored
        elif asked & bit or count:
            yield word, count
    if monitored & c.ACTION_SET:
        yield "monitor_set", counted.monitored
