# SPDX-License-Identifier: Apache-2.0
"""A difference made small: without each part that it does not need."""

from __future__ import annotations

import copy
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import yaml

from tests.fuzz.case import Difference, PolicySet, UnloadableError
from tests.fuzz.hit import File, UnixName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.fuzz.case import Bench
    from tests.fuzz.hit import ArgumentKey, Captured, Hit
    from tests.fuzz.policies import Document

__all__ = ["show", "shrink"]

_SECONDS = 60
_NEED_ONE = ("values", "kprobes", "tracepoints", "args")
#: Lists of a document whose entries may go.
_LISTS = frozenset(
    (
        *(
            "kprobes",
            "tracepoints",
            "args",
            "data",
            "selectors",
            "lists",
            "values",
        ),
        *("matchActions",),
        *("matchArgs", "matchData", "matchReturnArgs", "matchPIDs", "matchBinaries"),
        *("matchParentBinaries", "matchNamespaces", "matchCapabilities"),
        *("matchNamespaceChanges", "matchCapabilityChanges"),
    )
)


def shrink(
    documents: Sequence[Document],
    point: str,
    keys: Sequence[ArgumentKey],
    difference: Difference,
    bench: Bench,
) -> tuple[list[Document], Difference]:
    """Return policies and hit, as little as differs still and a minute could find."""
    deadline = time.monotonic() + _SECONDS

    def differs(documents: Sequence[Document], hit: Hit) -> Difference | None:
        if time.monotonic() > deadline:
            return None
        try:
            with PolicySet(documents, point, keys, bench) as policy_set:
                for result in policy_set.compare([hit]):
                    if isinstance(result, Difference):
                        return result
        except UnloadableError:
            pass
        return None

    left, found = list(documents), difference
    if differs(left, found.hit) is None:  # it needs the hits before it
        return left, found
    size = len(left) // 2
    while size:
        left = _drop_policies(left, size, lambda some: differs(some, found.hit))
        size //= 2
    while (smaller := _drop_part(left, lambda some: differs(some, found.hit))) != left:
        left = smaller
    found = differs(left, found.hit) or found
    while again := next(
        filter(None, (differs(left, h) for h in _shorter_hits(found.hit))), None
    ):
        found = again
    return left, found


def _drop_policies(
    documents: list[Document],
    size: int,
    differs: Callable[[list[Document]], object],
) -> list[Document]:
    start = 0
    while start < len(documents):
        rest = documents[:start] + documents[start + size :]
        if rest and differs(rest):
            documents = rest
        else:
            start += size
    return documents


# One pass over all parts; what could not go before may go after others went.
def _drop_part(
    documents: list[Document], differs: Callable[[list[Document]], object]
) -> list[Document]:
    position = 0
    while position < len(paths := list(_parts(documents))):
        path = paths[position]
        changed = copy.deepcopy(documents)
        holder: Any = changed
        for step in path[:-1]:
            holder = holder[step]
        del holder[path[-1]]
        if differs(changed):
            documents = changed
        else:
            position += 1
    return documents


# Where something may be left out, the largest parts first.
def _parts(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    pairs: list[tuple[Any, Any]] = []
    if isinstance(node, dict):
        pairs = list(node.items())
    elif isinstance(node, list):
        pairs = list(enumerate(node))
    in_list = bool(path) and path[-1] in _LISTS
    if isinstance(node, list) and not node:
        yield path
    elif in_list and isinstance(node, list) and len(node) > (path[-1] in _NEED_ONE):
        yield from ((*path, place) for place, _ in pairs)
    for place, child in pairs:
        yield from _parts(child, (*path, place))


def _shorter_hits(hit: Hit) -> Iterator[Hit]:
    for key, value in hit.arguments.items():
        for shorter in _shorter(value):
            yield replace(hit, arguments={**hit.arguments, key: shorter})


def _shorter(value: Captured) -> Iterator[Captured]:
    match value:
        case File():
            for path in _cuts(value.path):
                yield value._replace(path=path)
        case UnixName():
            for name in _cuts(value.name):
                yield value._replace(name=name)
        case bytes():
            yield from _cuts(value)


def _cuts(text: bytes) -> Iterator[bytes]:
    size = len(text) // 2
    while size:
        yield text[size:]
        yield text[:-size]
        size //= 2


def show(documents: Sequence[Document], difference: Difference) -> str:
    """Return the case as text: YAML, then the hit."""
    hit, expected, found = difference
    lines = [yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=False)]
    for key, value in hit.arguments.items():
        where = " ".join(filter(None, (key.source, f"{key.number}", key.resolve)))
        late = " (at return)" if key.at_return else ""
        lines.append(f"{where} {key.type}{late}: {value!r}")
    process = hit.process
    lines += [f"image {i.pid} ({i.namespace_pid}) {i.binary!r}" for i in process.images]
    for name, inode in process.namespaces.items():
        lines.append(f"{name} namespace {inode}, was {process.exec_namespaces[name]}")
    for which, bits in process.capabilities.items():
        lines.append(f"{which} {bits:#x}, was {process.exec_capabilities[which]:#x}")
    lines.append(f"expected: selectors {_bits(expected.matched)}, told {expected.told}")
    lines.append(f"kernel:   selectors {_bits(found.matched)}, told {found.told}")
    return "\n".join(lines)


def _bits(vector: int) -> list[int]:
    return [bit for bit in range(vector.bit_length()) if vector >> bit & 1]
