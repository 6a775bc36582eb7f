# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a policy, and where: findings by path, diagnostics by line.

A check knows paths in the document (`spec`, `kprobes`, 0, `call`) and yields findings;
only the source knows files and lines and turns them into diagnostics. Text that comes
from a policy is shown escaped and cut: it may be hostile.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from tetragon_py.errors import TetragonError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "Cause",
    "Diagnostic",
    "Finding",
    "Hint",
    "Path",
    "PolicyValueError",
    "Severity",
    "error",
    "format_path",
    "nearest",
    "note",
    "one_of",
    "quote",
    "refusal",
    "warning",
]

#: Keys and list positions from the document's root, in the canonical spelling.
Path = tuple[str | int, ...]

#: Text, or what finds it: looking for the nearest name is dear, and of thousands of
#: findings only the first ones are shown.
Hint = str | Callable[[], str]

#: A value in a message is cut to this many characters.
_SHOWN_CHARS = 60
#: So many names may be listed in a hint; more are looked up in the documentation.
_LISTED_MAX = 12
#: So many names are looked at: a comparison takes ten microseconds.
_COMPARED_MAX = 1000
#: Of two names, from 0 to 1: cal means call, but not syscall.
_LIKENESS = 0.65
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


class Severity(StrEnum):
    """An error refuses the document; a warning and a note do not."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Cause(StrEnum):
    """Why a part of a document cannot be had: only a mistake is wrong everywhere."""

    MISTAKE = "mistake"  #: of the document
    KERNEL = "kernel"  #: right for other kernels, not for this one
    RELEASE = "release"  #: right for later releases
    PLACEHOLDER = "placeholder"  #: right once it is filled in


class Finding(NamedTuple):
    """Something about the part of a document at `path`.

    Line and column (from 1) are known only where the document was read; 0 elsewhere.
    """

    severity: Severity
    path: Path
    message: str
    hint: Hint = ""
    line: int = 0
    column: int = 0
    cause: Cause = Cause.MISTAKE

    @property
    def hint_text(self) -> str:
        """The hint, found if it has to be."""
        return self.hint if isinstance(self.hint, str) else self.hint()


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A finding with its place. Line and column count from 1; 0: the whole file."""

    severity: Severity
    file: str
    line: int
    column: int
    path: str  #: "spec.kprobes[0].call"; empty for what concerns no field
    message: str
    hint: str | None = None
    cause: Cause = Cause.MISTAKE

    def __str__(self) -> str:
        """Return one line for the problem and, if there is a hint, one for that."""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        path = f"{self.path}: " if self.path else ""
        text = f"{place}: {self.severity}: {path}{self.message}"
        return f"{text}\n  hint: {self.hint}" if self.hint else text


class PolicyValueError(TetragonError, ValueError):
    """A value of a policy is wrong; it is a ValueError so that pydantic gathers it.

    `index` is the position of the value in its list, where it stands in one.
    """

    exit_status = 2

    def __init__(
        self,
        message: str,
        hint: Hint = "",
        *,
        index: int | None = None,
        cause: Cause = Cause.MISTAKE,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.index = index
        self.cause = cause
        self._hint = hint

    @property
    def hint(self) -> str:
        """What to do instead; empty if there is nothing to say."""
        return self._hint if isinstance(self._hint, str) else self._hint()


def error(
    path: Path, message: str, hint: Hint = "", cause: Cause = Cause.MISTAKE
) -> Finding:
    """Return a finding that refuses the document."""
    return Finding(Severity.ERROR, path, message, hint, cause=cause)


def warning(
    path: Path, message: str, hint: Hint = "", cause: Cause = Cause.MISTAKE
) -> Finding:
    """Return a finding about something that is not done as written."""
    return Finding(Severity.WARNING, path, message, hint, cause=cause)


def note(path: Path, message: str, hint: Hint = "") -> Finding:
    """Return a finding that is good to know."""
    return Finding(Severity.NOTE, path, message, hint)


def refusal(path: Path, problem: PolicyValueError) -> Finding:
    """Return a finding with the message, the hint and the cause of `problem`."""
    return error(path, problem.message, lambda: problem.hint, problem.cause)


def format_path(path: Path) -> str:
    """Return `path` as one writes it: spec.kprobes[0].call."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}"
        else:
            text += f"[{quote(part)}]"
    return text.removeprefix(".")


def quote(value: object) -> str:
    """Return `value` on one line, escaped, in quotes, of bounded length."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if len(text) > _SHOWN_CHARS:
        return ascii(text[:_SHOWN_CHARS]) + "..."
    return ascii(text) if not text.isprintable() else repr(text)


def nearest(name: str, names: Iterable[str]) -> str:
    """Return a hint with the one of `names` that was probably meant, or nothing."""
    seen = islice(names, _COMPARED_MAX)
    folded = {str(known).casefold(): str(known) for known in seen}
    shown = name[:_SHOWN_CHARS].casefold()
    near = difflib.get_close_matches(shown, folded, n=1, cutoff=_LIKENESS)
    return f"did you mean {folded[near[0]]!r}?" if near else ""


def one_of(name: str, names: Iterable[str]) -> str:
    """Return a hint for a `name` that is none of `names`: the nearest one, or all."""
    known = [str(allowed) for allowed in names]
    hint = nearest(name, known)
    if hint or len(known) > _LISTED_MAX:
        return hint
    return f"allowed: {', '.join(known)}"
