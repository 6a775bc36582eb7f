# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.loader.repeats: entries of the map, read and removed."""

from __future__ import annotations

from typing import Any

from tests.unit.records import repeat_record
from tetragon_py.abi import _generated as c
from tetragon_py.loader.repeats import Repeat, RepeatTable


class Table:
    """A map."""

    def __init__(self, *entries: tuple[bytes, bytes]) -> None:
        self.entries = dict(entries)

    def items(self) -> list[tuple[bytes, bytes]]:
        return list(self.entries.items())

    def take(self, key: bytes) -> bytes | None:
        return self.entries.pop(key, None)


def test_fields_are_those_of_the_structs():
    """A key and a value, one behind the other."""
    assert Repeat._fields == c.REPEAT_KEY_FIELDS + c.REPEAT_FIELDS


def test_entries_are_read():
    """All of them, whoever they are of."""
    table: Any = Table(
        repeat_record(42, 5, counted=7), repeat_record(43, 5, counted=1 << 63)
    )
    first, second = RepeatTable(table).read()

    assert (first.tgid, first.policy, first.counted) == (42, 5, 7)
    assert (second.tgid, second.counted) == (43, 1 << 63)


def test_entries_are_taken():
    """What was counted since the entry was read comes with it, once."""
    table: Any = Table(repeat_record(42, 5, counted=7), repeat_record(42, 6))
    repeats = RepeatTable(table)
    first, second = repeats.read()
    table.entries.update([repeat_record(42, 5, counted=9, error=-3)])

    assert repeats.take(first) == first._replace(counted=9, error=-3)
    assert repeats.take(first) is None
    assert repeats.read() == [second]
