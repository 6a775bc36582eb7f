# SPDX-License-Identifier: Apache-2.0
"""The processes that the agent knows, in a file that outlives it.

A snapshot of the process cache, then the records of the lifecycle lane since, each
batch with its position in the ring. What the ring has not been told to free
(`committed`) is there again for the next agent: only what is before that counts here.
"""

from __future__ import annotations

import os
import pickle
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

import structlog

from tetragon_py.abi import _generated as c
from tetragon_py.decode.process import decode_exec, decode_exit, decode_fork

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tetragon_py.enrich.process_cache import ProcessCache

__all__ = ["Journal", "read_journal"]

log = structlog.get_logger("journal")

#: Bytes of records after which a snapshot is taken again.
_RECORDS_BYTES = 32 << 20
_HEAD = Struct("<QQ")  # position in the ring, bytes that follow
_HEADER = Struct(c.EVENT_HEADER_FORMAT)


class _Part(NamedTuple):
    position: int
    data: bytes


class Journal:
    """Written by the agent. For one thread.

    Args:
        path: Its folder must exist.
        cache: Whose content it is.
    """

    def __init__(self, path: Path, cache: ProcessCache) -> None:
        self._path = path
        self._cache = cache
        self._fd = -1
        self._bytes = 0

    def begin(self, position: int) -> None:
        """Begin again with a snapshot.

        Args:
            position: Up to where the records are in the cache: committed.
        """
        data = pickle.dumps(self._cache.save(), pickle.HIGHEST_PROTOCOL)
        new = self._path.with_suffix(".new")
        fd = os.open(
            new,
            os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC,
            0o600,
        )
        _write(fd, _HEAD.pack(position, len(data)) + data)
        new.rename(self._path)
        self.close()
        self._fd, self._bytes = fd, 0

    def append(self, position: int, records: bytes | memoryview) -> None:
        """Add a batch, before it is committed.

        A journal that cannot be written ends: the next agent takes over instead.
        """
        if self._fd >= 0:
            try:
                _write(self._fd, _HEAD.pack(position, len(records)) + bytes(records))
            except OSError as error:
                self._give_up(error)
            self._bytes += len(records)

    def shorten(self, position: int) -> None:
        """Take a snapshot again if it is time; all up to `position` is committed."""
        if self._fd >= 0 and self._bytes > _RECORDS_BYTES:
            try:
                self.begin(position)
            except OSError as error:
                self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        log.error("journal ends", error=str(error))
        self.close()
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Leave the file as it is; twice does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def read_journal(path: Path, cache: ProcessCache, committed: int) -> bool:
    """Have a cache know what the agent knew that wrote the file.

    Args:
        path: The file.
        cache: An empty one.
        committed: Where the ring's next reader begins.

    Returns:
        False if it cannot be read: then the cache is as it was.
    """
    try:
        parts = _parts(path.read_bytes())
        saved = pickle.loads(next(parts).data)  # noqa: S301 - root's own, see saved_state
        cache.restore(saved)
    except Exception:  # noqa: BLE001 - whatever is wrong with it, it cannot be used
        return False
    for part in parts:
        if part.position <= committed:
            _feed(cache, part.data)
    return True


def _feed(cache: ProcessCache, records: bytes) -> None:
    at = 0
    while at < len(records):
        size, kind = _HEADER.unpack_from(records, at)[:2]
        if kind == c.EVENT_FORK:
            cache.fork(decode_fork(records, at))
        elif kind == c.EVENT_EXEC:
            cache.exec(decode_exec(records, at))
        elif kind == c.EVENT_EXIT:
            cache.exit(decode_exit(records, at))
        at += size
    cache.sweep()


def _parts(data: bytes) -> Iterator[_Part]:
    """Whole ones: who was killed while writing has not committed the last."""
    at = 0
    while at + _HEAD.size <= len(data):
        position, size = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        if at + size > len(data):
            return
        yield _Part(position, data[at : at + size])
        at += size


def _write(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]
