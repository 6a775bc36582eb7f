# SPDX-License-Identifier: Apache-2.0
"""Selector macros: filters with a name that several selectors share.

    selectorsMacros:
      shells:
        matchBinaries: ...
    kprobes:
    - call: sys_ptrace
      selectors:
      - macros: [shells]

A filter comes from one place: from the selector or from one of its macros.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tetragon_py.policy.diagnostic import Finding, Path, error, nearest, quote, warning
from tetragon_py.policy.model.selectors import FILTERS, Selector
from tetragon_py.policy.yaml_nodes import Node, Scalar, Sequence, find_node

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tetragon_py.policy.model.hooks import Hook

__all__ = ["check_macro", "expand", "origin"]

#: spec, section, hook, "selectors", selector, filter
_FILTER_DEPTH = 6


def expand(
    hook: Hook, path: Path, macros: Mapping[str, Selector]
) -> tuple[Hook, list[Finding]]:
    """Return the hook with the filters of its selectors' macros merged in."""
    if not any(selector.macros for selector in hook.selectors):
        return hook, []
    found: list[Finding] = []
    selectors = []
    for index, selector in enumerate(hook.selectors):
        own = (*path, "selectors", index)
        update = _merge(selector, own, macros, found)
        selectors.append(selector.model_copy(update=update) if update else selector)
    return hook.model_copy(update={"selectors": tuple(selectors)}), found


def _merge(
    selector: Selector,
    path: Path,
    macros: Mapping[str, Selector],
    found: list[Finding],
) -> dict[str, Any]:
    update: dict[str, Any] = {}
    sources = {field: "the selector itself" for field, _ in _filters(selector)}
    for index, name in enumerate(selector.macros):
        place = (*path, "macros", index)
        if name not in macros:
            near = partial(nearest, name, macros)
            found.append(error(place, f"unknown macro {quote(name)}", near))
            continue
        for field, value in _filters(macros[name]):
            if field in sources:
                text = f"{FILTERS[field]} of {quote(name)} is already in"
                hint = "a selector takes a filter from one place"
                found.append(error(place, f"{text} {sources[field]}", hint))
                continue
            sources[field] = f"the macro {quote(name)}"
            update[field] = value
    return update


def _filters(selector: Selector) -> Iterator[tuple[str, Any]]:
    for field in FILTERS:
        value = getattr(selector, field)
        if value:
            yield field, value


def check_macro(macro: Selector, path: Path) -> Iterator[Finding]:
    """Yield what is wrong with a macro whether or not it is used."""
    if macro.macros:
        yield error((*path, "macros"), "a macro cannot use macros")
    if macro.label is not None:
        yield warning((*path, "label"), "has no meaning in a macro")


def origin(root: Node, path: Path) -> Path:
    """Return where the filter at `path` stands: in its selector or in a macro."""
    if len(path) < _FILTER_DEPTH or path[3] != "selectors":
        return path
    selector, depth = find_node(root, path[: _FILTER_DEPTH - 1])
    if depth != _FILTER_DEPTH - 1 or find_node(selector, path[5:6])[1]:
        return path
    names, is_found = find_node(selector, ("macros",))
    if is_found and isinstance(names, Sequence):
        for name in names.items:
            if not isinstance(name, Scalar):
                continue
            moved = ("spec", "selectorsMacros", name.text, *path[5:])
            if find_node(root, moved)[1] > 3:
                return moved
    return path
