# SPDX-License-Identifier: Apache-2.0
"""Hook records become events, by the short way or the long one: the same event."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.records import (
    CHILD,
    argument,
    hook_record,
    match_bytes,
    number,
    path_argument,
)
from tetragon_py.abi import _generated as c
from tetragon_py.abi import record
from tetragon_py.decode import hook
from tetragon_py.decode.arguments import NUMBERS, SIGNED_NUMBERS
from tetragon_py.decode.hook import decode_hook
from tetragon_py.errors import DecodeError
from tetragon_py.events.hook import HookEvent, Match
from tetragon_py.events.process import ProcessKey

THREE = (
    number(c.ARGUMENT_INT32, -100, slot=0),
    number(c.ARGUMENT_UINT64, (1 << 64) - 1, slot=1),
    number(c.ARGUMENT_INT64, 1 << 62, slot=2),
)
NUMBER = st.tuples(
    st.sampled_from(sorted(NUMBERS)), st.integers(0, (1 << 64) - 1), st.integers(0, 255)
)


@pytest.fixture(autouse=True)
def _nothing_learned():
    """Each test begins with a decoder that has seen no record."""
    hook._layouts.clear()
    hook._remembered_matches.cache_clear()


def test_fields():
    """Each field at its place, keys and matches as tuples of their kind."""
    data = hook_record(
        [number(c.ARGUMENT_INT32, 7)],
        [match_bytes(5, 1, 0x31, 0x11, -1), match_bytes(6)],
        flags=c.HOOK_RETURNED,
        entry_ns=5_500,
    )
    event = decode_hook(bytes(8) + data, 8)

    assert event == HookEvent(
        boottime_ns=6_000,
        process=CHILD,
        tid=43,
        hook=9,
        generation=2,
        flags=c.HOOK_RETURNED,
        entry_ns=5_500,
        lane=c.LANE_POLICY,
        cpu=3,
        sequence=11,
        heads=(c.ARGUMENT_INT32 << 8,),
        values=(7,),
        matches=(Match(5, 1, 0x31, 0x11, 0, -1), Match(6, 0, 1, 1, 0, 0)),
    )
    assert isinstance(event, HookEvent)
    assert isinstance(event.process, ProcessKey)
    assert all(isinstance(match, Match) for match in event.matches)


def test_head_is_where_c_puts_it():
    """The four bytes of a head as one number, in the order of the header."""
    offsets = [c.ARGUMENT_HEAD_OFFSETS[name] for name in ("slot", "type", "flags")]

    assert [*offsets, c.ARGUMENT_HEAD_OFFSETS["depth"]] == [0, 1, 2, 3]
    assert c.ARGUMENT_HEAD_OFFSETS["length"] == 4
    assert record.ARGUMENT_HEAD.size == c.ARGUMENT_HEAD_SIZE
    assert record.EVENT_HOOK.size == c.EVENT_HOOK_SIZE


def test_the_short_way_is_learned():
    """The second record with numbers of one form is read at once, to the same event."""
    data = hook_record(THREE)
    first = decode_hook(data, 0)

    assert len(hook._layouts) == 1
    assert decode_hook(data, 0) == first
    assert first.values == (-100, (1 << 64) - 1, 1 << 62)


def test_the_short_way_is_for_numbers():
    """Texts and errors may have the size of numbers: they are not taken for them."""
    text = argument(c.ARGUMENT_STRING, b"12345678", slot=1)
    error = argument(c.ARGUMENT_INT32, error=14)
    for arguments in ((text,), (error, argument(c.ARGUMENT_STRING, b"a" * 20))):
        decode_hook(hook_record(arguments), 0)

        assert not hook._layouts

    decode_hook(hook_record([number(c.ARGUMENT_INT64, 1, slot=1)]), 0)

    assert decode_hook(hook_record([text]), 0).values == (b"12345678",)
    assert decode_hook(hook_record([number(c.ARGUMENT_INT32, 2)]), 0).values == (2,)


@given(
    st.lists(NUMBER, max_size=5),
    st.lists(NUMBER, max_size=5),
    st.integers(1, 20),
    st.integers(8, 10),
)
def test_both_ways_give_the_same(learned, arguments, match_count, number_of_hook):
    """Whatever was learned before, a record says what it says."""
    hook._layouts.clear()
    matches = [match_bytes(policy) for policy in range(match_count)]

    def packed(values):
        return hook_record([number(*value) for value in values], matches)

    decode_hook(packed(learned), 0)
    data = hook_record(
        [number(*value) for value in arguments], matches, hook=number_of_hook
    )
    events = [decode_hook(data, 0) for _ in range(2)]
    hook._layouts.clear()

    assert [*events, decode_hook(data, 0)] == events[:1] * 3
    assert events[0].values == tuple(
        value - (1 << 64) if kind in SIGNED_NUMBERS and value >> 63 else value
        for kind, value, _ in arguments
    )
    assert events[0].heads == tuple(slot | kind << 8 for kind, _, slot in arguments)


@pytest.mark.parametrize("is_learned", [False, True])
@pytest.mark.parametrize(
    "changes",
    [
        {"size": 0},
        {"size": 63},
        {"size": 64 + 3 * 24},
        {"size": 64 + 3 * 24 + 16 - 8},
        {"size": 64 + 3 * 24 + 16 + 8},
        {"size": (1 << 32) - 1},
        {"argument_count": 2},
        {"argument_count": 4},
        {"argument_count": 17},
        {"argument_count": 255},
        {"match_count": 0},
        {"match_count": 2},
        {"match_count": 65},
        {"match_count": 65535},
    ],
)
def test_wrong_counts_are_refused(changes, is_learned):
    """Sizes and counts that do not fit together, also of a form that is known."""
    if is_learned:
        decode_hook(hook_record(THREE), 0)
    data = hook_record(THREE, **changes) + bytes(64)
    with pytest.raises(DecodeError):
        decode_hook(data, 0)


@pytest.mark.parametrize("is_learned", [False, True])
@pytest.mark.parametrize("arguments", [THREE, (path_argument(),)])
def test_cut_records_are_refused(arguments, is_learned):
    """A batch that ends within the record, wherever."""
    data = hook_record(arguments)
    if is_learned:
        decode_hook(data, 0)
    for length in range(len(data)):
        with pytest.raises(DecodeError):
            decode_hook(data[:length], 0)


def test_most_of_everything():
    """64 policies and 16 arguments are one record; one more of either is none."""
    arguments = [number(c.ARGUMENT_UINT8, slot, slot) for slot in range(16)]
    matches = [match_bytes(policy) for policy in range(64)]
    event = decode_hook(hook_record(arguments, matches), 0)

    assert [match.policy for match in event.matches] == list(range(64))
    assert event.values == tuple(range(16))
    for more in (
        hook_record(arguments * 2, matches),
        hook_record(arguments, [*matches, matches[0]]),
    ):
        with pytest.raises(DecodeError):
            decode_hook(more, 0)


def test_what_is_learned_is_bounded(monkeypatch):
    """Ever other forms do not fill the memory."""
    monkeypatch.setattr(hook, "_LAYOUTS_MAX", 10)
    for number_of_hook in range(100):
        decode_hook(hook_record(THREE, hook=number_of_hook), 0)

        assert 0 < len(hook._layouts) <= 10


@given(st.binary(max_size=300), st.integers(0, 40))
def test_random_bytes(data, offset):
    """An event, or a DecodeError and nothing else."""
    with contextlib.suppress(DecodeError):
        decode_hook(data, offset)


@given(
    st.sampled_from(
        [
            hook_record(THREE),
            hook_record([path_argument(), THREE[0]], [match_bytes()] * 3),
            hook_record([argument(c.ARGUMENT_STRING, b"abc"), *THREE]),
        ]
    ),
    st.dictionaries(st.integers(0, 250), st.integers(0, 255), max_size=4),
)
def test_damaged_records(data, damage):
    """Any byte may be wrong: the event has what it says, or there is none."""
    raw = bytearray(data)
    for at, byte in damage.items():
        raw[at % len(raw)] = byte
    with contextlib.suppress(DecodeError):
        event = decode_hook(bytes(raw), 0)

        assert len(event.heads) == len(event.values) == raw[54]
        assert len(event.matches) == int.from_bytes(raw[52:54], "little")
