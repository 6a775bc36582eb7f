# SPDX-License-Identifier: Apache-2.0
"""An entry divided by what carries its selectors out, and when.

The first selector of a policy that matches decides, also where another program carries
it out. So a part keeps the selectors before its own ones, and they do nothing there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.selectors.actions import ENFORCING_BITS, ActionPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tetragon_py.compiler.entries import HookEntry, SelectorEntry

__all__ = ["denying_part", "divide_by_time", "is_denying", "observing_part"]

_SILENT = ActionPlan(actions=0)
#: Done without a word: a part that has nothing else is of no use.
_IDLE = (0, c.ACTION_NO_POST)


def is_denying(entry: HookEntry) -> bool:
    """Whether some selector overrides."""
    return any(map(_denies, entry.selectors))


def denying_part(entry: HookEntry) -> HookEntry:
    """The selectors up to the last one that overrides; the others do nothing."""
    last = max(i for i, one in enumerate(entry.selectors) if _denies(one))
    part = _keep(entry, _denies)
    return replace(
        part,
        selectors=part.selectors[: last + 1],
        returned=None,
        tells_return=False,
    )


def observing_part(entry: HookEntry) -> HookEntry | None:
    """What is left to do where nothing can be overridden; None: nothing."""
    part = _keep(entry, lambda selector: not _denies(selector))
    return part if _has_work(part) else None


def divide_by_time(entry: HookEntry) -> Iterator[HookEntry]:
    """Yield the part that acts at the entry of a function, and that at its return.

    Enforcement does not wait for the return, unless a filter asks for what is returned.
    """
    if not entry.tells_return or not any(map(_is_urgent, entry.selectors)):
        yield entry
        return
    # A selector that is not decided yet does not stop those behind it.
    known = tuple(one for one in entry.selectors if not one.needs_return)
    late = _keep(entry, lambda selector: not _is_urgent(selector))
    has_late = _has_work(late)
    yield replace(
        _keep(replace(entry, selectors=known), _is_urgent),
        returned=entry.returned if has_late else None,  # one text serves both
        tells_return=False,
    )
    if has_late:
        yield late


def _denies(selector: SelectorEntry) -> bool:
    return bool(selector.actions.actions & c.ACTION_OVERRIDE)


def _is_urgent(selector: SelectorEntry) -> bool:
    bits = ENFORCING_BITS | c.ACTION_CLEANUP_ENFORCER
    done = selector.actions.actions & ~selector.actions.monitored
    return bool(done & bits) and not selector.needs_return


def _has_work(entry: HookEntry) -> bool:
    return any(one.actions.actions not in _IDLE for one in entry.selectors)


def _keep(entry: HookEntry, wanted: Callable[[SelectorEntry], bool]) -> HookEntry:
    selectors = tuple(
        one if wanted(one) else replace(one, actions=_SILENT, denies=False)
        for one in entry.selectors
    )
    return replace(entry, selectors=selectors)
