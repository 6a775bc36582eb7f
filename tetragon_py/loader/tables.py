# SPDX-License-Identifier: Apache-2.0
"""The plan of a hook in the maps: rows written once, read by programs, given back.

What is written here is read by nobody until a generation points to it, and is not
changed after that (see bpf/abi/policy.h).
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.plan import AddressRow, AutomatonRow
from tetragon_py.errors import KernelError, LimitError
from tetragon_py.loader.rows import RowSpace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tetragon_py.compiler.plan import (
        ArgumentPlan,
        ClassPlan,
        DimensionPlan,
        HookPlan,
        SelectorPlan,
    )
    from tetragon_py.libbpf import Map

__all__ = [
    "KEYED_TABLES",
    "PolicyTables",
    "SavedTables",
    "SelectorNumbers",
    "StoredTables",
]

#: Maps with keys of several tables.
KEYED_TABLES = frozenset(
    ("texts", "addresses", "short_texts", "long_texts", "followed_pids")
)
_VECTOR = Struct(c.VECTOR_FORMAT)
_BOUND = Struct(c.BOUND_FORMAT)
_DIMENSION = Struct(c.DIMENSION_FORMAT)
_ARGUMENT = Struct(c.ARGUMENT_CONFIG_FORMAT)
_STEP = Struct(c.RESOLVE_STEP_FORMAT)
_HOOK_HEAD = Struct(
    c.HOOK_CONFIG_FORMAT.removesuffix(
        f"{c.HOOK_ARGUMENTS_MAX * c.ARGUMENT_CONFIG_SIZE}s"
        f"{c.DIMENSIONS_MAX * c.DIMENSION_SIZE}s"
    )
)
_SELECTOR = Struct(c.SELECTOR_FORMAT)
_AUTOMATON = Struct(c.AUTOMATON_STATE_FORMAT)
_CLASS = Struct(c.CLASS_CONFIG_FORMAT)
_PID_KEY = Struct(c.PID_KEY_FORMAT)
_NUMBER = Struct("<I")
_BITS = Struct("<Q")
_WORDS = (1 << 64) - 1
_FAMILY_TABLES = 2  # numbers that an address dimension takes: IPv4, IPv6
_NUMBER_KINDS = frozenset({c.DIMENSION_RANGE, c.DIMENSION_BITS, c.DIMENSION_NO_BITS})
_SOCKETS = frozenset({c.ARGUMENT_SOCK, c.ARGUMENT_SKB})
_CLASS_SOURCES = frozenset({c.SOURCE_BINARY, c.SOURCE_FOLLOWED})


class SelectorNumbers(NamedTuple):
    """What a selector is called in records and counters."""

    policy: int
    counter: int


@dataclass(slots=True)
class StoredTables:
    """What one hook, or the classes of processes, occupies."""

    row: int = 0  # of hook_configs
    class_config: bytes = b""  # struct class_config
    runs: list[tuple[RowSpace, int, int]] = field(default_factory=list)
    keys: list[tuple[Map, bytes]] = field(default_factory=list)

    def give_back(self) -> None:
        """Free all: no program may be able to reach it any more."""
        for table, key in self.keys:
            table.delete(key)
        for space, start, count in self.runs:
            space.give_back(start, count)
        self.runs.clear()
        self.keys.clear()


class SavedTables(NamedTuple):
    """StoredTables for the next agent: maps by their names."""

    row: int
    class_config: bytes
    runs: list[tuple[str, int, int]]
    keys: list[tuple[str, bytes]]


class PolicyTables:
    """The maps of bpf/tables.bpf.h. For one thread.

    Args:
        maps: By name.
    """

    def __init__(self, maps: Mapping[str, Map]) -> None:
        self.maps = maps
        flat = ("hook_configs", "steps", "selectors", "vectors", "bounds", "rows")
        self._spaces = {
            name: RowSpace(maps[name]) for name in (*flat, "automata", "follow_rows")
        }
        self._next_table = 1

    def store_hook(
        self,
        plan: HookPlan,
        generation: int,
        numbers: Sequence[SelectorNumbers],
    ) -> StoredTables:
        """Write the tables of a hook; `numbers` of its selectors in their order.

        Raises:
            LimitError, KernelError: nothing stays.
        """
        return self._store(lambda stored: self._hook(plan, generation, numbers, stored))

    def store_classes(self, plan: ClassPlan) -> StoredTables:
        """Write how processes are classified: `class_config` points to it.

        Raises:
            LimitError, KernelError: nothing stays.
        """
        return self._store(lambda stored: self._classes(plan, stored))

    @property
    def next_table(self) -> int:
        """Number of the next table of keys."""
        return self._next_table

    @staticmethod
    def save(stored: StoredTables) -> SavedTables:
        """What `restore` needs, apart from what is pinned."""
        return SavedTables(
            stored.row,
            stored.class_config,
            [(space.table.name, start, count) for space, start, count in stored.runs],
            [(table.name, key) for table, key in stored.keys],
        )

    def restore(self, saved: SavedTables, next_table: int) -> StoredTables:
        """Take over what an earlier agent has written: its rows are not given."""
        self._next_table = max(self._next_table, next_table)
        for name, start, count in saved.runs:
            self._spaces[name].reserve(start, count)
        return StoredTables(
            saved.row,
            saved.class_config,
            [(self._spaces[name], start, count) for name, start, count in saved.runs],
            [(self.maps[name], key) for name, key in saved.keys],
        )

    def forget_owners(self) -> None:
        """Forget whose sockets are: a new one may have the address of an old one."""
        owners = self.maps["sock_owners"]
        for sock in list(owners.keys()):
            owners.delete(sock)

    # ---- one hook ----

    def _store(self, write: Callable[[StoredTables], None]) -> StoredTables:
        stored = StoredTables()
        try:
            write(stored)
        except BaseException:
            stored.give_back()
            raise
        return stored

    def _take(self, name: str, values: bytes, stored: StoredTables) -> int:
        space = self._spaces[name]
        count = len(values) // space.table.value_size
        if not count:
            return 0
        start = space.take(count)
        stored.runs.append((space, start, count))
        space.write(start, values)
        return start

    def _hook(
        self,
        plan: HookPlan,
        generation: int,
        numbers: Sequence[SelectorNumbers],
        stored: StoredTables,
    ) -> None:
        vector = self._vectors(plan, stored)
        first_selector = self._take(
            "selectors",
            b"".join(map(_pack_selector, plan.selectors, numbers)),
            stored,
        )
        arguments = b"".join(self._argument(a, stored) for a in plan.arguments)
        dimensions = b"".join(
            self._dimension(dimension, vector, stored) for dimension in plan.dimensions
        )
        at_return = sum(
            bool(dimension.flags & c.DIMENSION_AT_RETURN)
            for dimension in plan.dimensions
        )
        flags = c.HOOK_WANTS_RETURN if plan.wants_return else 0
        if any(dimension.source in _CLASS_SOURCES for dimension in plan.dimensions):
            flags |= c.HOOK_WANTS_CLASS
        if any(selector.failure_signal for selector in plan.selectors):
            flags |= c.HOOK_KILLS
        flags |= _sock_flags(plan.arguments)
        head = _HOOK_HEAD.pack(
            generation,
            first_selector,
            vector[_return_vector(plan)],
            len(plan.selectors),
            (len(plan.selectors) + 63) // 64,
            len(plan.arguments),
            len(plan.dimensions),
            at_return,
            flags,
        )
        arguments = arguments.ljust(
            c.HOOK_ARGUMENTS_MAX * c.ARGUMENT_CONFIG_SIZE, b"\0"
        )
        dimensions = dimensions.ljust(c.DIMENSIONS_MAX * c.DIMENSION_SIZE, b"\0")
        stored.row = self._take("hook_configs", head + arguments + dimensions, stored)

    def _vectors(self, plan: HookPlan, stored: StoredTables) -> dict[int, int]:
        """Write each different vector once: vector -> its row. No bits: row 0."""
        found: dict[int, None] = {}
        found[_return_vector(plan)] = None
        for dimension in plan.dimensions:
            found[dimension.miss] = None
            found[dimension.error] = None
            for row in dimension.rows:
                found[_vector_of(row)] = None
        found.pop(0, None)
        packed = b"".join(
            _VECTOR.pack(*(v >> 64 * i & _WORDS for i in range(c.VECTOR_WORDS)))
            for v in found
        )
        start = self._take("vectors", packed, stored)
        return {0: 0} | {v: start + i for i, v in enumerate(found)}

    def _argument(self, plan: ArgumentPlan, stored: StoredTables) -> bytes:
        steps = b"".join(_STEP.pack(offset, follow) for offset, follow in plan.steps)
        return _ARGUMENT.pack(
            plan.type,
            plan.source,
            plan.form,
            plan.index,
            plan.offset,
            plan.size,
            plan.size_register,
            len(plan.steps),
            plan.flags,
            self._take("steps", steps, stored),
        )

    def _dimension(
        self, plan: DimensionPlan, vector: Mapping[int, int], stored: StoredTables
    ) -> bytes:
        return _DIMENSION.pack(
            plan.kind,
            plan.source,
            plan.slot,
            plan.width,
            plan.offset,
            plan.flags,
            self._rows(plan, vector, stored),
            len(plan.rows),
            vector[plan.miss],
            vector[plan.error],
        )

    def _rows(
        self, plan: DimensionPlan, vector: Mapping[int, int], stored: StoredTables
    ) -> int:
        rows: Sequence = plan.rows  # type: ignore[type-arg]  # by kind
        if plan.kind in _NUMBER_KINDS:
            packed = b"".join(_BOUND.pack(low, vector[v]) for low, v in rows)
            return self._take("bounds", packed, stored)
        if plan.kind == c.DIMENSION_CLASS:
            by_class = dict(rows)
            packed = b"".join(
                _NUMBER.pack(vector[by_class[i]]) for i in range(len(by_class))
            )
            return self._take("rows", packed, stored)
        if plan.kind in {c.DIMENSION_SUBSTRING, c.DIMENSION_NO_SUBSTRING}:
            return self._automaton(rows, vector, stored)
        if plan.kind == c.DIMENSION_ADDRESS:
            return self._addresses(rows, vector, stored)
        if plan.kind == c.DIMENSION_TEXT_WHOLE:
            return self._whole_texts(rows, vector, stored)
        return self._texts(((text, vector[v]) for text, v in rows), stored)

    def _new_table(self, count: int = 1) -> int:
        table = self._next_table
        self._next_table += count
        return table

    def _texts(self, rows: Iterable[tuple[bytes, int]], stored: StoredTables) -> int:
        table = self._new_table()
        head = table.to_bytes(4, "little")
        keys, numbers = [], []
        for text, number in rows:
            bits = (8 * (4 + len(text))).to_bytes(4, "little")
            keys.append(bits + head + text.ljust(c.TEXT_KEY_BYTES, b"\0"))
            numbers.append(number)
        self._keyed("texts", keys, numbers, stored)
        return table

    def _addresses(
        self,
        rows: Sequence[AddressRow],
        vector: Mapping[int, int],
        stored: StoredTables,
    ) -> int:
        table = self._new_table(_FAMILY_TABLES)
        keys = []
        for row in rows:
            number = table + (len(row.address) == 16)  # IPv6
            bits = (8 * 4 + row.bits).to_bytes(4, "little")
            keys.append(
                bits + number.to_bytes(4, "little") + row.address.ljust(16, b"\0")
            )
        numbers = [vector[row.vector] for row in rows]
        self._keyed("addresses", keys, numbers, stored)
        return table

    def _whole_texts(
        self,
        rows: Sequence[tuple[bytes, int]],
        vector: Mapping[int, int],
        stored: StoredTables,
    ) -> int:
        table = self._new_table()
        for name, low, high in (
            ("short_texts", 0, c.SHORT_TEXT_BYTES),
            ("long_texts", c.SHORT_TEXT_BYTES + 1, c.LONG_TEXT_BYTES),
        ):
            found = [(text, v) for text, v in rows if low <= len(text) <= high]
            head = table.to_bytes(4, "little")
            keys = [
                head + len(text).to_bytes(4, "little") + text.ljust(high, b"\0")
                for text, _ in found
            ]
            self._keyed(name, keys, [vector[v] for _, v in found], stored)
        return table

    def _automaton(
        self,
        rows: Sequence[AutomatonRow],
        vector: Mapping[int, int],
        stored: StoredTables,
    ) -> int:
        packed = b"".join(
            _AUTOMATON.pack(*row.following, vector[row.found]) for row in rows
        )
        return self._take("automata", packed, stored)

    def _keyed(
        self,
        name: str,
        keys: Sequence[bytes],
        numbers: Sequence[int],
        stored: StoredTables,
        value: Struct = _NUMBER,
    ) -> None:
        table = self.maps[name]
        stored.keys += [(table, key) for key in keys]
        try:
            table.update_many(b"".join(keys), b"".join(map(value.pack, numbers)))
        except KernelError as error:
            raise _full(table, error) from error

    # ---- classes of processes ----

    def _classes(self, plan: ClassPlan, stored: StoredTables) -> None:
        begin = self._texts(plan.begins, stored)
        end = self._texts(plan.ends, stored)
        follows = [
            self._take("follow_rows", b"".join(map(_BITS.pack, bits)), stored)
            for bits in (plan.begin_follows, plan.end_follows)
        ]
        pids = self._new_table(2)
        for number, rows in enumerate((plan.pids, plan.namespace_pids), pids):
            self._keyed(
                "followed_pids",
                [_PID_KEY.pack(number, pid) for pid, _ in rows],
                [bits for _, bits in rows],
                stored,
                _BITS,
            )
        flags = c.CLASS_HAS_BINARIES if plan.begins or plan.ends else 0
        flags |= c.CLASS_HAS_PIDS if plan.pids or plan.namespace_pids else 0
        stored.class_config = _CLASS.pack(begin, end, *follows, flags, pids)


def _return_vector(plan: HookPlan) -> int:
    return sum(s.tells_return << bit for bit, s in enumerate(plan.selectors))


def _vector_of(row: tuple[object, int] | AutomatonRow | AddressRow) -> int:
    if isinstance(row, AddressRow):
        return row.vector
    return row.found if isinstance(row, AutomatonRow) else row[1]


def _sock_flags(arguments: Sequence[ArgumentPlan]) -> int:
    for slot, argument in enumerate(arguments):
        # one that is returned is new: nobody owns it yet
        is_known = argument.source != c.FROM_RETURN and not argument.steps
        if argument.type in _SOCKETS and is_known:
            return c.HOOK_HAS_SOCK | slot << c.HOOK_SOCK_SHIFT
    return 0


def _pack_selector(plan: SelectorPlan, numbers: SelectorNumbers) -> bytes:
    slots = 0
    for slot in (*plan.arguments, *plan.data):
        slots |= 1 << slot
    return _SELECTOR.pack(
        numbers.policy,
        plan.number,
        plan.last + 1,
        numbers.counter,
        plan.actions,
        slots,
        plan.monitored,
        plan.error,
        plan.signal,
        plan.sock_slot,
        plan.rate_scope,
        plan.tells_return,
        plan.rate_ms,
        plan.enforcer,
        plan.failure_signal,
    )


def _full(table: Map, error: KernelError) -> LimitError | KernelError:
    if error.errno not in {errno.ENOSPC, errno.E2BIG, errno.ENOMEM}:
        return error
    return LimitError(
        f"the policy set does not fit into the map {table.name} "
        f"({table.max_entries} entries)"
    )
