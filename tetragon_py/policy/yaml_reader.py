# SPDX-License-Identifier: Apache-2.0
"""YAML text in, trees of nodes with line and column out.

The trees are put together here and not by the parser's own composer: that one recurses
in C without a limit (60,000 brackets end the process), follows aliases into themselves
and builds objects. Here depth and number of nodes are bounded, aliases count as what
they stand for, and a scalar keeps the text that was written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from tetragon_py.policy.diagnostic import Finding, Severity
from tetragon_py.policy.yaml_nodes import Mapping, Node, Scalar, Sequence, key_text

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DEPTH_MAX", "NODES_MAX", "read_documents"]

#: Of one file, aliases expanded. A policy of 1,000 hooks has about 20,000.
NODES_MAX = 200_000
#: The schema needs 9.
DEPTH_MAX = 64

#: No number or truth value is longer: the patterns need not look at more.
_RESOLVED_CHARS = 64
_TAG = "tag:yaml.org,2002:"
_TAGS = frozenset(_TAG + kind for kind in ("str", "int", "float", "bool", "null"))
_COLLECTION_TAGS = frozenset({None, "!", _TAG + "map", _TAG + "seq"})
_RESOLVERS: dict[str | None, list[tuple[str, Any]]] = (
    yaml.SafeLoader.yaml_implicit_resolvers
)
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _RefusedError(Exception):
    def __init__(self, mark: Any, message: str, hint: str = "") -> None:  # noqa: ANN401 - yaml's marks have no types
        super().__init__(message)
        self.finding = Finding(
            Severity.ERROR, (), message, hint, mark.line + 1, mark.column + 1
        )


def read_documents(data: bytes) -> Iterator[Node | Finding]:
    """Yield the root of each document that is not empty.

    What is not YAML, or too large, ends the reading with one finding.
    """
    composer = _Composer()
    try:
        for event in yaml.parse(data, Loader=_LOADER):
            root = composer.feed(event)
            if root is not None:
                yield root
    except _RefusedError as refused:
        yield refused.finding
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        yield Finding(Severity.ERROR, (), f"is not YAML: {problem.problem}", "", *place)
    except (yaml.YAMLError, ValueError) as problem:
        reason = getattr(problem, "reason", "it cannot be parsed")
        yield Finding(Severity.ERROR, (), f"is not YAML: {reason}")


class _Composer:
    def __init__(self) -> None:
        self._open: list[tuple[Sequence | Mapping, list[Node], str | None, int]] = []
        self._anchors: dict[str, Node] = {}
        self._total = 0

    # Returns the root when a document is complete. The kinds of events are told apart
    # by their names: `isinstance` on each of six classes is the dearest part here.
    def feed(self, event: Any) -> Node | None:  # noqa: ANN401 - yaml's events have no types
        kind = type(event).__name__
        if kind == "ScalarEvent":
            mark = event.start_mark
            node: Node = Scalar(
                event.value, _scalar_kind(event), mark.line + 1, mark.column + 1
            )
            self._count(event, 1)
            if event.anchor is not None:
                self._anchors[event.anchor] = node
            return self._add(node)
        if kind in {"MappingStartEvent", "SequenceStartEvent"}:
            self._start(event, is_mapping=kind == "MappingStartEvent")
        elif kind in {"MappingEndEvent", "SequenceEndEvent"}:
            return self._end(event)
        elif kind == "AliasEvent":
            return self._alias(event)
        elif kind == "DocumentStartEvent":
            self._anchors.clear()
        return None

    def _start(self, event: Any, *, is_mapping: bool) -> None:  # noqa: ANN401 - yaml's events have no types
        if event.tag not in _COLLECTION_TAGS:
            raise _RefusedError(event.start_mark, "tags are not allowed")
        self._count(event, 1)
        if len(self._open) >= DEPTH_MAX:
            raise _too_deep(event)
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        children: list[Node] = []
        node = (
            Mapping([], line, column)
            if is_mapping
            else Sequence(children, line, column)
        )
        self._open.append((node, children, event.anchor, self._total))

    def _end(self, event: Any) -> Node | None:  # noqa: ANN401 - yaml's events have no types
        node, children, anchor, before = self._open.pop()
        if isinstance(node, Mapping):
            node.pairs = list(zip(children[::2], children[1::2], strict=True))
            _merge(node, event)
        node.size = 1 + self._total - before
        if anchor is not None:
            self._anchors[anchor] = node
        return self._add(node)

    def _alias(self, event: Any) -> Node | None:  # noqa: ANN401 - yaml's events have no types
        # A collection gets its name when it is complete: it cannot hold itself.
        node = self._anchors.get(event.anchor)
        if node is None:
            raise _RefusedError(
                event.start_mark, "the alias names nothing that is complete before it"
            )
        if not isinstance(node, Scalar):
            if len(self._open) + node.depth > DEPTH_MAX:
                raise _too_deep(event)
            self._count(event, node.size)
        else:
            self._count(event, 1)
        return self._add(node)

    def _count(self, event: Any, nodes: int) -> None:  # noqa: ANN401 - yaml's events have no types
        self._total += nodes
        if self._total > NODES_MAX:
            raise _RefusedError(
                event.start_mark,
                f"more than {NODES_MAX} values in one file, aliases expanded",
                "split the file",
            )

    def _add(self, node: Node) -> Node | None:
        if not self._open:
            is_empty = isinstance(node, Scalar) and node.kind == "null"
            return None if is_empty else node
        parent, children, _, _ = self._open[-1]
        children.append(node)
        if not isinstance(node, Scalar) and parent.depth <= node.depth:
            parent.depth = node.depth + 1
        return None


def _too_deep(event: Any) -> _RefusedError:  # noqa: ANN401 - yaml's events have no types
    return _RefusedError(event.start_mark, f"nested deeper than {DEPTH_MAX} levels")


def _scalar_kind(event: Any) -> str:  # noqa: ANN401 - yaml's events have no types
    tag: str | None = event.tag
    if tag is None or tag == "!":
        if tag is None and event.implicit[0]:
            return _plain_kind(event.value)
        return "str"
    if tag not in _TAGS:
        raise _RefusedError(event.start_mark, "tags are not allowed", "remove the tag")
    return tag.removeprefix(_TAG)


# The rules of YAML 1.1, but a time like 1:30 is text: who writes it means a range.
def _plain_kind(text: str) -> str:
    if len(text) > _RESOLVED_CHARS:
        return "str"
    for tag, pattern in _RESOLVERS.get(text[:1], ()):
        if pattern.match(text):
            if tag == _TAG + "merge":
                return "merge"
            if tag not in _TAGS or (tag == _TAG + "int" and ":" in text):
                return "str"
            return tag.removeprefix(_TAG)
    return "str"


# `<<: *name` puts the pairs of other mappings before the own ones, which override them.
def _merge(node: Mapping, event: Any) -> None:  # noqa: ANN401 - yaml's events have no types
    merged: list[tuple[Node, Node]] = []
    own: list[tuple[Node, Node]] = []
    taken: set[str | None] = set()
    for key, value in node.pairs:
        if not isinstance(key, Scalar) or key.kind != "merge":
            own.append((key, value))
            continue
        sources = value.items if isinstance(value, Sequence) else [value]
        for source in sources:
            if not isinstance(source, Mapping):
                raise _RefusedError(event.start_mark, "<< takes mappings only")
            added = [p for p in source.pairs if key_text(p[0]) not in taken]
            taken.update(key_text(key) for key, _ in added)
            merged += added
    if merged:
        overridden = {key_text(key) for key, _ in own}
        kept = [pair for pair in merged if key_text(pair[0]) not in overridden]
        node.pairs = kept + own
