# SPDX-License-Identifier: Apache-2.0
"""Expressions of the operator CelExpr: what can be said about them without types.

    arg0 == 5u && (and(arg1, 0x80) != 0 || arg2 < int32(7))

Numbers, `argN` (position in the hook's `args`), comparison, + and -, the logical
operators, casts and bitwise functions; nothing else of CEL.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tetragon_py.policy.diagnostic import PolicyValueError, one_of, quote

__all__ = ["CelExpression", "parse_expression"]

_TEXT_MAX = 1024
_DEPTH_MAX = 32
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:0[xX][0-9a-fA-F]+|\d+)[uU]?\b)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign>&&|\|\||[=!<>]=|[-+!<>(),]))",
    re.ASCII,
)
_BINARY = frozenset(("&&", "||", "==", "!=", "<", "<=", ">", ">=", "+", "-"))
#: Function -> number of its arguments.
_FUNCTIONS = {"int32": 1, "uint32": 1, "not": 1, "and": 2, "or": 2, "xor": 2}
_WORDS = frozenset(("true", "false"))


class CelExpression(NamedTuple):
    """The text and the positions of the arguments that it uses."""

    text: str
    positions: tuple[int, ...]


def parse_expression(text: str) -> CelExpression:
    """Return the expression if its form is right.

    Raises:
        PolicyValueError: It is not; the message says where.
    """
    if len(text) > _TEXT_MAX:
        raise PolicyValueError(f"is longer than {_TEXT_MAX} characters")
    parser = _Parser(text)
    parser.expression()
    if parser.word:
        raise parser.unexpected()
    return CelExpression(text, tuple(sorted(parser.positions)))


class _Parser:
    def __init__(self, text: str) -> None:
        self.positions: set[int] = set()
        self._text = text
        self._next = 0
        self._depth = 0
        self.word = self._kind = ""
        self._advance()

    def expression(self) -> None:
        self._operand()
        while self.word in _BINARY:
            self._advance()
            self._operand()

    def unexpected(self) -> PolicyValueError:
        found = quote(self.word) if self.word else "the end"
        at = self._next - len(self.word) + 1
        return PolicyValueError(f"the expression is wrong at {found}, character {at}")

    def _advance(self) -> None:
        match = _TOKEN.match(self._text, self._next)
        if match is None:
            rest = self._text[self._next :].strip()
            self._next = len(self._text)
            self.word = self._kind = ""
            if rest:
                raise PolicyValueError(f"{quote(rest)} is no part of an expression")
            return
        self._next = match.end()
        self._kind = match.lastgroup or ""
        self.word = match[self._kind]

    def _operand(self) -> None:
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            raise PolicyValueError(f"is nested deeper than {_DEPTH_MAX} levels")
        if self.word in {"!", "-"}:
            self._advance()
            self._operand()
        elif self.word == "(":
            self._advance()
            self.expression()
            self._expect(")")
        elif self._kind == "number":
            self._advance()
        elif self._kind == "name":
            self._name()
        else:
            raise self.unexpected()
        self._depth -= 1

    def _name(self) -> None:
        name = self.word
        self._advance()
        if name in _WORDS:
            return
        if match := re.fullmatch(r"arg(\d{1,2})", name):
            self.positions.add(int(match[1]))
            return
        if name not in _FUNCTIONS:
            known = [*_FUNCTIONS, *_WORDS, "arg0"]
            raise PolicyValueError(
                f"unknown name {quote(name)} in the expression",
                lambda: one_of(name, known),
            )
        self._expect("(")
        for count in range(_FUNCTIONS[name]):
            if count:
                self._expect(",")
            self.expression()
        self._expect(")")

    def _expect(self, sign: str) -> None:
        if self.word != sign:
            raise self.unexpected()
        self._advance()
