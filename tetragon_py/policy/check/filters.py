# SPDX-License-Identifier: Apache-2.0
"""Rules for the filters of a selector that need no kernel."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tetragon_py.policy.check.positions import argument_positions, data_positions
from tetragon_py.policy.diagnostic import (
    Finding,
    Path,
    PolicyValueError,
    error,
    nearest,
    quote,
    refusal,
)
from tetragon_py.policy.model.arguments import Argument, ArgumentType
from tetragon_py.policy.model.hooks import ReturningHook
from tetragon_py.policy.model.operators import OPERATORS, Operator, TypeKind
from tetragon_py.policy.model.policy import ListType
from tetragon_py.policy.values.cel import CelExpression
from tetragon_py.policy.values.parse import PATTERN_MAX_BYTES, parse_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tetragon_py.policy.model.hooks import Hook
    from tetragon_py.policy.model.selectors import ArgFilter, BinaryFilter, Selector

__all__ = ["check_filters", "check_list_name"]

_PATH_MAX_BYTES = 4095
_WHOLE = (Operator.IN, Operator.NOT_IN)
_SYSCALLS = (ListType.SYSCALLS, ListType.GENERATED_SYSCALLS)
_NUMERIC = (TypeKind.NUMBER, TypeKind.CAPABILITIES, TypeKind.AUTO)


def check_filters(
    hook: Hook, path: Path, selector: Selector, lists: Mapping[str, ListType]
) -> Iterator[Finding]:
    """Yield what is wrong with the filters of a selector; `path` leads to it."""
    returning = hook if isinstance(hook, ReturningHook) else None
    data = returning.data if returning else ()
    for index, entry in enumerate(selector.match_args):
        yield from _check(
            (*path, "matchArgs", index),
            entry,
            hook.args,
            lambda wanted: argument_positions(hook, wanted),
            lists,
        )
    for index, entry in enumerate(selector.match_data):
        yield from _check(
            (*path, "matchData", index),
            entry,
            data,
            lambda wanted: data_positions(data, wanted),
            lists,
        )
    returned = returning.return_arg if returning and returning.return_ else None
    for index, entry in enumerate(selector.match_return_args):
        place = (*path, "matchReturnArgs", index)
        if returned is None:
            hint = "set return: true and returnArg" if returning else ""
            yield error(place, "needs the value that the hook returns", hint)
            continue
        yield from _check(place, entry, (returned,), lambda _: (0,), lists)
    for key, binaries in (
        ("matchBinaries", selector.match_binaries),
        ("matchParentBinaries", selector.match_parent_binaries),
    ):
        for index, binary in enumerate(binaries):
            yield from _check_binaries((*path, key, index), binary)


def _check(
    path: Path,
    entry: ArgFilter,
    declared: Sequence[Argument],
    locate: Callable[[ArgFilter], tuple[int, ...]],
    lists: Mapping[str, ListType],
) -> Iterator[Finding]:
    if entry.operator is Operator.CEL_EXPR:
        yield from _check_expression(path, entry, declared)
        return
    key = "args" if entry.args else "index"
    try:
        positions = locate(entry)
    except PolicyValueError as problem:
        yield refusal((*path, key), problem)
        return
    wanted = 2 if entry.operator is Operator.CAPABILITIES_GAINED else 1
    if len(positions) != wanted:
        hint = "args: [new, old]" if wanted == 2 else "give each its own entry"
        text = f"{entry.operator} compares {wanted} argument{'s'[: wanted - 1]}"
        yield error((*path, key), f"{text}, not {len(positions)}", hint)
        return
    for position in positions:
        problems = list(_check_values(path, entry, declared[position], lists))
        yield from problems
        if problems:
            return


def _check_values(
    path: Path, entry: ArgFilter, argument: Argument, lists: Mapping[str, ListType]
) -> Iterator[Finding]:
    kind = argument.declared_type
    problem = _problem(entry, kind, entry.values)
    if problem and problem.index is None:
        key = "values" if entry.operator in OPERATORS[kind.kind] else "operator"
        yield refusal((*path, key), problem)
        return
    # Each value is judged alone: all mistakes are told at once.
    for index, value in enumerate(entry.values if problem else ()):
        if problem := _problem(entry, kind, (value,)):
            place = (*path, "values", index)
            yield refusal(place, problem)
    if entry.operator.positive is Operator.IN_MAP:
        for index, value in enumerate(entry.values):
            if value.startswith("list:"):
                place = (*path, "values", index)
                yield from check_list_name(place, value, lists, _SYSCALLS)


def _problem(
    entry: ArgFilter, kind: ArgumentType, values: Sequence[str]
) -> PolicyValueError | None:
    try:
        parse_values(entry.operator, kind, values)
    except PolicyValueError as problem:
        return problem
    return None


def check_list_name(
    path: Path,
    value: str,
    lists: Mapping[str, ListType],
    allowed: Sequence[ListType] = tuple(ListType),
) -> Iterator[Finding]:
    """Yield an error if `value`, list:NAME, names no list of an `allowed` type."""
    name = value.removeprefix("list:")
    if name not in lists:
        near = partial(nearest, name, lists)
        yield error(path, f"there is no list {quote(name)}", near)
    elif lists[name] not in allowed:
        hint = "use a list of type syscalls or generated_syscalls"
        yield error(path, f"the list {quote(name)} holds no system calls", hint)


def _check_expression(
    path: Path, entry: ArgFilter, declared: Sequence[Argument]
) -> Iterator[Finding]:
    if path[-2] != "matchArgs":
        yield error((*path, "operator"), "CelExpr works in matchArgs only")
        return
    if entry.index is not None or entry.args:
        key = "args" if entry.args else "index"
        hint = "the expression names its arguments: arg0, arg1, ..."
        yield error((*path, key), "has no meaning for CelExpr", hint)
    kind = ArgumentType.AUTO
    if problem := _problem(entry, kind, entry.values):
        place: Path = (*path, "values")
        if problem.index is not None:
            place = (*place, problem.index)
        yield refusal(place, problem)
        return
    expressions = parse_values(entry.operator, kind, entry.values)
    for index, expression in enumerate(expressions):
        if isinstance(expression, CelExpression):
            place = (*path, "values", index)
            yield from _check_variables(place, expression, declared)


def _check_variables(
    path: Path, expression: CelExpression, declared: Sequence[Argument]
) -> Iterator[Finding]:
    for position in expression.positions:
        if position >= len(declared):
            hint = f"positions in args count from 0; {len(declared)} declared"
            yield error(path, f"there is no arg{position}", hint)
        elif declared[position].declared_type.kind not in _NUMERIC:
            kind = declared[position].type
            yield error(path, f"arg{position} is no number but of type {kind}")


def _check_binaries(path: Path, entry: BinaryFilter) -> Iterator[Finding]:
    positive = entry.operator.positive
    if entry.follow_children and entry.operator not in _WHOLE:
        yield error((*path, "followChildren"), "works with In and NotIn only")
    is_whole = entry.operator in _WHOLE
    limit = _PATH_MAX_BYTES if is_whole else PATTERN_MAX_BYTES
    for index, value in enumerate(entry.values):
        place = (*path, "values", index)
        if len(value.encode(errors="replace")) > limit:
            why = "no path is" if is_whole else "tables of patterns hold no longer ones"
            yield error(place, f"is longer than {limit} bytes", why)
        if positive is not Operator.POSTFIX and not value.startswith("/"):
            hint = "write the absolute path, or use Postfix"
            yield error(place, f"{quote(value)} is no absolute path", hint)
