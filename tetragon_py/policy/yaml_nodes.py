# SPDX-License-Identifier: Apache-2.0
"""Trees of YAML nodes: every value with the line and column where it was written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tetragon_py.policy.diagnostic import Path

__all__ = [
    "Integer",
    "Mapping",
    "Node",
    "Scalar",
    "Sequence",
    "find_node",
    "key_text",
    "plain",
]

#: Longer ones are no numbers that anyone means, and dear to convert.
_DIGITS_MAX = 64


class Integer(int):
    """A whole number that knows how it was written: 0x10 and 010 are not 16 and 8."""

    text: str


@dataclass(slots=True)
class Scalar:
    """`kind`: str, int, float, bool, null, or merge for a plain `<<`."""

    text: str
    kind: str
    line: int
    column: int


@dataclass(slots=True)
class Sequence:
    """A list."""

    items: list[Node]
    line: int
    column: int
    size: int = 1
    depth: int = 1


@dataclass(slots=True)
class Mapping:
    """Keys and values in the order of the text; a key may occur twice."""

    pairs: list[tuple[Node, Node]]
    line: int
    column: int
    size: int = 1
    depth: int = 1


Node = Scalar | Sequence | Mapping


def key_text(key: Node) -> str | None:
    """Return the text of a mapping's key, None for what is no scalar."""
    return key.text if isinstance(key, Scalar) else None


_TRUE = frozenset({"yes", "true", "on"})


def plain(node: Node) -> Any:  # noqa: ANN401 - any value that YAML can write
    """Return the node's value: str, Integer, float, bool, None, list or dict."""
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    if isinstance(node, Mapping):
        return {key_text(key) or "": plain(value) for key, value in node.pairs}
    convert = _CONVERSIONS.get(node.kind)
    return convert(node.text) if convert else node.text


# An explicit tag may stand before any text.
def _integer(text: str) -> Integer | str:
    digits = text.replace("_", "").lower()
    sign = digits[:1] if digits[:1] in {"+", "-"} else ""
    digits = digits.removeprefix(sign)
    base = 10
    if len(digits) > _DIGITS_MAX:
        return text
    if digits.startswith("0") and len(digits) > 1:
        base = {"x": 16, "b": 2}.get(digits[1], 8)
    try:
        number = Integer(int(sign + digits, base))
    except ValueError:
        return text
    number.text = text
    return number


def _float(text: str) -> float | str:
    try:
        return float(text.replace("_", ""))
    except ValueError:
        return float("nan")


_CONVERSIONS: dict[str, Callable[[str], Any]] = {
    "int": _integer,
    "float": _float,
    "bool": lambda text: text.lower() in _TRUE,
    "null": lambda _: None,
}


def find_node(root: Node, path: Path) -> tuple[Node, int]:
    """Return the deepest node on `path` that exists and how many steps lead to it.

    Keys match in any case.
    """
    node = root
    for count, part in enumerate(path):
        child = _child(node, part)
        if child is None:
            return node, count
        node = child
    return node, len(path)


def _child(node: Node, part: str | int) -> Node | None:
    if isinstance(part, int):
        if isinstance(node, Sequence) and part < len(node.items):
            return node.items[part]
        return None
    if not isinstance(node, Mapping):
        return None
    for key, value in node.pairs:
        if key_text(key) == part:
            return value
    folded = part.casefold()
    for key, value in node.pairs:
        if (key_text(key) or "").casefold() == folded:
            return value
    return None
