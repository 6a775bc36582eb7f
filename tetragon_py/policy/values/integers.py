# SPDX-License-Identifier: Apache-2.0
"""Whole numbers and ranges of them, by the width and sign of the argument's type.

Values are in the range of the type: for int, 0xffffffff and -1 are the same value.
Bounds (GT, LT, InRange) are numbers and not bits: there 0xffffffff is out of range.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tetragon_py.policy.diagnostic import PolicyValueError, quote
from tetragon_py.policy.model.arguments import ArgumentType
from tetragon_py.policy.model.kernel_names import CAPABILITIES, look_up
from tetragon_py.policy.model.operators import Operator, TypeKind

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["IntRange", "ListReference", "number_parser", "parse_integer", "split_range"]

_NUMBER = re.compile(r"[+-]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|[1-9][0-9]*|0)")
_NUMBER_CHARS = 80


class IntRange(NamedTuple):
    """Both bounds belong to it."""

    low: int
    high: int


class ListReference(NamedTuple):
    """`list:NAME`: the numbers of the system calls of a list of the policy."""

    name: str


def parse_integer(text: str) -> int:
    """Return the number: decimal, or with 0x, 0b, 0o or 0 before it.

    Raises:
        PolicyValueError: It is none.
    """
    stripped = text.strip()
    if len(stripped) > _NUMBER_CHARS or not (match := _NUMBER.fullmatch(stripped)):
        hint = ""
        if stripped[:1] == "0" and stripped.isdecimal():
            hint = "a number that begins with 0 is octal"
        raise PolicyValueError(f"{quote(text)} is no whole number", hint)
    digits = match[1].lower()
    octal = digits[:1] == "0" and digits[1:].isdigit()
    number = int(digits, 8 if octal else 0)
    return -number if stripped[0] == "-" else number


def number_parser(
    operator: Operator, kind: ArgumentType
) -> Callable[[str], int | IntRange | ListReference]:
    """Return what reads one value of `operator` on a number of this type."""

    def parse_one(text: str) -> int:
        return _fold(_named(text, kind), kind, text)

    def parse_map(text: str) -> int | IntRange | ListReference:
        if text.startswith("list:"):
            return _list_reference(text, kind)
        return _range(text, kind) if ":" in text else parse_one(text)

    def parse_bound(text: str) -> int:
        return _bound(_named(text, kind), kind, text)

    def parse_range(text: str) -> IntRange:
        return _range(text, kind)

    if operator is Operator.IN_MAP:
        return parse_map
    if operator is Operator.IN_RANGE:
        return parse_range
    return parse_bound if operator in {Operator.GT, Operator.LT} else parse_one


def _named(text: str, kind: ArgumentType) -> int:
    if kind.kind is TypeKind.CAPABILITIES and text[:1].isalpha():
        mask = 0
        for name in text.split(","):
            mask |= 1 << look_up(CAPABILITIES, name.strip(), "capability", "CAP_")
        return mask
    if kind is ArgumentType.CAPABILITY and text[:1].isalpha():
        return look_up(CAPABILITIES, text.strip(), "capability", "CAP_")
    return parse_integer(text)


def _limits(kind: ArgumentType) -> tuple[int, int]:
    if kind.is_signed:
        return -(1 << (kind.bits - 1)), (1 << (kind.bits - 1)) - 1
    return 0, (1 << kind.bits) - 1


# The same bits in the other notation mean the same value.
def _fold(number: int, kind: ArgumentType, text: str) -> int:
    if not -(1 << (kind.bits - 1)) <= number < 1 << kind.bits:
        raise PolicyValueError(f"{quote(text)} does not fit into {kind.bits} bits")
    low, high = _limits(kind)
    if number < low:
        return number + (1 << kind.bits)
    return number - (1 << kind.bits) if number > high else number


def _bound(number: int, kind: ArgumentType, text: str) -> int:
    low, high = _limits(kind)
    if not low <= number <= high:
        raise PolicyValueError(
            f"{quote(text)} is out of the range of {kind}", f"{low} to {high}"
        )
    return number


def _range(text: str, kind: ArgumentType) -> IntRange:
    low_text, high_text = split_range(text)
    low, high = parse_integer(low_text), parse_integer(high_text)
    minimum, maximum = _limits(kind)
    if low > high:
        raise PolicyValueError(f"{quote(text)} is empty", f"write {high}:{low}")
    # What lies outside of the type is never seen: cutting it off changes nothing.
    low, high = max(low, minimum), min(high, maximum)
    if low > high:
        raise PolicyValueError(
            f"{quote(text)} is out of the range of {kind}", f"{minimum} to {maximum}"
        )
    return IntRange(low, high)


def split_range(text: str) -> tuple[str, str]:
    """Return the two texts of low:high."""
    low, colon, high = text.partition(":")
    if not colon:
        raise PolicyValueError(f"{quote(text)} is no range", "write it as low:high")
    return low, high


def _list_reference(text: str, kind: ArgumentType) -> ListReference:
    if kind.bits != 64:
        raise PolicyValueError(
            f"{quote(text)} needs an argument of 64 bits", "use type syscall64"
        )
    return ListReference(text.removeprefix("list:"))
