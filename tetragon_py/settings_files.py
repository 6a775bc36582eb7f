# SPDX-License-Identifier: Apache-2.0
"""Configuration directories: files in, entries and problems out.

A directory holds `*.yaml` files and, in `conf.d`, drop-ins: the file's name is the
option, its content the value. Every file is opened once, symbolic links are followed
(a mounted ConfigMap consists of them) and values stay text: settings.py knows what
they mean. Nothing raises here; what is wrong comes out as a SettingsError in the place
where it was found, so that one start shows all mistakes.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any, NamedTuple

from tetragon_py.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["FILE_MAX_BYTES", "Entry", "field_name", "read_directory"]

#: No configuration comes near; what is larger was not meant for us.
FILE_MAX_BYTES = 1 << 20

#: A nested value is skipped to go on after it; deeper ones end the reading of the file.
_SKIP_DEPTH_MAX = 20

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


class Entry(NamedTuple):
    """One value from one source; the empty text goes back to the default."""

    source: str  #: "file:line:column", "file", "environment" or "command line"
    key: str  #: as it was written
    name: str  #: the field of Settings that it means, if there is such a one
    value: object  #: text, a list of texts, or what the command line made of it


def field_name(key: str) -> str:
    """Return the field that `key` means: keys may be written with - or _."""
    return key.replace("-", "_")


def read_directory(directory: Path) -> Iterator[Entry | SettingsError]:
    """Yield all entries of `directory`, later ones override earlier ones.

    A directory that does not exist has no entries.
    """
    for path in _list(directory):
        if isinstance(path, SettingsError):
            yield path
        elif path.suffix == ".yaml":
            yield from _once(_read_yaml(path))
        elif path.suffix == ".yml":
            yield SettingsError(
                "not read: its name must end in .yaml", source=f"{path}"
            )
    yield from _once(_read_drop_ins(directory / "conf.d"))


# In name order and without hidden files: a ConfigMap keeps its versions in those.
def _list(directory: Path) -> Iterator[Path | SettingsError]:
    try:
        paths = sorted(directory.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        yield SettingsError(
            f"cannot be listed: {error.strerror}", source=f"{directory}"
        )
        return
    for path in paths:
        if not path.name.startswith("."):
            yield path


def _read_drop_ins(directory: Path) -> Iterator[Entry | SettingsError]:
    for path in _list(directory):
        if isinstance(path, SettingsError):
            yield path
            continue
        try:
            text = _read_bytes(path).decode()
        except SettingsError as problem:
            yield problem
        except UnicodeDecodeError:
            yield SettingsError("is not UTF-8 text", source=f"{path}", key=path.name)
        else:
            yield Entry(f"{path}", path.name, field_name(path.name), text.strip())


def _read_yaml(path: Path) -> Iterator[Entry | SettingsError]:
    try:
        data = _read_bytes(path)
        yield from _YamlDocument(path, data).entries()
    except SettingsError as problem:
        yield problem


# The same option twice in one place is a mistake, between places it is precedence.
def _once(found: Iterable[Entry | SettingsError]) -> Iterator[Entry | SettingsError]:
    first: dict[str, str] = {}
    for item in found:
        if isinstance(item, Entry) and item.name in first:
            yield SettingsError(
                f"{item.key!r} is given twice, first at {first[item.name]}",
                source=item.source,
                key=item.key,
            )
            continue
        if isinstance(item, Entry):
            first[item.name] = item.source
        yield item


# Opening a FIFO for reading must not hold the start; it is refused afterwards.
def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _read_bytes(path: Path) -> bytes:
    data = bytearray()
    try:
        with open(path, "rb", buffering=0, opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise SettingsError("is not a regular file", source=f"{path}")
            while chunk := file.read(FILE_MAX_BYTES + 1 - len(data)):
                data += chunk
    except OSError as error:
        raise SettingsError(
            f"cannot be read: {error.strerror}", source=f"{path}"
        ) from error
    if len(data) > FILE_MAX_BYTES:
        raise SettingsError(f"is larger than {FILE_MAX_BYTES} bytes", source=f"{path}")
    return bytes(data)


# Works on the parser's events and not on composed nodes: aliases are refused before
# anything expands them, and a scalar keeps the text that was written ("yes", "0123").
class _YamlDocument:
    def __init__(self, path: Path, data: bytes) -> None:
        # A start without YAML files does not pay for the parser.
        import yaml  # noqa: PLC0415, TID251 - see above; settings are one of two readers

        self._yaml: Any = yaml
        self._path = path
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self._events: Iterator[Any] = self._yaml.parse(data, Loader=loader)

    def entries(self) -> Iterator[Entry | SettingsError]:
        try:
            yield from self._document()
        except self._yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            yield self._problem(mark, f"is not YAML: {error.problem}")
        except self._yaml.YAMLError as error:
            reason = getattr(error, "reason", "it cannot be parsed")
            yield self._problem(None, f"is not YAML: {reason}")

    def _document(self) -> Iterator[Entry | SettingsError]:
        yaml = self._yaml
        root = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent) and root is not None:
                raise self._problem(event.start_mark, "only one document is allowed")
            if isinstance(event, yaml.MappingStartEvent):
                root = event
                yield from self._mapping()
            elif isinstance(event, yaml.NodeEvent):
                root = event
                # A document of comments only is one empty scalar.
                if self._value(event) != "":
                    yield self._problem(
                        event.start_mark, "must be a mapping of options to values"
                    )

    def _mapping(self) -> Iterator[Entry | SettingsError]:
        for event in self._events:
            if isinstance(event, self._yaml.MappingEndEvent):
                return
            mark = event.start_mark
            key = self._value(event)
            value_event = next(self._events)
            value = self._value(value_event)
            if not isinstance(key, str):
                yield self._problem(mark, "a key must be a name")
            elif value is None:
                yield self._problem(
                    value_event.start_mark,
                    f"{key!r} must be a value or a list of values",
                    key,
                )
            else:
                yield Entry(self._place(mark), key, field_name(key), value)

    # Text, a list of texts, or None for anything nested; consumes the whole value.
    def _value(self, event: Any) -> str | list[str] | None:  # noqa: ANN401 - yaml's events have no types
        self._refuse_tricks(event)
        if isinstance(event, self._yaml.ScalarEvent):
            return self._text(event)
        items: list[str] = []
        flat = isinstance(event, self._yaml.SequenceStartEvent)
        depth = 1
        while depth:
            event = next(self._events)
            self._refuse_tricks(event)
            if isinstance(event, self._yaml.CollectionEndEvent):
                depth -= 1
            elif isinstance(event, self._yaml.CollectionStartEvent):
                depth += 1
                flat = False
            else:
                items.append(self._text(event))
            if depth > _SKIP_DEPTH_MAX:
                raise self._problem(event.start_mark, "is nested too deeply")
        return items if flat else None

    # A plain null is empty; a quoted one is a word.
    def _text(self, event: Any) -> str:  # noqa: ANN401 - yaml's events have no types
        if event.implicit[0] and event.value in _NULLS:
            return ""
        return str(event.value)

    def _refuse_tricks(self, event: Any) -> None:  # noqa: ANN401 - yaml's events have no types
        if getattr(event, "anchor", None) is not None:
            what = "anchors and aliases are not allowed"
        elif getattr(event, "tag", None) is not None:
            what = "tags are not allowed"
        else:
            return
        raise self._problem(event.start_mark, what)

    def _place(self, mark: Any) -> str:  # noqa: ANN401 - yaml's marks have no types
        if mark is None:
            return f"{self._path}"
        return f"{self._path}:{mark.line + 1}:{mark.column + 1}"

    def _problem(self, mark: Any, text: str, key: str = "") -> SettingsError:  # noqa: ANN401 - yaml's marks have no types
        return SettingsError(text, source=self._place(mark), key=key)
