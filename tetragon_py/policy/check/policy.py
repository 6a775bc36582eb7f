# SPDX-License-Identifier: Apache-2.0
"""Rules that concern more than one field of a policy and need no kernel.

Comes in: a valid model. Goes out: findings by path. What depends on the kernel (does
the function exist, of which type is its argument) is the compiler's.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tetragon_py.policy.check.actions import check_actions
from tetragon_py.policy.check.arguments import check_arguments
from tetragon_py.policy.check.filters import check_filters, check_list_name
from tetragon_py.policy.check.interrupts import check_interrupts
from tetragon_py.policy.diagnostic import (
    Finding,
    Path,
    error,
    warning,
)
from tetragon_py.policy.model.hooks import Hook, HookSection, KprobeHook, UprobeHook
from tetragon_py.policy.model.policy import ListType, NameList, Policy, PolicyKind, Spec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Surroundings", "check_hook", "check_list", "check_policy"]

_PATTERN_MAX = 256


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the rules of a hook need to know of the rest of its policy."""

    lists: dict[str, ListType] = field(default_factory=dict)
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of each list
    has_enforcers: bool = False

    @classmethod
    def of(cls, lists: Iterable[NameList], *, has_enforcers: bool) -> Surroundings:
        """Those of a policy with these lists."""
        lists = tuple(lists)
        return cls(
            {entry.name: entry.type for entry in lists},
            {entry.name: entry.values for entry in lists},
            has_enforcers=has_enforcers,
        )


def check_policy(policy: Policy) -> Iterator[Finding]:
    """Yield what is wrong with a policy whose macros were expanded."""
    spec = policy.spec
    around = Surroundings.of(spec.lists, has_enforcers=bool(spec.enforcers))
    hooks = list(policy.hooks())
    if not hooks and not spec.loader:
        yield warning(("spec",), "has no hooks: the policy does nothing")
    if policy.kind is PolicyKind.NAMESPACED and spec.host_selector is not None:
        text = "is not allowed in a namespaced policy"
        yield error(("spec", "hostSelector"), text)
    for section, index, hook in hooks:
        yield from check_hook(section, ("spec", section.value, index), hook, around)
    for index, enforcer in enumerate(spec.enforcers):
        for position, call in enumerate(enforcer.calls):
            if call.startswith("list:"):
                place = ("spec", "enforcers", index, "calls", position)
                yield from check_list_name(place, call, around.lists)
    yield from _check_lists(spec)
    yield from _check_options(spec)


def check_hook(
    section: HookSection, path: Path, hook: Hook, around: Surroundings
) -> Iterator[Finding]:
    """Yield what is wrong with one hook; `path` leads to it."""
    yield from check_arguments(section, path, hook)
    if isinstance(hook, KprobeHook) and hook.call.startswith("list:"):
        yield from check_list_name((*path, "call"), hook.call, around.lists)
    if isinstance(hook, UprobeHook):
        yield from _check_uprobe(path, hook)
    for index, selector in enumerate(hook.selectors):
        place = (*path, "selectors", index)
        yield from check_filters(hook, place, selector, around.lists)
        yield from check_actions(
            section, hook, place, selector, has_enforcers=around.has_enforcers
        )
        yield from check_interrupts(hook, place, selector, around.names)


def _check_uprobe(path: Path, hook: UprobeHook) -> Iterator[Finding]:
    places = {"symbols": hook.symbols, "offsets": hook.offsets, "addrs": hook.addrs}
    given = [key for key, values in places.items() if values]
    if len(given) != 1:
        text = "says no place" if not given else f"has {' and '.join(given)}"
        yield error(path, text, "give one of symbols, offsets and addrs")
        return
    expected = len(hook.symbols or hook.offsets or hook.addrs)
    count = len(hook.ref_ctr_offsets)
    if count and count != expected:
        yield error(
            (*path, "refCtrOffsets"),
            f"has {count} entries for {expected} in {given[0]}",
            "give one for each",
        )


def _check_lists(spec: Spec) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, entry in enumerate(spec.lists):
        path = ("spec", "lists", index)
        if entry.name in seen:
            yield error((*path, "name"), "is the name of an earlier list")
        seen.add(entry.name)
        yield from check_list(path, entry)


def check_list(path: Path, entry: NameList) -> Iterator[Finding]:
    """Yield what is wrong with one list; `path` leads to it."""
    if entry.validated:
        text = "has no meaning: every list is validated"
        yield warning((*path, "validated"), text, "remove it")
    is_generated = entry.type.startswith("generated_")
    if entry.values and is_generated:
        yield error(
            (*path, "values"), f"are not allowed in a list of type {entry.type}"
        )
    if not entry.values and not is_generated:
        yield error((*path, "values"), "is required for this type of list")
    for position, value in enumerate(entry.values):
        if value.startswith("list:"):
            yield error((*path, "values", position), "a list cannot use lists")
    if entry.type is not ListType.GENERATED_FTRACE:
        if entry.pattern is not None:
            hint = "set type: generated_ftrace"
            yield error((*path, "pattern"), "is for generated_ftrace only", hint)
    elif not entry.pattern:
        yield error((*path, "pattern"), "is required for generated_ftrace")
    elif problem := _pattern_problem(entry.pattern):
        yield error((*path, "pattern"), f"is no regular expression: {problem}")


def _pattern_problem(pattern: str) -> str:
    if len(pattern) > _PATTERN_MAX:
        return f"longer than {_PATTERN_MAX} characters"
    try:
        with warnings.catch_warnings():
            # [[:alpha:]] means something else in Python and draws a warning.
            warnings.simplefilter("ignore")
            re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as problem:
        return str(problem)
    return ""


def _check_options(spec: Spec) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, option in enumerate(spec.options):
        path = ("spec", "options", index)
        if option.name in seen:
            yield error((*path, "name"), f"{option.name} is given twice")
        seen.add(option.name)
