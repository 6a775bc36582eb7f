# SPDX-License-Identifier: Apache-2.0
"""Tracepoints and functions as tracefs lists them; only root may read it.

Without tracefs nothing is found, and `problem` says why and what to do.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tetragon_py.compiler.target import TracepointField

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["TRACEFS_PLACES", "Tracefs", "parse_format"]

#: The second is tracefs as kernels before 4.1 had it, still mounted on access.
TRACEFS_PLACES = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))

_MOUNT_IT = "tracefs is not mounted: mount -t tracefs tracefs /sys/kernel/tracing"
_NAME = re.compile(r"\w[\w.-]*", re.ASCII)
_FIELD = re.compile(
    r"\s*field:(?P<declaration>[^;]*);\s*offset:(?P<offset>\d{1,9});"
    r"\s*size:(?P<size>\d{1,9});(?:\s*signed:(?P<signed>\d);)?"
)
_DECLARATION = re.compile(
    r"(?P<type>.*?)(?P<name>[A-Za-z_]\w*)\s*(?P<array>(?:\[[^\]]*\]\s*)*)", re.ASCII
)


def parse_format(text: str) -> tuple[TracepointField, ...]:
    """The fields of a format file, in its order.

    A line that cannot be understood keeps its number: a field without name and size.
    """
    fields = []
    for line in text.splitlines():
        if line.startswith("print fmt:"):
            break
        if line.lstrip().startswith("field:"):
            fields.append(_field(line))
    return tuple(fields)


def _field(line: str) -> TracepointField:
    found = _FIELD.match(line)
    if not found:
        return TracepointField("", line.strip(), 0, 0)
    place, size = int(found["offset"]), int(found["size"])
    is_signed = (found["signed"] or "0") != "0"
    declaration = " ".join(found["declaration"].split())
    parts = _DECLARATION.fullmatch(declaration)
    if not parts or not parts["type"]:
        return TracepointField("", declaration, place, size, is_signed)
    kind = parts["type"].strip() + parts["array"].strip()
    is_data_loc = kind.split(" ", 1)[0] == "__data_loc"
    return TracepointField(parts["name"], kind, place, size, is_signed, is_data_loc)


class Tracefs:
    """The tracefs that is mounted at the first of `places`; read as it is asked."""

    def __init__(self, places: Iterable[Path] = TRACEFS_PLACES) -> None:
        #: Why nothing is found, or "".
        self.problem = ""
        self._root = self._find(places)
        self._fields: dict[tuple[str, str], tuple[TracepointField, ...] | None] = {}

    def fields(self, subsystem: str, event: str) -> tuple[TracepointField, ...] | None:
        """The fields of a tracepoint, or None."""
        key = (subsystem, event)
        if key not in self._fields:
            is_name = _NAME.fullmatch(subsystem) and _NAME.fullmatch(event)
            path = f"events/{subsystem}/{event}/format"
            text = self._read(path) if is_name else ""
            self._fields[key] = parse_format(text) if text else None
        return self._fields[key]

    def dynamic_events(self) -> str:
        """The tracepoints that somebody defined, as they are now."""
        return self._read("dynamic_events")

    @cached_property
    def events(self) -> tuple[str, ...]:
        """All tracepoints, as "subsystem/event"."""
        lines = self._read("available_events").splitlines()
        return tuple(line.replace(":", "/", 1) for line in lines if ":" in line)

    @cached_property
    def functions(self) -> frozenset[str]:
        """All functions that ftrace can hook; empty where it is not told."""
        lines = self._read("available_filter_functions").splitlines()
        names = {line.split(None, 1)[0] for line in lines if line.strip()}
        # ftrace's name for the place of a function that the linker dropped
        return frozenset(
            name for name in names if not name.startswith("__ftrace_invalid_address")
        )

    def _find(self, places: Iterable[Path]) -> Path | None:
        self.problem = _MOUNT_IT
        for place in places:
            try:
                (place / "events").stat()
            except PermissionError:
                self.problem = f"{place} may be read by root only"
            except OSError:
                continue
            else:
                self.problem = ""
                return place
        return None

    def _read(self, path: str) -> str:
        if not self._root:
            return ""
        try:
            return (self._root / path).read_text("utf-8", "replace")
        except OSError:
            return ""
