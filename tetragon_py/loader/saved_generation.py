# SPDX-License-Identifier: Apache-2.0
"""A generation of the policy set as the next agent needs it, apart from what is pinned.

Made and taken by loader.generation; only for the same version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tetragon_py.compiler.plan import AttachPoint, ClassPlan, HookPlan
    from tetragon_py.loader.counters import MatchKey, SelectorKey
    from tetragon_py.loader.pins import Pins
    from tetragon_py.loader.tables import SavedTables

__all__ = ["SavedGeneration", "SavedHook", "is_complete"]


class SavedHook(NamedTuple):
    """A hook in force, for the next agent."""

    number: int
    plan: HookPlan
    tables: SavedTables
    matches: dict[MatchKey, int]


class SavedGeneration(NamedTuple):
    """A generation with all that is pinned for it."""

    generation: int
    hooks: dict[AttachPoint, SavedHook]
    classes: SavedTables
    class_plan: ClassPlan
    half_configs: tuple[bytes, ...]
    next_match: int
    next_table: int
    counters: dict[SelectorKey, int]
    attached: dict[str, Any]  # see Hooks.save


def is_complete(saved: Iterable[SavedGeneration], pins: Pins) -> bool:
    """Whether all is pinned that PolicyGenerations.restore cannot do without."""
    for one in saved:
        if one.attached["dispatcher"]["hooks"]:
            attached = pins.attached("dispatcher")
            if one.attached["dispatcher"]["sees_returns"] != (
                "exit_syscall" in attached
            ):
                return False
            if not attached - {"exit_syscall"}:
                return False
        for number, _, _ in one.attached["guards"]["guards"].values():
            if not pins.attached(f"guard-{number}"):
                return False
    return True
