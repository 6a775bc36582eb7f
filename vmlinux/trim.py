# SPDX-License-Identifier: Apache-2.0
"""Cut a full kernel header down to what the BPF sources use.

In come the declarations of the full header, the text of the sources and a list of extra
root names; out comes the body of the trimmed header. A root is kept whole, with all
that it embeds by value; what is only pointed to is declared, not defined, unless the
sources name the pointer: `BPF_CORE_READ(task, nsproxy, uts_ns)` needs the definition
behind `nsproxy` and `uts_ns` although it never says `struct uts_namespace`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from declarations import Need

if TYPE_CHECKING:
    from collections.abc import Iterable

    from declarations import Declaration, Reference

__all__ = ["Scan", "UnknownRootError", "scan_sources", "trim"]

_NOISE = re.compile(
    r"""/\*.*?\*/ | //[^\n]* | ^[ \t]*\#[ \t]*include[^\n]*
    | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'""",
    re.DOTALL | re.MULTILINE | re.VERBOSE,
)
_WORD = re.compile(r"[A-Za-z_]\w*")
_DEFINED_TAG = re.compile(r"\b(?:struct|union|enum)\s+(\w+)\s*(?:__\w+\s*)?\{")
_DEFINED_MACRO = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)", re.MULTILINE)
_ENUM_BODY = re.compile(r"\benum(?:\s+\w+)?\s*\{([^}]*)\}")
_ENUMERATOR = re.compile(r"(?:^|,)\s*(\w+)")
# A CO-RE flavour, `task_struct___old`, is defined by the source that names it.
_FLAVOUR = "___"


class UnknownRootError(Exception):
    """A name of the root list is not in the kernel's types."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(", ".join(names))


class Scan(NamedTuple):
    """What the sources say: every identifier, and what they define themselves."""

    words: frozenset[str]
    own_tags: frozenset[str]
    own_values: frozenset[str]


def scan_sources(texts: Iterable[str]) -> Scan:
    """Collect identifiers outside of comments, strings and include lines."""
    words: set[str] = set()
    tags: set[str] = set()
    values: set[str] = set()
    for raw in texts:
        text = _NOISE.sub(" ", raw)
        words.update(_WORD.findall(text))
        tags.update(_DEFINED_TAG.findall(text))
        values.update(_DEFINED_MACRO.findall(text))
        for body in _ENUM_BODY.findall(text):
            values.update(_ENUMERATOR.findall(body))
    return Scan(frozenset(words), frozenset(tags), frozenset(values))


def trim(header: list[Declaration], scan: Scan, roots: Iterable[str]) -> str:
    """Return the kept declarations in the header's order, forward declarations first.

    Args:
        header: the full header, each declaration after what it embeds.
        scan: what the sources name and define.
        roots: names that must be kept whether the sources name them or not.

    Raises:
        UnknownRootError: the header does not define one of `roots`.
    """
    selection = _Selection(header, scan.words)
    unknown = [name for name in roots if not selection.find(name)]
    if unknown:
        raise UnknownRootError(unknown)
    for name in roots:
        for key in selection.find(name):
            selection.keep(key, Need.WHOLE)
    for word in sorted(scan.words):
        for key in [] if _FLAVOUR in word else selection.find(word):
            if word not in (scan.own_tags if " " in key else scan.own_values):
                selection.keep(key, Need.WHOLE)
    selection.follow()
    # Enums need nothing and come first: bpftool defines some after their first use.
    kept = sorted(selection.kept(), key=lambda d: not _is_enum(d))
    forward = [f"{name};" for name in _undeclared(kept)]
    blocks = ["\n".join(forward)] if forward else []
    return "\n\n".join(blocks + [declaration.text for declaration in kept])


class _Selection:
    """The declarations that are kept, and how much each of them must know."""

    def __init__(self, header: list[Declaration], words: frozenset[str]) -> None:
        self._header = header
        self._words = words
        self._where: dict[str, int] = {}
        for index, declaration in enumerate(header):
            for name in declaration.names:
                self._where.setdefault(name, index)
        self._kept: dict[int, Need] = {}
        self._queue: list[int] = []

    # The header's names for an identifier: tag, typedef or enumerator.
    def find(self, word: str) -> list[str]:
        candidates = (f"struct {word}", f"union {word}", f"enum {word}", word)
        return [name for name in candidates if name in self._where]

    def keep(self, name: str, need: Need) -> None:
        index = self._where.get(name)
        if index is None or self._kept.get(index) in {Need.WHOLE, need}:
            return
        self._kept[index] = need
        self._queue.append(index)

    # Keeps what the kept declarations refer to, until nothing is added.
    def follow(self) -> None:
        while self._queue:
            index = self._queue.pop()
            need = self._kept[index]
            for reference in self._header[index].references:
                self._follow_reference(reference, need)

    def _follow_reference(self, reference: Reference, outer: Need) -> None:
        need = outer if reference.need is Need.SAME else reference.need
        if reference.member and reference.member in self._words:
            need = Need.WHOLE
        if need is Need.WHOLE or not _can_be_declared(reference.name):
            self.keep(reference.name, need)

    def kept(self) -> list[Declaration]:
        return [self._header[index] for index in sorted(self._kept)]


def _is_enum(declaration: Declaration) -> bool:
    return declaration.text.startswith("enum")


# A struct or union can be declared without its definition, a typedef cannot. An enum
# could in clang, but the kernel refuses the BTF of a program that has such an enum.
def _can_be_declared(name: str) -> bool:
    return name.startswith(("struct ", "union "))


# Tags that a declaration mentions before their definition, if any: a parameter list
# would declare them for itself only.
def _undeclared(kept: list[Declaration]) -> list[str]:
    known: set[str] = set()
    missing: set[str] = set()
    for declaration in kept:
        known.update(declaration.names)
        for reference in declaration.references:
            if _can_be_declared(reference.name) and reference.name not in known:
                missing.add(reference.name)
    return sorted(missing)
