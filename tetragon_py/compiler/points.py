# SPDX-License-Identifier: Apache-2.0
"""All entries at one attach point become a hook: slots, numbers, dimensions."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.plan import HookPlan, SelectorPlan
from tetragon_py.compiler.tables.dimensions import (
    Demand,
    Surroundings,
    build_dimensions,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tetragon_py.compiler.entries import HookEntry, SelectorEntry
    from tetragon_py.compiler.plan import ArgumentPlan, DimensionPlan
    from tetragon_py.compiler.selectors.conditions import Lookup
    from tetragon_py.compiler.tables.dimensions import SharedNumbers

__all__ = ["merge_entries"]


def merge_entries(entries: Sequence[HookEntry], shared: SharedNumbers) -> HookPlan:
    """Return the hook of all `entries`, which have the same point.

    Args:
        entries: In the order of the policies.
        shared: What the whole policy set gave to those look-ups and sets.
    """
    slots: dict[ArgumentPlan, int] = {}
    for entry in entries:
        for plan in entry.arguments:
            slots.setdefault(plan, len(slots))
    demands: dict[Lookup, list[Demand]] = defaultdict(list)
    deniers = 0
    count = 0
    for entry in entries:
        for selector in entry.selectors:
            bit = 1 << count
            count += 1
            for lookup, tests in selector.conditions:
                demands[lookup].append(Demand(bit, tests))
            if selector.denies:
                deniers |= bit
    everyone = (1 << count) - 1
    around = Surroundings(everyone, deniers, slots, shared)
    dimensions = build_dimensions(demands, around)
    return HookPlan(
        point=entries[0].point,
        arguments=_mark_filtered(slots, dimensions),
        dimensions=dimensions,
        selectors=tuple(_selectors(entries, slots)),
        wants_return=any(entry.tells_return for entry in entries),
        prefers_fmod=any(entry.prefers_fmod for entry in entries),
    )


def _mark_filtered(
    slots: Mapping[ArgumentPlan, int], dimensions: Sequence[DimensionPlan]
) -> tuple[ArgumentPlan, ...]:
    needed = set()
    for dimension in dimensions:
        if dimension.source == c.SOURCE_ARGUMENT:
            needed.add(dimension.slot)
        elif dimension.source == c.SOURCE_CAPABILITIES_GAINED:
            needed |= {dimension.slot, dimension.width}
    return tuple(
        replace(plan, flags=plan.flags | c.ARGUMENT_FILTERED)
        if slot in needed
        else plan
        for plan, slot in slots.items()
    )


def _selectors(
    entries: Sequence[HookEntry], slots: Mapping[ArgumentPlan, int]
) -> Iterator[SelectorPlan]:
    last = -1
    for entry in entries:
        last += len(entry.selectors)
        for selector in entry.selectors:
            yield _selector(entry, selector, last, slots)


def _selector(
    entry: HookEntry,
    selector: SelectorEntry,
    last: int,
    slots: Mapping[ArgumentPlan, int],
) -> SelectorPlan:
    actions = selector.actions
    return SelectorPlan(
        policy=entry.policy,
        hook_entry=entry.place,
        number=selector.number,
        last=last,
        actions=actions.actions,
        arguments=tuple(slots[plan] for plan in entry.args),
        data=tuple(slots[plan] for plan in entry.data),
        return_slot=None if entry.returned is None else slots[entry.returned],
        tells_return=entry.tells_return,
        monitored=actions.monitored,
        label=selector.label,
        signal=actions.signal,
        error=actions.error,
        sock_slot=0 if actions.sock is None else slots[actions.sock],
        rate_ms=actions.rate_ms,
        rate_scope=actions.rate_scope,
        enforcer=actions.enforcer,
        failure_signal=actions.failure_signal,
    )
