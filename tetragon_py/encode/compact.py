# SPDX-License-Identifier: Apache-2.0
"""Events as one line each for people at a terminal.

In come processes and plain values, out goes UTF-8 that ends with a newline. The form
is that of Tetragon's compact output. Names and arguments come from the workload: what
could break the line or steer the terminal is shown as an escape sequence of Go.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

from tetragon_py.encode.arguments import binary_of, join_arguments
from tetragon_py.encode.hook_actions import outcome
from tetragon_py.encode.hook_compact import hook_words, shown_values
from tetragon_py.encode.names import signal_name

if TYPE_CHECKING:
    from tetragon_py.encode.hook_compact import HookWords
    from tetragon_py.encode.timestamp import Timestamps
    from tetragon_py.events.agent import (
        HeartbeatEvent,
        LossEvent,
        PolicyChangeEvent,
    )
    from tetragon_py.events.hook import HookEvent, HookNames
    from tetragon_py.events.process import ExitEvent, Process
    from tetragon_py.events.repeat import RepeatEvent

    #: Color and text.
    _Part = tuple[str, str]

__all__ = ["CompactEncoder"]

_TRAILER_COLUMN: Final = 120
_CAP_SYS_ADMIN: Final = 1 << 21

_RED: Final = "31"
_GREEN: Final = "32"
_BLUE: Final = "34"
_MAGENTA: Final = "35"
_CYAN: Final = "36"

_CONTROLS: Final = {
    "\a": r"\a",
    "\b": r"\b",
    "\t": r"\t",
    "\n": r"\n",
    "\v": r"\v",
    "\f": r"\f",
    "\r": r"\r",
}
_NON_ASCII: Final = re.compile(r"[^\0-\x7f]")
# Where "surrogateescape" puts the bytes 0x80 to 0xff that are not UTF-8.
_BYTES: Final = range(0xDC80, 0xDD00)


class _Escapes(dict[int, int | str]):
    # A table of str.translate. What a flood of hostile bytes consists of is in it; the
    # rest is computed each time, so that no text makes the table grow.
    def __init__(self, named: dict[str, str]) -> None:
        super().__init__()
        for code in (*range(0x100), *_BYTES):
            self[code] = self.__missing__(code)
        self.update({ord(char): escape for char, escape in named.items()})

    def __missing__(self, code: int) -> int | str:
        if chr(code).isprintable():  # bidirectional overrides and surrogates are not
            return code
        if code < 0x80:
            return f"\\x{code:02x}"
        if code in _BYTES:
            return f"\\x{code - 0xDC00:02x}"
        return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_QUOTED: Final = _Escapes({**_CONTROLS, '"': r"\"", "\\": r"\\"})
_UNQUOTED: Final = _Escapes(_CONTROLS)


class CompactEncoder:
    """Makes the lines of one output.

    Args:
        node_name: The host in each line.
        color: For a terminal.
        timestamps: Puts the time before each line; None: no times.
    """

    def __init__(
        self, node_name: str, *, color: bool, timestamps: Timestamps | None
    ) -> None:
        self._node = _shown(node_name)
        self._color = color
        self._timestamps = timestamps

    def exec_line(self, process: Process) -> bytes:
        """Return the line of process_exec."""
        parts = [(_BLUE, "🚀 process"), *self._process(process)]
        return self._line(parts, process, process.exec.boottime_ns)

    def exit_line(self, process: Process, event: ExitEvent) -> bytes:
        """Return the line of process_exit."""
        killed_by = event.status & 0x7F
        end = signal_name(killed_by) if killed_by else str(event.status >> 8 & 0xFF)
        parts = [(_BLUE, "💥 exit   "), *self._process(process), (_RED, end)]
        return self._line(parts, process, event.boottime_ns)

    def hook_lines(
        self, process: Process, event: HookEvent, names: HookNames
    ) -> list[bytes]:
        """Return the lines of a hit, one per match."""
        hook = names.hook(event.hook)
        lines = []
        for match in event.matches:
            policy = names.match(event.hook, match.policy)
            words = hook_words(hook, shown_values(event, policy))
            parts = self._hit(process, words, outcome(policy, match))
            lines.append(self._line(parts, process, event.boottime_ns))
        return lines

    def repeat_line(
        self, process: Process, event: RepeatEvent, names: HookNames
    ) -> bytes:
        """Return the line of hits that were only counted."""
        policy = names.match(event.hook, event.match.policy)
        words = hook_words(names.hook(event.hook), [])
        said = f"{outcome(policy, event.match)} {event.hits} more times".lstrip()
        parts = self._hit(process, words, said)
        return self._line(parts, process, event.until_boottime_ns)

    def loss_line(self, event: LossEvent) -> bytes:
        """Return the line that tells what was lost."""
        counts = ", ".join(f"{count} {kind}" for kind, count in event.counts.items())
        text = f"{event.total} events of {event.lane}: {event.cause} ({counts})"
        parts = [(_RED, "⚠ lost   "), (_GREEN, self._node), (_RED, text)]
        return self._line(parts, None, event.until_boottime_ns)

    def policy_change_line(self, event: PolicyChangeEvent) -> bytes:
        """Return the line that tells what became of the policy set."""
        color, symbol = (_RED, "⚠") if event.problems else (_GREEN, "📜")
        changes = [
            f"{len(names)} {word}"
            for word in ("added", "removed", "changed")
            if (names := getattr(event, word))
        ]
        if event.problems:
            changes.append(f"{len(event.problems)} errors")
        text = f"{event.result}: {event.policies} policies on {event.hooks} hooks"
        text += f" ({', '.join(changes)})" if changes else ""
        parts = [(color, f"{symbol} policy "), (_GREEN, self._node), (color, text)]
        return self._line(parts, None, event.boottime_ns)

    def heartbeat_line(self, event: HeartbeatEvent) -> bytes:
        """Return the line that tells how the agent does."""
        problems = event.state.get("problems") or ["well"]
        color = _GREEN if problems == ["well"] else _RED
        parts = [
            (_BLUE, "💓 agent  "),
            (_GREEN, self._node),
            (color, _shown("; ".join(problems))),
        ]
        return self._line(parts, None, event.boottime_ns)

    def _hit(self, process: Process, words: HookWords, said: str) -> list[_Part]:
        symbol, word, details = words
        parts = [(_BLUE, f"{symbol} {word:<7}"), *self._who(process)]
        parts += [(_CYAN, _detail(detail)) for detail in details]
        if said:
            parts.append((_RED, said))
        return parts

    def _who(self, process: Process) -> list[_Part]:
        binary = binary_of(process.exec.image).decode("utf-8", "surrogateescape")
        # No path looks like the stand-in: they start with "/" or "./".
        shown = _shown(binary) if binary else f"<unknown:{process.key.tgid}>"
        return [(_GREEN, self._node), (_MAGENTA, shown)]

    def _process(self, process: Process) -> list[_Part]:
        parts = self._who(process)
        arguments = join_arguments(process.exec.arguments, "surrogateescape")
        if arguments:
            parts.append((_CYAN, _shown(arguments)))
        return parts

    def _line(
        self, parts: list[_Part], process: Process | None, boottime_ns: int
    ) -> bytes:
        if self._color:
            text = " ".join(f"\x1b[{code}m{value}\x1b[0m" for code, value in parts)
        else:
            text = " ".join(value for _, value in parts)
        if process is not None and _has_cap_sys_admin(process):
            columns = _columns(" ".join(value for _, value in parts))
            text += " " * max(1, _TRAILER_COLUMN - columns) + "🛑 CAP_SYS_ADMIN"
        line = text.encode() + b"\n"
        if self._timestamps:
            return b"%b %b" % (self._timestamps.format(boottime_ns), line)
        return line


def _has_cap_sys_admin(process: Process) -> bool:
    credentials = process.exec.image.credentials
    return process.known and bool(credentials.effective & _CAP_SYS_ADMIN)


def _detail(detail: str | bytes) -> str:
    if isinstance(detail, str):  # our own words
        return detail
    return _shown(detail.decode("utf-8", "surrogateescape")) or '""'


def _shown(value: str) -> str:
    # A quote at the start is quoted too, or the value could be taken for a quoted one.
    if value.isprintable() and " " not in value and not value.startswith('"'):
        return value
    return f'"{value.translate(_QUOTED)}"'


def _columns(text: str) -> int:
    text = text[: 2 * _TRAILER_COLUMN]  # what is longer is beyond the trailer anyway
    others = _NON_ASCII.findall(text)
    return len(text) - len(others) + sum(map(_char_columns, others))


def _char_columns(char: str) -> int:
    if unicodedata.east_asian_width(char) in "WF":
        return 2
    return 0 if unicodedata.category(char) in {"Mn", "Me"} else 1
