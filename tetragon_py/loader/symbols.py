# SPDX-License-Identifier: Apache-2.0
"""The kernel's functions by name, from /proc/kallsyms; no root needed for names.

Read at the first question and kept: 5 to 12 MB, so an object lives as long as the work
on one policy set.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Symbol", "Symbols"]

_KALLSYMS = Path("/proc/kallsyms")
_FUNCTION_KINDS = frozenset((b"t", b"T", b"w", b"W"))
_FUNCTION = re.compile(r" [tTwW] (.+)")
#: Code that is no function of its own: padding, call thunks, parts that the compiler
#: split off; and what BPF and ftrace generate.
_NO_FUNCTION = re.compile(r"__(pfx|cfi|SCT|SCK)_|.*[.$]")
_NO_MODULES = frozenset((b"bpf", b"__builtin__ftrace", b"__builtin__kprobes"))


class Symbol(NamedTuple):
    """A function of the kernel.

    Attributes:
        module: Whose it is; "" for the kernel itself.
        total: How many functions have that name: static ones of several files may.
    """

    module: str
    total: int


class Symbols:
    """The functions of the running kernel and its modules."""

    def __init__(self, path: Path = _KALLSYMS) -> None:
        self._path = path
        #: Why nothing is known, or "".
        self.problem = ""
        self._found: dict[str, Symbol | None] = {}

    def find(self, name: str) -> Symbol | None:
        """The function of that name, or None. The first search for it takes 6 ms."""
        if name not in self._found:
            word = f" {name}".encode()
            owners = [*self._owners(word + b"\n"), *self._owners(word + b"\t")]
            symbol = Symbol(owners[0], len(owners)) if owners else None
            self._found[name] = symbol
        return self._found[name]

    def address(self, name: str) -> int | None:
        """The address of any symbol of the kernel itself; None: there is none.

        0 for who may not see addresses (kernel.kptr_restrict).
        """
        end = self._text.find(f" {name}\n".encode())
        if end < 0:
            return None
        start = self._text.rfind(b"\n", 0, end) + 1
        return int(self._text[start:end].split()[0], 16)

    def beginning_with(self, prefix: str) -> frozenset[str]:
        """The functions whose names begin so. Takes as long as one search."""
        text, word = self._text, f" {prefix}".encode()
        found = set()
        place = text.find(word, 1)
        while place > 0:
            end = text.find(b"\n", place)
            end = len(text) if end < 0 else end
            if text[place - 1 : place] in _FUNCTION_KINDS:
                name = text[place + 1 : end].split(b"\t")[0]
                found.add(name.decode("utf-8", "replace"))
            place = text.find(word, end)
        return frozenset(found)

    # Whose each line with `word` is, if it tells of a function. A search for a constant
    # is ten times as fast as one for a pattern.
    def _owners(self, word: bytes) -> Iterator[str]:
        text = self._text
        place = text.find(word, 1)
        while place > 0:
            start = place + len(word)
            owner = b""
            if word.endswith(b"\t"):
                owner = text[start : text.find(b"\n", start)].strip(b"[]")
            if text[place - 1 : place] in _FUNCTION_KINDS and owner not in _NO_MODULES:
                yield owner.decode("utf-8", "replace")
            place = text.find(word, start)

    @cached_property
    def functions(self) -> frozenset[str]:
        """The names of all functions."""
        found = set()
        for line in _FUNCTION.findall(self._text.decode("utf-8", "replace")):
            name, _, module = line.partition("\t")
            is_generated = module and module.strip("[]").encode() in _NO_MODULES
            if not is_generated and not _NO_FUNCTION.match(name):
                found.add(name)
        return frozenset(found)

    @cached_property
    def _text(self) -> bytes:
        try:
            text = self._path.read_bytes()
        except OSError as error:
            self.problem = f"{self._path}: {error.strerror}"
            return b""
        if not text:
            self.problem = f"{self._path} is empty"
        return text
