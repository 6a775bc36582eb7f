# SPDX-License-Identifier: Apache-2.0
"""How values of the settings are written: sizes, durations, modes, lists.

Each kind reads the text of a value, writes a value as one would type it, and says, as
text, what is allowed. What is not raises ValueError.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

__all__ = [
    "ByteSize",
    "Duration",
    "FileMode",
    "format_size",
    "refuse_nul",
    "split_names",
    "split_paths",
]

_SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_SECONDS = {"h": 3600, "m": 60, "s": 1}


@dataclass(frozen=True, slots=True)
class ByteSize:
    """4096, 64K, 16M; `step` 0 asks for a power of two."""

    minimum: int
    maximum: int
    step: int = 0
    metavar: ClassVar = "SIZE"

    def __call__(self, value: object) -> int:
        """Read one, in bytes."""
        match = re.fullmatch(r"([0-9]{1,12})([KMGkmg]?)", str(value).strip())
        if match is None:
            raise ValueError(str(self))
        size = int(match[1]) * _SIZES[match[2].upper()]
        fits = size % self.step == 0 if self.step else size.bit_count() == 1
        if not fits or not self.minimum <= size <= self.maximum:
            raise ValueError(str(self))
        return size

    def __str__(self) -> str:
        kind = f"a multiple of {self.step}" if self.step else "a power of two"
        span = f"{format_size(self.minimum)} to {format_size(self.maximum)}"
        return f"{kind} from {span}, such as 8192, 64K or {format_size(self.maximum)}"

    def format(self, size: int) -> str:
        """As it is written."""
        return format_size(size)


@dataclass(frozen=True, slots=True)
class Duration:
    """24h, 1h30m, 90s or 90; zero and what is between the limits, in seconds."""

    minimum: int
    maximum: int
    metavar: ClassVar = "DURATION"

    def __call__(self, value: object) -> float:
        """Read one, in seconds."""
        text = str(value).strip()
        match = re.fullmatch(
            r"(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?|(\d{1,9})(?:\.0)?", text
        )
        if match is None or not text:
            raise ValueError(str(self))
        factors = (*_SECONDS.values(), 1)
        parts = zip(match.groups("0"), factors, strict=True)
        seconds = sum(int(part) * factor for part, factor in parts)
        if seconds and not self.minimum <= seconds <= self.maximum:
            raise ValueError(str(self))
        return float(seconds)

    def __str__(self) -> str:
        span = f"{self.format(self.minimum)} to {self.format(self.maximum)}"
        return f"0s or a duration from {span}, such as 24h, 1h30m or 90s"

    def format(self, seconds: float) -> str:
        """As it is written."""
        rest, text = int(seconds), ""
        for unit, factor in _SECONDS.items():
            count, rest = divmod(rest, factor)
            text += f"{count}{unit}" if count else ""
        return text or "0s"


@dataclass(frozen=True, slots=True)
class FileMode:
    """Octal: the owner reads and writes, others do not write, nobody executes."""

    metavar: ClassVar = "MODE"

    def __call__(self, value: object) -> int:
        """Read one."""
        text = str(value).strip()
        if not re.fullmatch(r"0?[0-7]{3}", text):
            raise ValueError(str(self))
        mode = int(text, 8)
        if mode & 0o600 != 0o600 or mode & 0o113:
            raise ValueError(str(self))
        return mode

    def __str__(self) -> str:
        return "600, 640, 660, 644, 664 or another mode with which others do not write"

    def format(self, mode: int) -> str:
        """As it is written."""
        return f"{mode:03o}"


def format_size(size: int) -> str:
    """In the largest unit that divides it."""
    for unit, factor in reversed(_SIZES.items()):
        if size % factor == 0:
            return f"{size // factor}{unit}"
    raise AssertionError


def split_names(value: object) -> object:
    """Names separated by commas; what is no text goes on as it is."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        return value
    names = tuple(str(part).strip() for part in parts)
    if any(not name or "=" in name or "\0" in name for name in names):
        raise ValueError
    return names


def split_paths(value: object) -> object:
    """Paths separated by commas; what is no text goes on as it is."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        return value
    if not all(isinstance(part, str | Path) for part in parts):
        raise ValueError
    paths = tuple(str(part).strip() for part in parts)
    if any(not path or "\0" in path for path in paths):
        raise ValueError
    return paths


def refuse_nul(path: Path) -> Path:
    """A path that the kernel takes."""
    if "\0" in str(path):
        raise ValueError
    return path
