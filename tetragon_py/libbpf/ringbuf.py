# SPDX-License-Identifier: Apache-2.0
"""The consumer of a BPF ring buffer: read a batch, deal with it, then free its room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from tetragon_py.errors import KernelError
from tetragon_py.libbpf._libbpf import ffi, lib

if TYPE_CHECKING:
    from tetragon_py.libbpf.maps import Map, PinnedMap

__all__ = ["Batch", "RingBuffer"]

#: Records per batch, and bytes: more than the longest record.
INDEX_RECORDS = 2048
BUFFER_BYTES = 1 << 20


@dataclass(slots=True)
class Batch:
    """Records copied out of a ring, valid until the next `peek`.

    `index` has two native u32 per record: its offset in `data`, its type.
    """

    data: memoryview
    index: memoryview
    count: int
    bytes: int
    gaps: int  # sequence numbers missing between these records
    damaged: int  # records that could not be read: not in `data`
    position: int  # for `commit`


#: Past all that a ring will ever hold.
_NO_END = (1 << 64) - 1


class RingBuffer:
    """One ring, mapped. A context manager; for one thread.

    `peek` moves only this reader; the kernel reuses room after `commit`. What is not
    committed is there again for the next reader of the same map.
    """

    def __init__(self, ring_map: Map | PinnedMap) -> None:
        self.name = ring_map.name
        self.size_bytes = ring_map.max_entries
        self.fd = ring_map.fd
        error = ffi.new("int *")
        ring = lib.tpy_ring_open(self.fd, self.size_bytes, error)
        if ring == ffi.NULL:
            raise KernelError(f"map ring buffer {self.name}", error[0])
        self._ring: object | None = ring
        #: Everything before this value of `produced` is free. Kept here: each call into
        #: C lets another thread take the interpreter.
        self.committed: int = lib.tpy_ring_committed(ring)
        self._data = bytearray(BUFFER_BYTES)
        self._index = bytearray(INDEX_RECORDS * 8)
        self._c_data = ffi.from_buffer("char[]", self._data)
        self._c_index = ffi.from_buffer("__u32[]", self._index)
        self._batch = ffi.new("struct tpy_batch *")
        self._view = memoryview(self._data)
        self._index_view = memoryview(self._index)

    def peek(self, end: int = _NO_END) -> Batch | None:
        """Copy out the next complete records before `end`; None if there are none.

        Args:
            end: A value of `produced`: what the kernel has put in since is left alone.
        """
        batch = self._batch
        lib.tpy_ring_peek(
            self._ring,
            end,
            self._c_data,
            BUFFER_BYTES,
            self._c_index,
            INDEX_RECORDS,
            batch,
        )
        if not batch.count and not batch.damaged:
            return None
        return Batch(
            self._view[: batch.bytes],
            self._index_view[: batch.count * 8],
            batch.count,
            batch.bytes,
            batch.gaps,
            batch.damaged,
            batch.position,
        )

    def commit(self, position: int) -> None:
        """Free everything before `position` of a batch."""
        lib.tpy_ring_commit(self._ring, position)
        self.committed = position

    @property
    def produced(self) -> int:
        """Bytes that the kernel has put in since the ring was made."""
        return lib.tpy_ring_produced(self._ring)

    @property
    def used_bytes(self) -> int:
        """Bytes that are not committed."""
        return lib.tpy_ring_produced(self._ring) - self.committed

    def close(self) -> None:
        """Unmap; twice does nothing."""
        if self._ring is not None:
            lib.tpy_ring_close(self._ring)
            self._ring = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
