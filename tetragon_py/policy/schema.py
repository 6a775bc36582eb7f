# SPDX-License-Identifier: Apache-2.0
"""From YAML nodes to the plain data that the models validate.

The models themselves say which keys exist: keys are recognised in any case and come out
in the canonical spelling; unknown and repeated ones are findings with their place.
An empty value means the same as no value.
"""

from __future__ import annotations

from functools import cache, partial
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Strict
from pydantic.alias_generators import to_camel

from tetragon_py.policy.diagnostic import (
    Finding,
    Hint,
    Path,
    Severity,
    nearest,
    quote,
)
from tetragon_py.policy.yaml_nodes import Integer, Mapping, Node, Scalar, Sequence
from tetragon_py.policy.yaml_nodes import plain as plain_value

__all__ = ["Findings", "Flag", "Model", "Number", "Text", "ValueText", "read"]

#: More findings of one document are only counted: some file was not meant for us.
_FINDINGS_MAX = 100


class Model(BaseModel):
    """Frozen; fields are snake_case here and camelCase in YAML."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
    )


Text = Annotated[str, Strict()]
Flag = Annotated[bool, Strict()]
Number = Annotated[int, Strict()]


# 010 and 1_0 are compared as they were written, not as YAML reads them.
def _value_text(value: object) -> object:
    if isinstance(value, Integer):
        return value.text
    return str(value) if type(value) is int else value


#: Text; a number without quotes is taken as it was written.
ValueText = Annotated[str, Strict(), BeforeValidator(_value_text)]


class Findings(list[Finding]):
    """The findings of one document: the first ones and the number of all."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0
        self._known: set[tuple[object, ...]] = set()

    @property
    def is_full(self) -> bool:
        """True when further ones will only be counted."""
        return len(self) >= _FINDINGS_MAX

    def add(self, finding: Finding) -> None:
        """Keep `finding`, once: a macro's mistake is found wherever it is used."""
        # Two hints that are not found yet are never the same.
        known = finding._replace(hint="")
        if known in self._known:
            return
        self.total += 1
        if not self.is_full:
            self._known.add(known)
            self.append(finding._replace(hint=finding.hint_text))


class _Fields:
    def __init__(self, model: type[Model]) -> None:
        self.by_key = {}
        for name, field in model.model_fields.items():
            alias = field.alias or name
            self.by_key[alias.casefold()] = (alias, _shape(field.annotation))
        self.names = [alias for alias, _ in self.by_key.values()]


class _Items:
    def __init__(self, item: _Shape) -> None:
        self.item = item


class _Values:
    def __init__(self, value: _Shape) -> None:
        self.value = value


#: None: a scalar, or data that nobody looks into.
_Shape = type[Model] | _Items | _Values | None


@cache
def _fields(model: type[Model]) -> _Fields:
    return _Fields(model)


def _shape(annotation: Any) -> _Shape:  # noqa: ANN401 - what typing takes apart has no type
    origin = get_origin(annotation)
    if origin in {Union, UnionType}:
        shapes = [_shape(a) for a in get_args(annotation) if a is not NoneType]
        return next((shape for shape in shapes if shape), None)
    if origin is Annotated:
        return _shape(get_args(annotation)[0])
    if origin is tuple:
        return _Items(_shape(get_args(annotation)[0]))
    if origin is dict:
        return _Values(_shape(get_args(annotation)[1]))
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    return None


def read(node: Node, model: type[Model], found: Findings) -> Any:  # noqa: ANN401 - any value that YAML can write
    """Return the data of `node` with the canonical keys of `model`.

    Where a node is not what the schema wants, its data come out as they are; the
    model's validation has the message.
    """
    return _read(node, model, (), found)


def _read(node: Node, shape: _Shape, path: Path, found: Findings) -> Any:  # noqa: ANN401 - any value that YAML can write
    if shape is None or isinstance(node, Scalar):
        return plain_value(node)
    if isinstance(shape, _Items):
        if isinstance(node, Sequence):
            return [
                _read(item, shape.item, (*path, i), found)
                for i, item in enumerate(node.items)
            ]
    elif isinstance(node, Mapping):
        if isinstance(shape, _Values):
            return _read_free(node, shape, path, found)
        return _read_fields(node, _fields(shape), path, found)
    return plain_value(node)


def _read_fields(
    node: Mapping, fields: _Fields, path: Path, found: Findings
) -> dict[str, Any]:
    data: dict[str, Any] = {}
    seen: dict[str, Scalar] = {}
    for key, value in node.pairs:
        if not isinstance(key, Scalar):
            found.add(_at(key, path, "a key must be a name"))
            continue
        alias, shape = fields.by_key.get(key.text.casefold(), ("", None))
        if not alias:
            hint = partial(_nearest_key, key.text, fields, node)
            found.add(_at(key, (*path, key.text), "unknown field", hint))
            continue
        if alias in seen:
            found.add(_twice(key, (*path, alias), seen[alias]))
            continue
        seen[alias] = key
        if not isinstance(value, Scalar) or value.kind != "null":
            data[alias] = _read(value, shape, (*path, alias), found)
    return data


# A name that is already taken in this mapping was not meant.
def _nearest_key(text: str, fields: _Fields, node: Mapping) -> str:
    taken = {k.text.casefold() for k, _ in node.pairs if isinstance(k, Scalar)}
    return nearest(text, [n for n in fields.names if n.casefold() not in taken])


def _read_free(
    node: Mapping, shape: _Values, path: Path, found: Findings
) -> dict[str, Any]:
    data: dict[str, Any] = {}
    seen: dict[str, Scalar] = {}
    for key, value in node.pairs:
        if not isinstance(key, Scalar):
            found.add(_at(key, path, "a key must be a name"))
        elif key.text in seen:
            found.add(_twice(key, (*path, key.text), seen[key.text]))
        else:
            seen[key.text] = key
            data[key.text] = _read(value, shape.value, (*path, key.text), found)
    return data


def _twice(key: Scalar, path: Path, first: Scalar) -> Finding:
    spelled = "" if key.text == first.text else f" as {quote(first.text)}"
    text = f"is given twice, first in line {first.line}{spelled}"
    return _at(key, path, text, "remove one of them")


def _at(node: Node, path: Path, message: str, hint: Hint = "") -> Finding:
    return Finding(Severity.ERROR, path, message, hint, node.line, node.column)
