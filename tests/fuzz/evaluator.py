# SPDX-License-Identifier: Apache-2.0
"""The meaning of selectors, in plain Python: which ones match a hit.

Written from what policies promise, not from the tables that the compiler makes of them;
nothing is shared with the compiler but the models and the reading of values. All
filters of a selector must hold and all entries of a filter; of the values of an entry
one is enough, and a negative operator wants all of them to differ. About a value that
could not be read both are false. The process and its parent are known here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from tests.fuzz.hit import ArgumentKey, Unreadable
from tests.fuzz.operators import TESTS, part_of
from tetragon_py.policy.model.actions import ActionKind
from tetragon_py.policy.model.arguments import ArgumentType
from tetragon_py.policy.model.hooks import KprobeHook
from tetragon_py.policy.model.operators import Operator
from tetragon_py.policy.model.options import OnReadError
from tetragon_py.policy.model.selectors import HOST_NAMESPACE
from tetragon_py.policy.values.integers import ListReference
from tetragon_py.policy.values.parse import parse_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tests.fuzz.entries import Entry, World
    from tests.fuzz.hit import Hit
    from tetragon_py.policy.model.arguments import Argument
    from tetragon_py.policy.model.hooks import TracepointHook
    from tetragon_py.policy.model.selectors import (
        ArgFilter,
        BinaryFilter,
        CapabilityFilter,
        NamespaceChangeFilter,
        NamespaceFilter,
        PidFilter,
        Selector,
    )

__all__ = ["Evaluator", "first_match"]

_UNREADABLE = None

#: Whether a filter holds; _UNREADABLE: it is about a value that could not be read.
Filter: TypeAlias = "Callable[[Hit], bool | None]"


class Evaluator:
    """The policies at one attach point."""

    def __init__(self, entries: Sequence[Entry], world: World) -> None:
        self._entries = [
            [
                (list(_filters(entry, selector, world)), _denies(entry, selector))
                for selector in entry.hook.selectors
            ]
            or [([], False)]  # no selector: everything matches
            for entry in entries
        ]

    def matches(self, hit: Hit) -> list[list[bool]]:
        """Return for each entry whether each of its selectors matches."""
        return [
            [_holds(filters, hit, denies=denies) for filters, denies in selectors]
            for selectors in self._entries
        ]


def first_match(matches: list[bool]) -> int | None:
    """Return which selector of an entry decides: the first one that matches."""
    return matches.index(True) if True in matches else None


def _holds(filters: Sequence[Filter], hit: Hit, *, denies: bool) -> bool:
    for holds in filters:
        result = holds(hit)
        if result is _UNREADABLE:
            result = denies
        if not result:
            return False
    return True


# "on-read-error: deny": selectors that enforce match what cannot be read.
def _denies(entry: Entry, selector: Selector) -> bool:
    enforcing = {
        *(ActionKind.SIGKILL, ActionKind.SIGNAL, ActionKind.OVERRIDE),
        *(ActionKind.NOTIFY_ENFORCER, ActionKind.SET),
    }
    return entry.policy.options.on_read_error is OnReadError.DENY and any(
        action.action in enforcing for action in selector.match_actions
    )


def _filters(entry: Entry, selector: Selector, world: World) -> Iterator[Filter]:
    hook = entry.hook
    yield from map(_pid, selector.match_pids)
    yield from map(_binary, selector.match_binaries)
    yield from map(_parent_binary, selector.match_parent_binaries)
    for namespace in selector.match_namespaces:
        yield _namespace(namespace, world)
    yield from map(_namespace_change, selector.match_namespace_changes)
    yield from map(_capability, selector.match_capabilities)
    yield from map(_capability_change, selector.match_capability_changes)
    for argument in selector.match_args:
        positions = argument.args or _position(hook, argument)
        source = "args" if isinstance(hook, KprobeHook) else "fields"
        keys = [argument_key(source, hook.args[p]) for p in positions]
        yield _argument(argument, keys, entry, world)
    if not isinstance(hook, KprobeHook):
        return
    for argument in selector.match_data:
        positions = argument.args or (argument.index or 0,)
        keys = [argument_key("data", hook.data[p]) for p in positions]
        yield _argument(argument, keys, entry, world)
    for argument in selector.match_return_args:
        assert hook.return_arg
        keys = [argument_key("returnArg", hook.return_arg)]
        yield _argument(argument, keys, entry, world)


# The first argument of this index; of a tracepoint's arguments it may be the position.
def _position(hook: KprobeHook | TracepointHook, wanted: ArgFilter) -> tuple[int]:
    number = wanted.index or 0
    indices = [argument.index for argument in hook.args]
    return (indices.index(number) if number in indices else number,)


def argument_key(source: str, argument: Argument) -> ArgumentKey:
    """Return the name of an argument in a hit."""
    return ArgumentKey(
        source,
        argument.index if source in {"args", "fields"} else 0,
        argument.type,
        argument.resolve or "",
        argument.return_copy or source == "returnArg",
    )


# ---- the process ----


def _pid(entry: PidFilter) -> Filter:
    def holds(hit: Hit) -> bool:
        images = hit.process.images if entry.follow_forks else hit.process.images[-1:]
        found = any(
            (image.namespace_pid if entry.is_namespace_pid else image.pid)
            in entry.values
            for image in images
        )
        return found is not entry.operator.is_negative

    return holds


def _binary(entry: BinaryFilter) -> Filter:
    return lambda hit: _is_binary(
        entry,
        [image.binary for image in hit.process.images]
        if entry.follow_children
        else [hit.process.images[-1].binary],
    )


# The parent, or what the process itself was before its exec.
def _parent_binary(entry: BinaryFilter) -> Filter:
    return lambda hit: _is_binary(entry, [hit.process.images[-2].binary])


def _is_binary(entry: BinaryFilter, binaries: Iterable[bytes]) -> bool:
    test = TESTS[entry.operator.positive]
    found = any(test(b, value.encode()) for b in binaries for value in entry.values)
    return found is not entry.operator.is_negative


def _namespace(entry: NamespaceFilter, world: World) -> Filter:
    host = world.host_namespaces[entry.namespace]
    wanted = {host if value == HOST_NAMESPACE else value for value in entry.values}
    return lambda hit: (
        (hit.process.namespaces[entry.namespace] in wanted)
        is not entry.operator.is_negative
    )


def _capability(entry: CapabilityFilter) -> Filter:
    return lambda hit: (
        any(hit.process.capabilities[entry.type] >> bit & 1 for bit in entry.values)
        is not entry.operator.is_negative
    )


# Since the last exec.
def _namespace_change(entry: NamespaceChangeFilter) -> Filter:
    def holds(hit: Hit) -> bool:
        now, then = hit.process.namespaces, hit.process.exec_namespaces
        found = any(now[name] != then[name] for name in entry.values)
        return found is not entry.operator.is_negative

    return holds


def _capability_change(entry: CapabilityFilter) -> Filter:
    def holds(hit: Hit) -> bool:
        now = hit.process.capabilities[entry.type]
        changed = now ^ hit.process.exec_capabilities[entry.type]
        found = any(changed >> bit & 1 for bit in entry.values)
        return found is not entry.operator.is_negative

    return holds


# ---- arguments ----


def _argument(
    entry: ArgFilter, keys: Sequence[ArgumentKey], of: Entry, world: World
) -> Filter:
    operator, kind = entry.operator, keys[0].type
    if operator is Operator.CAPABILITIES_GAINED:
        return _gained(*keys)
    test, part = TESTS[operator.positive], part_of(operator.positive)
    values = _values(entry, kind, of, world)

    def holds(hit: Hit) -> bool | None:
        value = hit.arguments[keys[0]]
        if isinstance(value, Unreadable):
            return _UNREADABLE
        found = part(value)
        return any(test(found, v) for v in values) is not operator.is_negative

    return holds


def _gained(new: ArgumentKey, old: ArgumentKey) -> Filter:
    def holds(hit: Hit) -> bool | None:
        after, before = hit.arguments[new], hit.arguments[old]
        if isinstance(after, Unreadable) or isinstance(before, Unreadable):
            return _UNREADABLE
        assert isinstance(after, int)
        assert isinstance(before, int)
        return after & ~before != 0

    return holds


def _values(
    entry: ArgFilter, kind: ArgumentType, of: Entry, world: World
) -> list[object]:
    values: list[object] = []
    for value in parse_values(entry.operator, kind, entry.values):
        if isinstance(value, ListReference):
            [names] = [x.values for x in of.policy.spec.lists if x.name == value.name]
            values += [world.syscall(name) for name in names]
        elif kind is ArgumentType.SOCKADDR_UN and isinstance(value, bytes):
            # Abstract names are written with an @.
            values.append(b"\0" + value[1:] if value[:1] == b"@" else value)
        else:
            values.append(value)
    return values or [None]  # an operator that says everything itself
