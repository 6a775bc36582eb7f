# SPDX-License-Identifier: Apache-2.0
"""matchArgs, matchData and matchReturnArgs: conditions on what was captured."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, NamedTuple

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.hooks import Lists, list_numbers
from tetragon_py.compiler.selectors.conditions import (
    Bits,
    Condition,
    Lookup,
    Place,
    Within,
)
from tetragon_py.compiler.selectors.numbers import file_types, numbers
from tetragon_py.compiler.selectors.texts import text_condition
from tetragon_py.compiler.tables.addresses import network_patterns
from tetragon_py.compiler.tables.intervals import LAST
from tetragon_py.compiler.tables.patterns import Alternatives
from tetragon_py.policy.diagnostic import Cause, PolicyValueError
from tetragon_py.policy.model.arguments import ArgumentType
from tetragon_py.policy.model.operators import Operator
from tetragon_py.policy.values.integers import IntRange, ListReference
from tetragon_py.policy.values.parse import Value, parse_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tetragon_py.compiler.capture.arguments import Captured
    from tetragon_py.compiler.plan import ArgumentPlan
    from tetragon_py.compiler.target import Target

__all__ = ["FilterContext", "argument_condition"]

_T = ArgumentType
_NUL = b"\0"
#: Operator -> field of struct argument_sock, bytes.
_SOCK_FIELDS = {
    Operator.SPORT: ("source_port", 2),
    Operator.SPORT_PRIV: ("source_port", 2),
    Operator.DPORT: ("destination_port", 2),
    Operator.DPORT_PRIV: ("destination_port", 2),
    Operator.PROTOCOL: ("protocol", 2),
    Operator.FAMILY: ("family", 2),
    Operator.STATE: ("state", 2),
}
_ADDRESSES = {
    Operator.SADDR: "source_address",
    Operator.DADDR: "destination_address",
}
_PATHS = (_T.FILE, _T.PATH, _T.FD, _T.DENTRY, _T.KIOCB, _T.LINUX_BINPRM)
#: Where the text begins, if not at once.
_TEXT_OFFSETS = {
    **dict.fromkeys(_PATHS, c.ARGUMENT_PATH_SIZE),
    **dict.fromkeys((_T.CHAR_BUF, _T.CHAR_IOVEC), c.ARGUMENT_BUFFER_SIZE),
    _T.SOCKADDR_UN: c.ARGUMENT_SOCK_SIZE,
}
_MAY_HOLD_NULS = (_T.CHAR_BUF, _T.CHAR_IOVEC, _T.SOCKADDR_UN)


class FilterContext(NamedTuple):
    """What filters of one policy need besides the arguments."""

    lists: Lists
    target: Target


def argument_condition(
    operator: Operator,
    texts: Sequence[str],
    captured: Sequence[Captured],
    context: FilterContext,
) -> Condition:
    """Return the condition of a filter.

    Args:
        operator: The filter's.
        texts: Its values, as they were written.
        captured: The argument that it is about; of CapabilitiesGained two: new and old.
        context: The policy's lists and the kernel.

    Raises:
        PolicyValueError: The operator or a value does not fit the argument's type.
    """
    if operator is Operator.CEL_EXPR:
        raise PolicyValueError(
            "CelExpr cannot run in this release", cause=Cause.RELEASE
        )
    plans = [_plan(argument) for argument in captured]
    kind = captured[0].type
    values = parse_values(operator, kind, texts)
    positive = operator.positive
    if operator is Operator.CAPABILITIES_GAINED:
        return _gained(plans)
    if positive in _ADDRESSES:
        offset = c.ARGUMENT_SOCK_OFFSETS[_ADDRESSES[positive]]
        networks = [v for v in values if isinstance(v, IPv4Network | IPv6Network)]
        patterns = network_patterns(networks)
        place = _place(plans[0], offset)
        test = Alternatives(patterns, operator.is_negative)
        return Condition(Lookup(place, c.DIMENSION_ADDRESS), test)
    if positive in _SOCK_FIELDS:
        name, width = _SOCK_FIELDS[positive]
        place = _place(plans[0], c.ARGUMENT_SOCK_OFFSETS[name], width)
        return _number_condition(operator, _integers(values), place)
    if positive is Operator.FILE_TYPE:
        place = _place(plans[0], c.ARGUMENT_PATH_OFFSETS["mode"], 4)
        kinds = [value for value in values if isinstance(value, int)]
        return Condition(
            Lookup(place, c.DIMENSION_RANGE), Within(file_types(operator, kinds))
        )
    if kind.bits:
        place = _place(plans[0])._replace(is_signed=kind.is_signed)
        return _number(operator, values, place, kind, context)
    return _text(operator, values, plans[0], kind, context.target)


def _plan(captured: Captured) -> ArgumentPlan:
    if captured.plan is None:
        raise PolicyValueError("an argument of type nop has no value")
    return captured.plan


def _place(plan: ArgumentPlan, offset: int = 0, width: int = 8) -> Place:
    return Place(
        c.SOURCE_ARGUMENT,
        argument=plan,
        offset=offset,
        width=width,
        at_return=bool(plan.flags & c.ARGUMENT_AT_RETURN),
    )


def _gained(plans: Sequence[ArgumentPlan]) -> Condition:
    new, old = plans
    place = _place(new)._replace(
        source=c.SOURCE_CAPABILITIES_GAINED,
        before=old,
        at_return=bool((new.flags | old.flags) & c.ARGUMENT_AT_RETURN),
    )
    return Condition(Lookup(place, c.DIMENSION_RANGE), Within(((1, LAST),)))


# ---- numbers ----


def _integers(values: Sequence[Value]) -> list[int | IntRange]:
    return [value for value in values if isinstance(value, int | IntRange)]


def _number(
    operator: Operator,
    values: Sequence[Value],
    place: Place,
    kind: ArgumentType,
    context: FilterContext,
) -> Condition:
    found = _integers(values)
    if operator is Operator.MASK:
        mask = 0
        for number in found:
            mask |= number if isinstance(number, int) else 0
        bits = Bits(mask & ((1 << kind.bits) - 1))
        place = place._replace(is_signed=False)
        return Condition(Lookup(place, c.DIMENSION_BITS), bits)
    for index, value in enumerate(values):
        if isinstance(value, ListReference):
            try:
                found += list_numbers(
                    value.name,
                    context.lists,
                    context.target,
                    has_compat_bit=kind is _T.SYSCALL64,
                )
            except PolicyValueError as problem:
                problem.index = index
                raise
    return _number_condition(operator, found, place)


def _number_condition(
    operator: Operator, values: Sequence[int | IntRange], place: Place
) -> Condition:
    wanted = numbers(operator, values, is_signed=place.is_signed)
    return Condition(Lookup(place, c.DIMENSION_RANGE), Within(wanted))


# ---- texts ----


def _text(
    operator: Operator,
    values: Sequence[Value],
    plan: ArgumentPlan,
    kind: ArgumentType,
    target: Target,
) -> Condition:
    patterns = [value for value in values if isinstance(value, bytes)]
    if kind is _T.SOCKADDR_UN:
        patterns = [_socket_name(pattern) for pattern in patterns]
    return text_condition(
        operator,
        patterns,
        _place(plan, _TEXT_OFFSETS.get(kind, 0)),
        may_hold_nuls=kind in _MAY_HOLD_NULS,
        longest=target.text_bytes_max,
    )


# Abstract names begin with a NUL and are written with an @.
def _socket_name(pattern: bytes) -> bytes:
    return _NUL + pattern[1:] if pattern.startswith(b"@") else pattern
