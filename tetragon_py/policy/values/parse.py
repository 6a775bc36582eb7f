# SPDX-License-Identifier: Apache-2.0
"""Values of filters on arguments: text in, what the operator compares with out.

What a text means depends on the argument's type: `parse_values` is called when a policy
is read and, where the type is known from the kernel only, once more by the compiler.

| operator                        | value                                            |
|---------------------------------|--------------------------------------------------|
| Equal, Mask, GT, LT             | int                                              |
| InMap                           | int, IntRange or ListReference                   |
| InRange                         | IntRange                                         |
| Equal, Prefix, ... on strings   | bytes                                            |
| SAddr, DAddr                    | IPv4Network or IPv6Network                       |
| SPort, DPort                    | int or IntRange                                  |
| Protocol, Family, State         | int, the kernel's number                         |
| FileType                        | int, the type bits of st_mode                    |
| CelExpr                         | CelExpression                                    |
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING

from tetragon_py.policy.diagnostic import Cause, PolicyValueError, quote
from tetragon_py.policy.model.arguments import ArgumentType
from tetragon_py.policy.model.kernel_names import (
    FAMILIES,
    FILE_TYPES,
    PROTOCOLS,
    STATES,
    look_up,
)
from tetragon_py.policy.model.operators import OPERATORS, Operator, TypeKind
from tetragon_py.policy.values.cel import CelExpression, parse_expression
from tetragon_py.policy.values.integers import (
    IntRange,
    ListReference,
    number_parser,
    parse_integer,
    split_range,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["EQUAL_MAX_BYTES", "PATTERN_MAX_BYTES", "Value", "parse_values"]

#: The longest path that the kernel gives us.
EQUAL_MAX_BYTES = 4096
#: A key of the kernel's prefix tables has 256 bytes, 8 of them are ours.
PATTERN_MAX_BYTES = 248
_PORT_MAX = 65535
_ADDRESS_CHARS = 64
_COUNTED = (ArgumentType.CHAR_BUF, ArgumentType.CHAR_IOVEC)


Value = (
    int | IntRange | ListReference | bytes | IPv4Network | IPv6Network | CelExpression
)


def parse_values(
    operator: Operator, argument_type: ArgumentType, values: Sequence[str]
) -> tuple[Value, ...]:
    """Return what `operator` compares an argument of this type with.

    Nothing is said about values for the type `auto`: they come out as text in bytes.

    Raises:
        PolicyValueError: The operator does not work on the type, or a value is wrong;
            `index` is then its position.
    """
    if operator not in OPERATORS[argument_type.kind]:
        raise _wrong_operator(operator, argument_type)
    if not operator.takes_values:
        if values:
            raise PolicyValueError(f"{operator} takes no values", "remove them")
        return ()
    if not values:
        raise PolicyValueError(f"{operator} needs at least one value")
    if operator is Operator.CEL_EXPR and len(values) > 1:
        raise PolicyValueError("CelExpr takes one expression", "join them with &&")
    parse = _parser(operator, argument_type)
    parsed = []
    for index, text in enumerate(values):
        try:
            parsed.append(parse(text))
        except PolicyValueError as problem:
            problem.index = index
            if "${" in text:
                hint = "fill in the placeholder before loading, e.g. with envsubst"
                raise PolicyValueError(
                    problem.message, hint, index=index, cause=Cause.PLACEHOLDER
                ) from None
            raise
    return tuple(parsed)


def _wrong_operator(operator: Operator, kind: ArgumentType) -> PolicyValueError:
    allowed = sorted(OPERATORS[kind.kind])
    hint = f"it takes {', '.join(allowed)}" if allowed else "it cannot be filtered"
    return PolicyValueError(f"{operator} does not work on type {kind}", hint)


def _parser(operator: Operator, kind: ArgumentType) -> Callable[[str], Value]:
    positive = operator.positive
    if positive in _BY_OPERATOR:
        return _BY_OPERATOR[positive]
    if kind.kind is TypeKind.AUTO:
        return _encode
    if kind.bits:
        return number_parser(positive, kind)
    return _string_parser(positive, kind)


# ---- text ----


def _encode(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise PolicyValueError(f"{quote(text)} is no UTF-8 text") from None


def _string_parser(operator: Operator, kind: ArgumentType) -> Callable[[str], bytes]:
    def parse(text: str) -> bytes:
        value = _encode(text)
        if kind not in _COUNTED:
            # A C string ends there; some policies write the end.
            value = value.rstrip(b"\0")
            if b"\0" in value:
                raise PolicyValueError(f"{quote(text)} has a zero byte inside")
        if operator is Operator.EQUAL:
            limit, why = EQUAL_MAX_BYTES, "nothing longer is captured"
        else:
            limit, why = PATTERN_MAX_BYTES, "tables of patterns hold no longer ones"
            if not value:
                raise PolicyValueError("is empty and would match everything")
        if len(value) > limit:
            raise PolicyValueError(f"is longer than {limit} bytes", why)
        if operator is Operator.SUBSTRING_IGNORE_CASE:
            return value.lower()
        return value

    return parse


# ---- addresses and names ----


def _network(text: str) -> IPv4Network | IPv6Network:
    problem = PolicyValueError(
        f"{quote(text)} is no address or network",
        "write it like 10.0.0.0/8 or fd00::/8",
    )
    # The library takes scopes (fe80::1%eth0), which packets do not carry.
    if len(text) > _ADDRESS_CHARS or "%" in text:
        raise problem
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError:
        raise problem from None


def _port(text: str) -> int | IntRange:
    if ":" not in text:
        return _one_port(text)
    low, high = map(_one_port, split_range(text))
    if low > high:
        raise PolicyValueError(f"{quote(text)} is empty", f"write {high}:{low}")
    return IntRange(low, high)


def _one_port(text: str) -> int:
    port = parse_integer(text)
    if not 0 <= port <= _PORT_MAX:
        raise PolicyValueError(f"{quote(text)} is no port", f"0 to {_PORT_MAX}")
    return port


def _name_parser(
    table: dict[str, int], what: str, prefix: str, limit: int
) -> Callable[[str], int]:
    def parse(text: str) -> int:
        stripped = text.strip()
        if not stripped[:1].isdigit():
            return look_up(table, stripped, what, prefix)
        number = parse_integer(stripped)
        if number > limit:
            raise PolicyValueError(f"{quote(text)} is no {what}", f"0 to {limit}")
        return number

    return parse


def _file_type(text: str) -> int:
    return look_up(FILE_TYPES, text.strip(), "file type")


_BY_OPERATOR: dict[Operator, Callable[[str], Value]] = {
    Operator.SADDR: _network,
    Operator.DADDR: _network,
    Operator.SPORT: _port,
    Operator.DPORT: _port,
    Operator.PROTOCOL: _name_parser(PROTOCOLS, "protocol", "IPPROTO_", 0xFFFF),
    Operator.FAMILY: _name_parser(FAMILIES, "address family", "AF_", 0xFFFF),
    Operator.STATE: _name_parser(STATES, "TCP state", "TCP_", 0xFF),
    Operator.FILE_TYPE: _file_type,
    Operator.CEL_EXPR: parse_expression,
}
