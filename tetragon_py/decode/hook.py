# SPDX-License-Identifier: Apache-2.0
"""Hook records -> events.

On the hot path: most hits have only numbers as arguments, so arguments and matches are
then read by one `unpack_from`, and heads and matches that came before give the same
objects. All other records are read argument by argument.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from tetragon_py.abi import _generated as c
from tetragon_py.abi.record import EVENT_HOOK, HOOK_MATCH
from tetragon_py.decode.arguments import (
    NUMBER_BYTES,
    NUMBERS,
    SIGNED_NUMBERS,
    decode_arguments,
)
from tetragon_py.errors import DecodeError
from tetragon_py.events.hook import HEAD_FAILED, HookEvent, Match
from tetragon_py.events.process import ProcessKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from tetragon_py.events.hook import Value

    _Layout = tuple[
        Callable[[bytes, int], tuple[Any, ...]], tuple[int, ...], tuple[int, ...]
    ]

__all__ = ["decode_hook"]

_unpack_hook = EVENT_HOOK.unpack_from
_HOOK_SIZE, _MATCH_SIZE = EVENT_HOOK.size, HOOK_MATCH.size
#: Head, value, the NUL and what fills it up.
_NUMBER_SIZE: Final = c.ARGUMENT_HEAD_SIZE + NUMBER_BYTES + 8
#: Matches of more policies are not remembered: what is remembered is 2 MB at most.
_REMEMBERED_MATCHES: Final = 16
_LAYOUTS_MAX: Final = 4096
#: Makes a key or an event of a tuple without a Python frame.
_new = tuple.__new__

#: Hook, arguments, matches and size of a record whose arguments are numbers -> what
#: reads it (each head with its length, then its value; last all matches as bytes), the
#: heads that it is right for, and these as an event has them.
_layouts: dict[tuple[int, int, int, int], _Layout] = {}


def decode_hook(data: bytes, offset: int) -> HookEvent:
    """One event_hook at `offset`, with its arguments and matches.

    Raises:
        DecodeError: the parts of the record do not make up its size.
    """
    try:
        (
            size,
            _type,
            lane,
            cpu,
            sequence,
            boottime_ns,
            start,
            tgid,
            tid,
            hook,
            generation,
            match_count,
            count,
            flags,
            entry_ns,
        ) = _unpack_hook(data, offset)
        layout = _layouts.get((hook, count, match_count, size))
        values: tuple[Any, ...] | None = None
        heads: tuple[int, ...] = ()
        raw = b""
        if layout is not None:
            unpack, expected, heads = layout
            words = unpack(data, offset + _HOOK_SIZE)
            if words[:-1:2] == expected:
                values, raw = words[1::2], words[-1]
        if values is None:
            heads, values, raw = _read(data, offset, size, count, match_count)
            if size == _HOOK_SIZE + count * _NUMBER_SIZE + match_count * _MATCH_SIZE:
                _remember(hook, match_count, size, heads)
    except struct.error as error:
        raise DecodeError("hook is cut", type=c.EVENT_HOOK) from error
    return _new(
        HookEvent,
        (
            boottime_ns,
            _new(ProcessKey, (start, tgid)),
            tid,
            hook,
            generation,
            flags,
            entry_ns,
            lane,
            cpu,
            sequence,
            heads,
            values,
            _remembered_matches(raw)
            if match_count <= _REMEMBERED_MATCHES
            else _matches(raw),
        ),
    )


def _read(
    data: bytes, offset: int, size: int, count: int, match_count: int
) -> tuple[tuple[int, ...], tuple[Value, ...], bytes]:
    """Heads, values and the bytes of the matches of any record."""
    end = offset + size - match_count * _MATCH_SIZE
    if (
        end < offset + _HOOK_SIZE
        or offset + size > len(data)
        or count > c.HOOK_ARGUMENTS_MAX
        or not 0 < match_count <= c.HOOK_MATCHES_MAX
    ):
        raise DecodeError("hook is cut", type=c.EVENT_HOOK, size=size)
    at = offset + _HOOK_SIZE
    heads, values, stop = decode_arguments(data, at, end, count)
    if stop != end:
        raise DecodeError("hook has other bytes", type=c.EVENT_HOOK, size=size)
    return heads, values, data[end : offset + size]


def _remember(hook: int, match_count: int, size: int, heads: tuple[int, ...]) -> None:
    """Read the next record of this form at once."""
    kinds = [head >> 8 & 0xFF for head in heads]
    if any(head & HEAD_FAILED for head in heads) or not NUMBERS.issuperset(kinds):
        return  # texts can have the same size
    numbers = "".join("Qq8x" if kind in SIGNED_NUMBERS else "QQ8x" for kind in kinds)
    layout = struct.Struct(f"<{numbers}{match_count * _MATCH_SIZE}s")
    if len(_layouts) >= _LAYOUTS_MAX:
        _layouts.clear()
    expected = tuple(NUMBER_BYTES << 32 | head for head in heads)
    key = (hook, len(heads), match_count, size)
    _layouts[key] = (layout.unpack_from, expected, heads)


def _matches(raw: bytes) -> tuple[Match, ...]:
    return tuple(_new(Match, values) for values in HOOK_MATCH.iter_unpack(raw))


_remembered_matches = lru_cache(maxsize=512)(_matches)
