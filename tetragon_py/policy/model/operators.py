# SPDX-License-Identifier: Apache-2.0
"""Operators: their spellings, and which of them work on which kind of argument."""

from __future__ import annotations

from enum import Enum, StrEnum
from functools import partial
from typing import Annotated

from pydantic import BeforeValidator

from tetragon_py.policy.diagnostic import PolicyValueError, one_of, quote

__all__ = [
    "OPERATORS",
    "ArgOperator",
    "BinaryOperator",
    "Operator",
    "SetOperator",
    "TypeKind",
    "parse_operator",
]


class Operator(StrEnum):
    """All operators in the spelling that messages and events use."""

    EQUAL = "Equal"
    NOT_EQUAL = "NotEqual"
    IN = "In"
    NOT_IN = "NotIn"
    PREFIX = "Prefix"
    NOT_PREFIX = "NotPrefix"
    POSTFIX = "Postfix"
    NOT_POSTFIX = "NotPostfix"
    SUBSTRING = "SubString"
    SUBSTRING_IGNORE_CASE = "SubStringIgnCase"
    GT = "GT"
    LT = "LT"
    IN_RANGE = "InRange"
    NOT_IN_RANGE = "NotInRange"
    MASK = "Mask"
    IN_MAP = "InMap"
    NOT_IN_MAP = "NotInMap"
    CAPABILITIES_GAINED = "CapabilitiesGained"
    SADDR = "SAddr"
    NOT_SADDR = "NotSAddr"
    DADDR = "DAddr"
    NOT_DADDR = "NotDAddr"
    SPORT = "SPort"
    NOT_SPORT = "NotSPort"
    SPORT_PRIV = "SPortPriv"
    NOT_SPORT_PRIV = "NotSPortPriv"
    DPORT = "DPort"
    NOT_DPORT = "NotDPort"
    DPORT_PRIV = "DPortPriv"
    NOT_DPORT_PRIV = "NotDPortPriv"
    PROTOCOL = "Protocol"
    FAMILY = "Family"
    STATE = "State"
    FILE_TYPE = "FileType"
    NOT_FILE_TYPE = "NotFileType"
    CEL_EXPR = "CelExpr"

    @property
    def is_negative(self) -> bool:
        """True for Not...: it matches what its positive form does not."""
        return self.value.startswith("Not")

    @property
    def positive(self) -> Operator:
        """The same operator without Not."""
        return Operator(self.value.removeprefix("Not"))

    @property
    def takes_values(self) -> bool:
        """False for the few that say everything themselves."""
        return self.positive not in _WITHOUT_VALUES


_WITHOUT_VALUES = frozenset(
    (Operator.SPORT_PRIV, Operator.DPORT_PRIV, Operator.CAPABILITIES_GAINED)
)
_ALIASES = {
    "eq": Operator.EQUAL,
    "neq": Operator.NOT_EQUAL,
    "greaterthan": Operator.GT,
    "lessthan": Operator.LT,
    "substringignorecase": Operator.SUBSTRING_IGNORE_CASE,
}
_SPELLINGS = {operator.value.casefold(): operator for operator in Operator} | _ALIASES
_PROCESS_ONLY = frozenset((Operator.IN, Operator.NOT_IN))


class TypeKind(Enum):
    """Argument types that take the same operators."""

    AUTO = "auto"  #: known when the kernel was asked
    NONE = "none"  #: captured, but cannot be filtered
    NUMBER = "number"
    CAPABILITIES = "capabilities"
    STRING = "string"
    FILE = "file"
    DEVICE = "device"
    SKB = "skb"
    SOCK = "sock"
    SOCKADDR = "sockaddr"
    SOCKADDR_UN = "sockaddr_un"


def _both(*operators: Operator) -> frozenset[Operator]:
    negative = {f"Not{operator}" for operator in operators} & set(Operator)
    return frozenset((*operators, *map(Operator, negative)))


_NUMBER = _both(
    *(Operator.EQUAL, Operator.GT, Operator.LT, Operator.IN_RANGE, Operator.MASK),
    *(Operator.IN_MAP, Operator.CEL_EXPR),
)
_STRING = _both(
    *(Operator.EQUAL, Operator.PREFIX, Operator.POSTFIX),
    *(Operator.SUBSTRING, Operator.SUBSTRING_IGNORE_CASE),
)
_SOURCE = _both(Operator.SADDR, Operator.SPORT, Operator.SPORT_PRIV, Operator.FAMILY)
_SKB = _SOURCE | _both(
    Operator.DADDR, Operator.DPORT, Operator.DPORT_PRIV, Operator.PROTOCOL
)

#: What may stand in a filter on an argument of each kind.
OPERATORS: dict[TypeKind, frozenset[Operator]] = {
    TypeKind.AUTO: frozenset(Operator) - _PROCESS_ONLY,
    TypeKind.NONE: frozenset(),
    TypeKind.NUMBER: _NUMBER,
    TypeKind.CAPABILITIES: _NUMBER | {Operator.CAPABILITIES_GAINED},
    TypeKind.STRING: _STRING,
    TypeKind.FILE: _STRING | _both(Operator.FILE_TYPE),
    TypeKind.DEVICE: _both(Operator.EQUAL),
    TypeKind.SKB: _SKB,
    TypeKind.SOCK: _SKB | {Operator.STATE},
    TypeKind.SOCKADDR: _SOURCE,
    TypeKind.SOCKADDR_UN: _both(Operator.EQUAL, Operator.PREFIX) | {Operator.FAMILY},
}

_SET = _PROCESS_ONLY
_BINARY = _SET | _both(Operator.PREFIX, Operator.POSTFIX)


def parse_operator(
    value: object, allowed: frozenset[Operator] = frozenset(Operator)
) -> Operator:
    """Return the operator that `value` spells, in any case or as an alias.

    Raises:
        PolicyValueError: It is none, or none of `allowed`.
    """
    if not isinstance(value, str):
        raise PolicyValueError("must be the name of an operator", "put it in quotes")
    operator = _SPELLINGS.get(value.strip().casefold())
    if operator is None:
        hint = partial(one_of, value, sorted(allowed))
        if value.casefold() == "instring":
            raise PolicyValueError(
                f"unknown operator {quote(value)}", f"use {Operator.SUBSTRING}"
            )
        raise PolicyValueError(f"unknown operator {quote(value)}", hint)
    if operator in _PROCESS_ONLY - allowed:
        raise PolicyValueError(
            f"operator {operator} cannot be used here",
            "use Equal or InMap; NotEqual or NotInMap",
        )
    if operator not in allowed:
        hint = partial(one_of, value, sorted(allowed))
        raise PolicyValueError(f"operator {operator} cannot be used here", hint)
    return operator


def _parse_arg_operator(value: object) -> Operator:
    return parse_operator(value, OPERATORS[TypeKind.AUTO])


def _parse_set_operator(value: object) -> Operator:
    return parse_operator(value, _SET)


def _parse_binary_operator(value: object) -> Operator:
    return parse_operator(value, _BINARY)


#: Of filters on arguments; In and NotIn on processes; those of matchBinaries.
ArgOperator = Annotated[Operator, BeforeValidator(_parse_arg_operator)]
SetOperator = Annotated[Operator, BeforeValidator(_parse_set_operator)]
BinaryOperator = Annotated[Operator, BeforeValidator(_parse_binary_operator)]
