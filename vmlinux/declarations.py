# SPDX-License-Identifier: Apache-2.0
"""Read a C header as bpftool writes it: one `Declaration` per top-level declaration.

In comes the text of `bpftool btf dump ... format c`; out come its declarations in the
same order, each with its text, the names it defines and the names it refers to. A name
is spelled as C spells it: `struct file`, `enum pid_type`, `size_t`, `PIDTYPE_TGID`.
The parser knows only what that output contains: one declarator per declaration, no
initializers, no function bodies.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

__all__ = ["Declaration", "Need", "Reference", "parse_header"]

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_TOKEN = re.compile(r'"[^"]*"|\w+|[^\s\w]')
_WORD = re.compile(r"[A-Za-z_]\w*")
_TAGGED = frozenset({"struct", "union", "enum"})
_QUALIFIERS = frozenset({"const", "volatile", "restrict", "typedef"})
_BUILT_IN = frozenset(
    {"void", "char", "short", "int", "long", "float", "double", "_Bool", "__int128"}
    | {"signed", "unsigned"}
)
_CLOSING = {"(": ")", "[": "]", "{": "}"}


class Need(enum.Enum):
    """How much of a name a declaration must know."""

    NAME = "its name only: it is behind a pointer or in a parameter list"
    SAME = "as much as is needed of the typedef that refers to it"
    WHOLE = "its definition: it is embedded by value"


@dataclass(frozen=True, slots=True)
class Reference:
    """A name that a declaration uses; `member` is the pointer that leads to it."""

    name: str
    need: Need
    member: str = ""


@dataclass(frozen=True, slots=True)
class Declaration:
    """One struct, union, enum or typedef, with its text as bpftool wrote it."""

    text: str
    names: tuple[str, ...]
    references: tuple[Reference, ...]


def parse_header(text: str) -> list[Declaration]:
    """Return the definitions of a header in its order.

    Forward declarations, preprocessor lines and external functions are left out.
    """
    found = []
    for chunk in _split(_COMMENT.sub("", text)):
        parser = _Parser(_tokenize(chunk))
        parser.parse()
        if parser.names:
            found.append(
                Declaration(
                    chunk, tuple(parser.names), tuple(dict.fromkeys(parser.references))
                )
            )
    return found


# The text of each top-level declaration, without its final newline.
def _split(text: str) -> list[str]:
    chunks: list[str] = []
    lines: list[str] = []
    depth = 0
    continued = False
    for line in text.splitlines():
        directive = continued or (line.startswith("#") and not lines)
        continued = directive and line.endswith("\\")
        if directive or (not lines and not line.strip()):
            continue
        lines.append(line)
        depth += line.count("{") - line.count("}")
        if depth == 0 and line.rstrip().endswith(";"):
            chunks.append("\n".join(lines))
            lines = []
    return [chunk for chunk in chunks if not chunk.startswith("extern ")]


# Tokens without attributes: none of them changes what must be known.
def _tokenize(text: str) -> list[str]:
    tokens = _TOKEN.findall(text)
    kept = []
    index = 0
    while index < len(tokens):
        if tokens[index] == "__attribute__":
            index = _matching(tokens, index + 1)
        else:
            kept.append(tokens[index])
        index += 1
    return kept


# The index of the token that closes the bracket at `start`.
def _matching(tokens: list[str], start: int) -> int:
    opening = tokens[start]
    depth = 0
    for index in range(start, len(tokens)):
        if tokens[index] == opening:
            depth += 1
        elif tokens[index] == _CLOSING[opening]:
            depth -= 1
            if depth == 0:
                return index
    raise ValueError(f"no closing bracket in: {' '.join(tokens)}")


# Splits at `separator` outside of all brackets.
def _split_tokens(tokens: list[str], separator: str) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    index = 0
    while index < len(tokens):
        end = _matching(tokens, index) if tokens[index] in _CLOSING else index
        if tokens[index] == separator:
            parts.append([])
        else:
            parts[-1] += tokens[index : end + 1]
        index = end + 1
    return [part for part in parts if part]


# The parts of a declarator: its name, what is next to the name, parameter lists.
@dataclass(slots=True)
class _Declarator:
    name: str
    is_pointer: bool  # or a function: then the base type may stay incomplete
    is_array: bool
    parameters: list[list[str]]


def _parse_declarator(tokens: list[str]) -> _Declarator:
    index = 0
    while index < len(tokens) and tokens[index] in {"*", *_QUALIFIERS}:
        index += 1
    stars = "*" in tokens[:index]
    name = ""
    parameters: list[list[str]] = []
    if tokens[index : index + 1] == ["("] and tokens[index + 1] in {"*", "("}:
        end = _matching(tokens, index)
        inner = _parse_declarator(tokens[index + 1 : end])
        name, parameters = inner.name, inner.parameters
        index = end + 1
    elif index < len(tokens) and _WORD.fullmatch(tokens[index]):
        name = tokens[index]
        index += 1
    suffix = tokens[index : index + 1]
    while index < len(tokens) and tokens[index] in {"(", "["}:
        end = _matching(tokens, index)
        if tokens[index] == "(":
            parameters.append(tokens[index + 1 : end])
        index = end + 1
    is_pointer = stars or suffix == ["("]
    is_array = suffix == ["["] and not stars
    return _Declarator(name, is_pointer, is_array, parameters)


class _Parser:
    """One declaration: fills `names` and `references`."""

    def __init__(self, tokens: list[str]) -> None:
        self.names: list[str] = []
        self.references: list[Reference] = []
        self._tokens = tokens

    def parse(self) -> None:
        tokens = self._tokens[:-1]
        is_typedef = tokens[0] == "typedef"
        base, index = self._parse_specifiers(tokens)
        declarator = _parse_declarator(tokens[index:])
        if is_typedef:
            self.names.append(declarator.name)
            self._refer(base, declarator, Need.SAME)
        elif base and "{" in tokens:
            self.names.append(base)

    # The base type's name ("" for a built-in or an anonymous one) and where the
    # declarator begins. Bodies are walked on the way.
    def _parse_specifiers(self, tokens: list[str]) -> tuple[str, int]:
        index = 0
        seen = False
        base = ""
        while index < len(tokens):
            token = tokens[index]
            if token in _TAGGED:
                return self._parse_tagged(tokens, index)
            if token in _BUILT_IN:
                seen = True
            elif token not in _QUALIFIERS:
                if seen or not _WORD.fullmatch(token):
                    break
                base, seen = token, True
            index += 1
        return base, index

    def _parse_tagged(self, tokens: list[str], index: int) -> tuple[str, int]:
        keyword = tokens[index]
        index += 1
        base = ""
        if index < len(tokens) and _WORD.fullmatch(tokens[index]):
            base = f"{keyword} {tokens[index]}"
            index += 1
        if keyword == "enum" and tokens[index : index + 1] == [":"]:
            index = tokens.index("{", index)  # enum name: type {
        if tokens[index : index + 1] == ["{"]:
            end = _matching(tokens, index)
            self._parse_body(keyword, tokens[index + 1 : end])
            index = end + 1
            while index < len(tokens) and tokens[index] in _QUALIFIERS:
                index += 1
        return base, index

    def _parse_body(self, keyword: str, body: list[str]) -> None:
        if keyword == "enum":
            self.names += [part[0] for part in _split_tokens(body, ",")]
            return
        for member in _split_tokens(body, ";"):
            base, index = self._parse_specifiers(member)
            self._refer(base, _parse_declarator(member[index:]), Need.WHOLE)

    def _parse_parameter(self, tokens: list[str]) -> None:
        base, index = self._parse_specifiers(tokens)
        self._refer(base, _parse_declarator(tokens[index:]), Need.NAME)

    # `need` is that of the base type itself, without pointer or array around it.
    def _refer(self, base: str, declarator: _Declarator, need: Need) -> None:
        member = ""
        if declarator.is_array:
            need = Need.WHOLE
        elif declarator.is_pointer:
            if need is Need.WHOLE and not declarator.parameters:
                member = declarator.name
            need = Need.NAME
        if base:
            self.references.append(Reference(base, need, member))
        for parameters in declarator.parameters:
            for parameter in _split_tokens(parameters, ","):
                self._parse_parameter(parameter)
