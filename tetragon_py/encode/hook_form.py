# SPDX-License-Identifier: Apache-2.0
"""The constant part of the JSON of hits that differ in their values only.

In come the texts of a hook and a policy, the heads of the arguments and a match; out
goes a text with conversions, and which values go into it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from tetragon_py.abi import _generated as c
from tetragon_py.encode.argument_json import constant
from tetragon_py.encode.hook_actions import action_word, enforcement, return_action_word

if TYPE_CHECKING:
    from collections.abc import Callable

    from tetragon_py.encode.argument_json import ArgumentJson
    from tetragon_py.encode.jsonl import JsonOptions
    from tetragon_py.events.hook import (
        ArgumentText,
        HookEvent,
        HookTexts,
        Match,
        PolicyTexts,
    )
    from tetragon_py.events.repeat import RepeatEvent

__all__ = [
    "ANCESTORS",
    "CPU",
    "ENTRY",
    "LANE",
    "SEQUENCE",
    "TIME",
    "FormMaker",
    "HookForm",
]

#: Fields behind the values of the arguments, counted from the end. All but the time are
#: there only if an option asks for one of them.
TIME: Final = -1
LANE: Final = -2
SEQUENCE: Final = -3
CPU: Final = -4
ENTRY: Final = -5
ANCESTORS: Final = -6

_Field: TypeAlias = "tuple[int, Callable[[Any], bytes] | None]"
#: Stands where an argument would that the record had no room for.
_NO_ROOM: Final = b'{"error_arg":{"Message":"No room in the event"}}'


class HookForm(NamedTuple):
    """A line but for its values.

    `text` has conversions for the process up to the number of its thread, for that
    number, for the rest of the process with its parent, and for the fields.
    """

    text: bytes
    fields: tuple[_Field, ...] | None  # None: all values as they are, and the time


class FormMaker:
    """Makes the forms of one configuration.

    Args:
        arguments: Makes the forms of the arguments.
        options: What is shown.
        node: What stands between an event and the time.
    """

    def __init__(
        self, arguments: ArgumentJson, options: JsonOptions, node: bytes
    ) -> None:
        self._arguments = arguments
        self._options = options
        self._node = node.replace(b"%", b"%%")

    def make(
        self, event: HookEvent, match: Match, hook: HookTexts, policy: PolicyTexts
    ) -> HookForm:
        """The form of an event for one of its matches.

        Args:
            event: Its values do not matter.
            match: One of the event's.
            hook: Texts of the event's hook.
            policy: Texts of the match's policy.
        """
        line = _Line(event.heads, event.flags, self._arguments)
        self._body(line, match, hook, policy)
        if self._options.extended:
            if event.flags & c.HOOK_RETURNED:
                line.value(b',"entry_time":"%b"', ENTRY)
            if event.flags & c.HOOK_ARGUMENTS_CUT:
                line.add(b',"truncated":true')
            line.add(b"}")
        self._envelope(line)
        if self._options.extended or self._options.origin:
            line.value(b',"cpu":%d', CPU)
            line.value(b',"sequence":"%d"', SEQUENCE)
            line.add(self._options.run_member)
            line.value(b',"lane":"%b"', LANE)
        line.add(b"}\n")
        return line.form()

    def make_repeat(
        self, event: RepeatEvent, hook: HookTexts, policy: PolicyTexts
    ) -> HookForm:
        """The form of one event for many hits: no arguments, but their number.

        ENTRY is where they begin.
        """
        line = _Line((), 0, self._arguments)
        self._body(line, event.match, hook, policy)
        if self._options.extended:
            line.value(b',"since":"%b"}', ENTRY)
        self._envelope(line)
        line.add(b',"aggregation_info":{"count":"%d"}' % event.hits)
        if self._options.extended:
            line.value(b',"lane":"%b"', LANE)
        line.add(b"}\n")
        return line.form()

    def _body(
        self, line: _Line, match: Match, hook: HookTexts, policy: PolicyTexts
    ) -> None:
        """The event itself; of "hit", which is the last in it, the end is missing."""
        action = action_word(policy, match)
        line.add(b'{"process_%b":{"process":%%b%%d%%b' % hook.kind.encode())
        if hook.kind == "kprobe":
            _kprobe(line, hook.function_name, policy, action, match.done)
        elif hook.kind == "lsm":
            _lsm(line, hook.function_name, policy, action)
        else:
            _tracepoint(line, hook.function_name, policy, action)
        if self._options.ancestors:
            line.value(b"%b", ANCESTORS)
        if hook.kind == "kprobe":
            line.arguments("data", policy.data)
        if self._options.extended:
            line.add(b',"hit":%b' % constant(enforcement(policy, match))[:-1])

    def _envelope(self, line: _Line) -> None:
        line.add(b"}" + self._node)
        line.value(b'%b"', TIME)


def _kprobe(
    line: _Line, function: str, policy: PolicyTexts, action: str, done: int
) -> None:
    line.member("function_name", function)
    line.arguments("args", line.shown_of(policy))
    if policy.return_slot is not None:
        line.returned(policy.return_slot)
    line.action("action", action)
    line.member("policy_name", policy.policy_name)
    line.action("return_action", return_action_word(policy.return_action, action, done))
    line.member("message", policy.message)
    line.tags(policy.tags)


def _tracepoint(line: _Line, function: str, policy: PolicyTexts, action: str) -> None:
    subsystem, _, name = function.rpartition("/")
    line.member("subsys", subsystem)
    line.member("event", name)
    line.arguments("args", line.shown_of(policy))
    line.member("policy_name", policy.policy_name)
    line.action("action", action)
    line.member("message", policy.message)
    line.tags(policy.tags)


def _lsm(line: _Line, function: str, policy: PolicyTexts, action: str) -> None:
    line.member("function_name", function)
    line.member("policy_name", policy.policy_name)
    line.member("message", policy.message)
    line.arguments("args", line.shown_of(policy))
    line.action("action", action)
    line.tags(policy.tags)


class _Line:
    # A line that grows, for all events with these heads and flags.
    def __init__(
        self, heads: tuple[int, ...], flags: int, arguments: ArgumentJson
    ) -> None:
        self._heads = heads
        self._positions = {head & 0xFF: i for i, head in enumerate(heads)}
        self._has_all = not flags & c.HOOK_ARGUMENTS_CUT
        self._arguments = arguments
        self._texts: list[bytes] = []
        self._fields: list[_Field] = []

    def add(self, text: bytes) -> None:
        self._texts.append(text)

    def value(
        self, text: bytes, field: int, writer: Callable[[Any], bytes] | None = None
    ) -> None:
        self._texts.append(text)
        self._fields.append((field, writer))

    def member(self, key: str, value: str) -> None:
        if value:
            self.add(b',"%b":%b' % (key.encode(), constant(value)))

    def action(self, key: str, word: str) -> None:
        self.member(key, f"KPROBE_ACTION_{word}")

    def tags(self, tags: tuple[str, ...]) -> None:
        if tags:
            self.add(b',"tags":[%b]' % b",".join(map(constant, tags)))

    def shown_of(self, policy: PolicyTexts) -> tuple[ArgumentText, ...]:
        if policy.args is not None:
            return policy.args
        return tuple((head & 0xFF, None, "") for head in self._heads)

    def arguments(self, key: str, shown: tuple[ArgumentText, ...]) -> None:
        before = b',"%b":[' % key.encode()
        start = before
        for slot, label, declared in shown:
            if self._argument(before, slot, label, declared):
                before = b","
        if before is not start:
            self.add(b"]")

    def returned(self, slot: int) -> None:
        if slot in self._positions:
            self._argument(b',"return":', slot, None, "")

    def _argument(
        self, before: bytes, slot: int, label: str | None, declared: str
    ) -> bool:
        position = self._positions.get(slot)
        if position is None:
            if not self._has_all:
                self.add(before + _NO_ROOM)
            return not self._has_all
        form = self._arguments.form(self._heads[position], label, declared)
        if form is None:
            return False
        self.add(before + form.text)
        if form.has_value:
            self._fields.append((position, form.writer))
        return True

    def form(self) -> HookForm:
        plain: list[_Field] = [(i, None) for i in range(len(self._heads))]
        is_plain = self._fields == [*plain, (TIME, None)]
        fields = None if is_plain else tuple(self._fields)
        return HookForm(b"".join(self._texts), fields)
