# SPDX-License-Identifier: Apache-2.0
"""The policy set in the kernel: one generation after the other, switched by one write.

A new plan is compared with the one in force. What is new is attached and written beside
the old; then the value "active" flips, and each hit sees either the old set or the new
one. What only the old set used goes after a grace period.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.plan import ClassPlan, Plan
from tetragon_py.compiler.selectors.actions import ENFORCING_BITS
from tetragon_py.errors import LimitError, TetragonError
from tetragon_py.libbpf.programs import wait_for_programs
from tetragon_py.loader.counters import SelectorKey, match_key, sum_counters
from tetragon_py.loader.hooks import Hooks
from tetragon_py.loader.notes import VerdictNotes, leaves_notes
from tetragon_py.loader.saved_generation import SavedGeneration, SavedHook
from tetragon_py.loader.tables import (
    KEYED_TABLES,
    PolicyTables,
    SelectorNumbers,
    StoredTables,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from tetragon_py.compiler.plan import AttachPoint, HookPlan, SelectorPlan
    from tetragon_py.loader.counters import MatchKey, SelectorCounters
    from tetragon_py.loader.hooks import HookTarget
    from tetragon_py.loader.lifecycle import LifecycleSensor

__all__ = [
    "HookError",
    "PolicyGenerations",
    "SelectorKey",
    "Switch",
]

_HALF_BYTES = 4 * c.HOOKS_MAX


class HookError(TetragonError):
    """A hook of the new set cannot be had; the old set is still in force."""

    def __init__(
        self, point: AttachPoint, policies: list[str], cause: Exception
    ) -> None:
        super().__init__(
            f"{point.kind} {point.name} (policies: {', '.join(policies)}): {cause}"
        )
        self.point = point


@dataclass(slots=True)
class _Hook:
    number: int
    plan: HookPlan
    tables: StoredTables
    matches: dict[MatchKey, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Switch:
    """What a new generation changed.

    `seconds` is from the beginning to the flip.
    """

    generation: int
    added: tuple[AttachPoint, ...]
    changed: tuple[AttachPoint, ...]
    removed: tuple[AttachPoint, ...]
    seconds: float


class PolicyGenerations:
    """The policy set in force. For one thread.

    Args:
        sensor: Whose maps and process table it uses; closed after this.
        target: The kernel.
        name_match: Told the number of each new match before the kernel can send it:
            hook number, match number, plan of the hook, its first selector.
        save: Told what the next agent needs: before a switch the generation before
            and the new one, afterwards the new one.
    """

    def __init__(
        self,
        sensor: LifecycleSensor,
        target: HookTarget,
        name_match: Callable[[int, int, HookPlan, SelectorPlan], None],
        save: Callable[[list[SavedGeneration]], None] = lambda _: None,
    ) -> None:
        self._sensor = sensor
        self._maps = sensor.shared.maps
        self._tables = PolicyTables(self._maps)
        self._hooks = Hooks(sensor.shared, target)
        self._notes = VerdictNotes(sensor.shared)
        self._name_match = name_match
        self._save = save
        sensor.losses.hook_misses = self._hooks.missed
        self._current: dict[AttachPoint, _Hook] = {}
        self._classes = StoredTables()
        self._class_plan = ClassPlan()
        self._half_configs = [b"", b""]
        self._next_match = 1
        self._counters: dict[SelectorKey, int] = {}
        self._free_counters = list(
            range(self._maps["counters"].max_entries - 1, -1, -1)
        )
        self._zeros = bytes(self._maps["counters"].value_size)
        self.generation = 0
        self.switched_ns = 0  # boottime of the last switch

    def see(self, target: HookTarget) -> None:
        """Attach what comes by what this says of the kernel, which has changed."""
        self._hooks.target = target

    def apply(self, plan: Plan, renamed: Collection[str] = ()) -> Switch:
        """Put a plan in force.

        Args:
            plan: The set.
            renamed: Policies whose texts are others: their matches get new numbers,
                even where their plan is the same.

        Raises:
            HookError, LimitError, KernelError: the set before is still in force.
        """
        since = time.monotonic()
        generation = self.generation + 1
        wanted: dict[AttachPoint, _Hook] = {}
        fresh: list[_Hook] = []
        attached: list[int] = []
        classes = self._classes
        try:
            for hook in plan.hooks:
                old = self._current.get(hook.point)
                # a compiler gives what did not change as the very same object
                is_same = old is not None and (old.plan is hook or old.plan == hook)
                if old is not None and is_same and not _has_any(hook, renamed):
                    wanted[hook.point] = old
                    continue
                new = self._build(hook, old, generation, attached)
                fresh.append(new)
                wanted[hook.point] = new
            if plan.classes != self._class_plan:
                classes = self._tables.store_classes(plan.classes)
            self._prepare_classes(classes, generation)
            self._write_index(wanted, generation)
            if leaves_notes(plan):
                self._notes.begin()
            self._save(
                [
                    self._saved(self.generation, self._current, self._classes),
                    self._saved(generation, wanted, classes, plan.classes),
                ]
            )
        except BaseException:
            for hook_state in fresh:
                hook_state.tables.give_back()
            for number in attached:
                self._hooks.detach(number)
            if classes is not self._classes:
                classes.give_back()
            raise
        self._flip(generation)
        seconds = time.monotonic() - since
        previous, self._current = self._current, wanted
        self.generation = generation
        switch = Switch(
            generation,
            tuple(point for point in wanted if point not in previous),
            tuple(
                p for p, h in wanted.items() if p in previous and previous[p] is not h
            ),
            tuple(point for point in previous if point not in wanted),
            seconds,
        )
        old_classes, self._classes = self._classes, classes
        self._class_plan = plan.classes
        if not leaves_notes(plan):
            self._notes.end()
        self._clean(previous, old_classes)
        self._save([self._saved(generation, wanted, classes)])
        return switch

    def counters(self) -> dict[SelectorKey, SelectorCounters]:
        """Those of each selector in force, summed over the CPUs."""
        table = self._maps["counters"]
        return {
            key: sum_counters(table.percpu_values(row.to_bytes(4, "little")))
            for key, row in self._counters.items()
        }

    def matches(self) -> set[tuple[int, int]]:
        """Numbers of hook and match, of all that can be told by the set in force."""
        return {
            (hook.number, match)
            for hook in self._current.values()
            for match in hook.matches.values()
        }

    def hits(self) -> dict[AttachPoint, int]:
        """How often each hook in force was hit since it was attached."""
        table = self._maps["hook_hits"]
        return {
            point: sum(
                int.from_bytes(value, "little")
                for value in table.percpu_values(hook.number.to_bytes(4, "little"))
            )
            for point, hook in self._current.items()
        }

    def enforcing(self) -> set[AttachPoint]:
        """The points in force at which something is done to processes."""
        bits = ENFORCING_BITS | c.ACTION_ENFORCE
        return {
            point
            for point, hook in self._current.items()
            if any(one.actions & ~one.monitored & bits for one in hook.plan.selectors)
        }

    # ---- for the next agent ----

    def restore(self, saved: Sequence[SavedGeneration]) -> bool:
        """Go on with what an earlier agent has pinned; False if that cannot be.

        Hooks that nobody could pin (see Link.pin) are not in force: the next `apply`
        attaches them.

        Args:
            saved: What it has saved last.
        """
        [active] = (value for _, value in self._maps["active"].items())
        generation = int.from_bytes(active, "little")
        found = next((one for one in saved if one.generation == generation), None)
        pins = self._sensor.shared.pins
        if found is None or pins is None:
            return False
        kept = {
            point: hook
            for point, hook in found.hooks.items()
            if hook.number in found.attached["dispatcher"]["hooks"]
            or point.kind == "guard"
            or pins.attached(f"hook-{hook.number}")
        }
        self._hooks.restore(
            found.attached,
            {hook.number: point for point, hook in kept.items()},
            pins,
        )
        self._notes.restore()
        self._current = {
            point: _Hook(
                hook.number,
                hook.plan,
                self._tables.restore(hook.tables, found.next_table),
                dict(hook.matches),
            )
            for point, hook in kept.items()
        }
        self._classes = self._tables.restore(found.classes, found.next_table)
        self._class_plan = found.class_plan
        self._half_configs = list(found.half_configs)
        self._next_match = max(one.next_match for one in saved)
        self._counters = dict(found.counters)
        taken = set(self._counters.values())
        self._free_counters = [n for n in self._free_counters if n not in taken]
        self.generation = generation
        self._forget_others()
        return True

    def _saved(
        self,
        generation: int,
        hooks: Mapping[AttachPoint, _Hook],
        classes: StoredTables,
        class_plan: ClassPlan | None = None,
    ) -> SavedGeneration:
        return SavedGeneration(
            generation,
            {
                point: SavedHook(
                    hook.number, hook.plan, self._tables.save(hook.tables), hook.matches
                )
                for point, hook in hooks.items()
            },
            self._tables.save(classes),
            self._class_plan if class_plan is None else class_plan,
            tuple(self._half_configs),
            self._next_match,
            self._tables.next_table,
            dict(self._counters),
            self._hooks.save(),
        )

    def _forget_others(self) -> None:
        """Remove what an agent has left that was killed in the middle of a switch.

        Numbers that were not saved are given again: nothing may have them.
        """
        owners = [self._classes, *(hook.tables for hook in self._current.values())]
        ours = {(table.name, key) for stored in owners for table, key in stored.keys}
        for name in KEYED_TABLES & self._maps.keys():
            table = self._maps[name]
            for key in list(table.keys()):
                if (name, key) not in ours:
                    table.delete(key)
        self._hooks.forget_others()

    def leave(self) -> None:
        """Let go of all; what is pinned stays in force."""
        self._hooks.leave()
        self._notes.leave()
        self._current.clear()

    def close(self) -> None:
        """Take all hooks out of the kernel, unless they are kept.

        Twice does nothing.
        """
        pins = self._sensor.shared.pins
        if pins is not None and pins.is_kept:
            self.leave()
            return
        self._hooks.close()
        self._notes.end()
        self._current.clear()

    # ---- one hook ----

    def _build(
        self,
        plan: HookPlan,
        old: _Hook | None,
        generation: int,
        attached: list[int],
    ) -> _Hook:
        policies = sorted({selector.policy for selector in plan.selectors})
        try:
            if old is not None and plan.point.kind == "syscall":
                # No other number: the dispatcher has one for each call, and this hook
                # must not be without it before the switch.
                number = old.number
                if plan.wants_return:
                    self._hooks.dispatcher.see_returns()
            elif old is not None and _covers(old.plan, plan):
                number = old.number
            else:
                number = self._hooks.attach(
                    plan.point,
                    wants_return=plan.wants_return,
                    wants_denial=plan.wants_denial,
                    prefers_fmod=plan.prefers_fmod,
                )
                attached.append(number)
                hits = self._maps["hook_hits"]
                hits.update(number.to_bytes(4, "little"), bytes(hits.value_size))
        except TetragonError as error:
            raise HookError(plan.point, policies, error) from error
        matches = self._match_all(plan, old, number)
        numbers = [
            SelectorNumbers(
                matches[match_key(plan.point, selector)],
                self._counter(plan.point, selector),
            )
            for selector in plan.selectors
        ]
        tables = self._tables.store_hook(plan, generation, numbers)
        return _Hook(number, plan, tables, matches)

    def _match_all(
        self, plan: HookPlan, old: _Hook | None, number: int
    ) -> dict[MatchKey, int]:
        """A number for each (policy, entry): a changed one gets a new number.

        Records that are still in a ring keep what their number meant.
        """
        matches: dict[MatchKey, int] = {}
        for selector in plan.selectors:
            key = match_key(plan.point, selector)
            if key not in matches:
                matches[key] = self._next_match
                self._next_match += 1
                self._name_match(number, matches[key], plan, selector)
        return matches

    def _counter(self, point: AttachPoint, selector: SelectorPlan) -> int:
        key = SelectorKey(match_key(point, selector), selector.number)
        if key not in self._counters:
            if not self._free_counters:
                raise LimitError("the policy set has more selectors than counters")
            row = self._free_counters.pop()
            self._maps["counters"].update(row.to_bytes(4, "little"), self._zeros)
            self._counters[key] = row
        return self._counters[key]

    # ---- the switch ----

    def _prepare_classes(self, classes: StoredTables, generation: int) -> None:
        half = generation & 1
        config = classes.class_config or bytes(c.CLASS_CONFIG_SIZE)
        if self._half_configs[half] == self._half_configs[half ^ 1] == config:
            return  # exec and fork keep both halves filled
        self._maps["class_configs"].update(half.to_bytes(4, "little"), config)
        self._half_configs[half] = config
        self._sensor.classify_processes()

    def _write_index(self, wanted: dict[AttachPoint, _Hook], generation: int) -> None:
        rows = bytearray(_HALF_BYTES)
        for hook in wanted.values():
            at = 4 * hook.number
            rows[at : at + 4] = hook.tables.row.to_bytes(4, "little")
        first = (generation & 1) * c.HOOKS_MAX
        keys = b"".join(
            i.to_bytes(4, "little") for i in range(first, first + c.HOOKS_MAX)
        )
        self._maps["hook_index"].update_many(keys, bytes(rows))

    def _flip(self, generation: int) -> None:
        self._maps["active"].update(bytes(4), generation.to_bytes(4, "little"))
        self.switched_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def _clean(self, previous: dict[AttachPoint, _Hook], classes: StoredTables) -> None:
        """Free what only the set before used, once no program can be in it."""
        gone = [
            hook
            for point, hook in previous.items()
            if self._current.get(point) is not hook
        ]
        if not gone and classes is self._classes:
            return
        wait_for_programs()
        trackers = _trackers(previous)
        if trackers and trackers.isdisjoint(_trackers(self._current)):
            self._tables.forget_owners()  # who would have done so is gone
        numbers = {hook.number for hook in self._current.values()}
        for hook in gone:
            hook.tables.give_back()
            if hook.number not in numbers:
                self._hooks.detach(hook.number)
        if classes is not self._classes:
            classes.give_back()
        self._free_old_counters()

    def _free_old_counters(self) -> None:
        live = {
            SelectorKey(match_key(point, selector), selector.number)
            for point, hook in self._current.items()
            for selector in hook.plan.selectors
        }
        for key in self._counters.keys() - live:
            self._free_counters.append(self._counters.pop(key))


def _covers(old: HookPlan, new: HookPlan) -> bool:
    """Whether the programs of the old plan can do what the new one wants."""
    can_deny = old.wants_denial or old.point.kind != "function"
    if new.wants_denial and old.prefers_fmod != new.prefers_fmod:
        return False
    return old.wants_return >= new.wants_return and can_deny >= new.wants_denial


def _has_any(plan: HookPlan, policies: Collection[str]) -> bool:
    return bool(policies) and any(one.policy in policies for one in plan.selectors)


def _trackers(hooks: Mapping[AttachPoint, _Hook]) -> set[SelectorKey]:
    return {
        SelectorKey(match_key(point, selector), selector.number)
        for point, hook in hooks.items()
        for selector in hook.plan.selectors
        if selector.actions & c.ACTION_TRACK_SOCK
    }
