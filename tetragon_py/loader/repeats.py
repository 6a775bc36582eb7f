# SPDX-License-Identifier: Apache-2.0
"""Reads the map "repeats": enforced hits that are counted instead of told.

The kernel side makes an entry for each process and policy-on-hook at the first hit, and
never removes one: whoever reads them does.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from tetragon_py.abi import _generated as c

if TYPE_CHECKING:
    from tetragon_py.libbpf import Map

__all__ = ["Repeat", "RepeatTable"]

_KEY = Struct(c.REPEAT_KEY_FORMAT)
_VALUE = Struct(c.REPEAT_FORMAT)


class Repeat(NamedTuple):
    """struct repeat_key and struct repeat; from `selector` on of the last hit."""

    tgid: int
    policy: int
    window_ns: int
    last_ns: int
    start_boottime_ns: int
    told: int
    counted: int
    hook: int
    selector: int
    actions: int
    done: int
    mechanism: int
    error: int


class RepeatTable:
    """The entries of the map."""

    def __init__(self, repeats: Map) -> None:
        self._map = repeats

    def read(self) -> list[Repeat]:
        """All entries."""
        return [_entry(key, value) for key, value in self._map.items()]

    def take(self, entry: Repeat) -> Repeat | None:
        """Remove an entry; what it was in the end.

        To be used on entries that are idle for more than REPEATS_WINDOW_NS, or whose
        process has ended. Such an entry counts nothing before REPEATS_TOLD more hits,
        so no count is lost unless these all come while it is removed: since Linux 5.14
        by a program that has found the entry before, on older kernels between the read
        and the removal.
        """
        key = _KEY.pack(entry.tgid, entry.policy)
        value = self._map.take(key)
        return None if value is None else _entry(key, value)


def _entry(key: bytes, value: bytes) -> Repeat:
    return Repeat(*_KEY.unpack(key), *_VALUE.unpack(value))
