# SPDX-License-Identifier: Apache-2.0
"""Hits of hooks as Tetragon's JSON: one line per policy that wanted the hit.

On the hot path: what the hook, the policy and the heads of the arguments say is made
once, as a text with conversions, and so is what a process says. A line is one `%` of
both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from tetragon_py.abi import _generated as c
from tetragon_py.encode.argument_json import ArgumentJson
from tetragon_py.encode.hook_form import TIME, FormMaker

if TYPE_CHECKING:
    from collections.abc import Callable

    from tetragon_py.encode.hook_form import HookForm
    from tetragon_py.encode.jsonl import JsonOptions
    from tetragon_py.events.hook import HookEvent, HookNames, Match
    from tetragon_py.events.process import Namespaces, Process
    from tetragon_py.events.repeat import RepeatEvent

__all__ = ["HookJson"]

#: All are made anew when there are more: with long texts they take a few MB.
_FORMS_MAX: Final = 2048
#: The same of processes; longer ones are made for each event.
_PROCESSES_MAX: Final = 512
_PROCESS_BYTES: Final = 16384
_TID_KEY: Final = b',"tid":'
_ANCESTORS_KEY: Final = b',"ancestors":['
_LANES: Final = (b"lifecycle", b"verdict", b"policy")  # enum event_lane

#: Before the number of the thread, after it with the parent, the ancestors.
_ProcessTexts: TypeAlias = tuple[bytes, bytes, bytes]


class HookJson:
    """Makes the lines of one configuration. For one thread.

    Args:
        process_texts: The object of a process without its closing brace, and its parent
            and ancestors with their keys.
        node: What stands between an event and the time.
        time: Formats a boot time.
        host: Namespaces of process 1.
        options: What is shown.
    """

    def __init__(
        self,
        process_texts: Callable[[Process], tuple[bytes, bytes]],
        node: bytes,
        time: Callable[[int], bytes],
        host: Namespaces,
        options: JsonOptions,
    ) -> None:
        self._process_texts = process_texts
        self._time = time
        self._is_plain = not (options.extended or options.ancestors or options.origin)
        arguments = ArgumentJson(host.user, extended=options.extended)
        self._maker = FormMaker(arguments, options, node)
        self._processes: dict[Process, _ProcessTexts] = {}
        #: Hook, flags and heads -> match -> form.
        self._forms: dict[tuple[int, int, tuple[int, ...]], dict[Match, HookForm]] = {}
        self._form_count = 0
        self._names: HookNames | None = None
        self._version = -1

    def lines(
        self, process: Process, event: HookEvent, names: HookNames
    ) -> list[bytes]:
        """process_kprobe, process_tracepoint or process_lsm: one line per match."""
        if names.version != self._version or names is not self._names:
            self._forget_forms()
            self._names, self._version = names, names.version
        forms = self._forms.get((event.hook, event.flags, event.heads)) or {}
        head, tail, ancestors = self._processes.get(process) or self._split(process)
        time = self._time(event.boottime_ns)
        tid = event.tid
        values: tuple[Any, ...] = (*event.values, time)
        if not self._is_plain:
            values = self._with_more(event, ancestors, time)
        lines = []
        for match in event.matches:
            text, fields = forms.get(match) or self._make(event, match, names)
            if fields is not None:
                told = [write(values[i]) if write else values[i] for i, write in fields]
                lines.append(text % (head, tid, tail, *told))
            else:
                lines.append(text % (head, tid, tail, *values))
        return lines

    def repeat_line(
        self, process: Process, event: RepeatEvent, names: HookNames
    ) -> bytes:
        """The same event, without arguments: how many there were of it."""
        hook, match = event.hook, event.match
        form = self._maker.make_repeat(
            event, names.hook(hook), names.match(hook, match.policy)
        )
        head, tail, ancestors = self._processes.get(process) or self._split(process)
        time = self._time(event.until_boottime_ns)
        since = self._time(event.since_boottime_ns)
        # In the order of hook_form.ANCESTORS to TIME.
        values = (ancestors, since, 0, 0, _LANES[c.LANE_VERDICT], time)
        told = [values[i] for i, _ in form.fields or ((TIME, None),)]
        return form.text % (head, process.key.tgid, tail, *told)

    def _with_more(
        self, event: HookEvent, ancestors: bytes, time: bytes
    ) -> tuple[Any, ...]:
        # In the order of hook_form.ANCESTORS to TIME.
        lane = _LANES[event.lane] if event.lane < len(_LANES) else b"%d" % event.lane
        entry = self._time(event.entry_ns) if event.entry_ns else time
        return (
            *event.values,
            ancestors,
            entry,
            event.cpu,
            event.sequence,
            lane,
            time,
        )

    def _make(self, event: HookEvent, match: Match, names: HookNames) -> HookForm:
        """The form of a match that none of these had before."""
        if self._form_count >= _FORMS_MAX:
            self._forget_forms()
        form = self._maker.make(
            event, match, names.hook(event.hook), names.match(event.hook, match.policy)
        )
        key = (event.hook, event.flags, event.heads)
        self._forms.setdefault(key, {})[match] = form
        self._form_count += 1
        return form

    def _forget_forms(self) -> None:
        self._forms.clear()
        self._form_count = 0

    def _split(self, process: Process) -> _ProcessTexts:
        """What a process says around the number of the thread; kept if it is short."""
        fragment, lineage = self._process_texts(process)
        # Quotes in texts are escaped: no text has these keys.
        before, _, after = fragment.partition(_TID_KEY)
        after = after.lstrip(b"0123456789")
        parent, key, ancestors = lineage.partition(_ANCESTORS_KEY)
        texts = (before + _TID_KEY, b"%b}%b" % (after, parent), key + ancestors)
        # One that is unknown is another object in each event.
        if process.known and sum(map(len, texts)) <= _PROCESS_BYTES:
            if len(self._processes) >= _PROCESSES_MAX:
                self._processes.clear()
            self._processes[process] = texts
        return texts
