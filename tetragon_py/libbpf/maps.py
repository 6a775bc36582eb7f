# SPDX-License-Identifier: Apache-2.0
"""A BPF map: keys and values as bytes, one system call per method (batches: few).

Values of per-CPU maps are all CPUs' values one after the other, each rounded up to 8
bytes (`percpu_values` takes them apart).
"""

from __future__ import annotations

import errno
import os
from struct import Struct
from typing import TYPE_CHECKING, Self

from tetragon_py.errors import KernelError
from tetragon_py.libbpf._libbpf import ffi, lib

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ANY", "NOEXIST", "Map", "PinnedMap", "can_create", "possible_cpus"]

ANY = 0  # BPF_ANY
NOEXIST = 1  # BPF_NOEXIST
#: enum bpf_map_type: PERCPU_HASH, PERCPU_ARRAY, LRU_PERCPU_HASH
_PERCPU_TYPES = frozenset({5, 6, 10})
#: The kernel's own: this type of map has no such operation.
_ENOTSUPP = 524
#: Entries per BPF_MAP_LOOKUP_BATCH call.
_BATCH = 4096


def possible_cpus() -> int:
    """How many values a per-CPU map has: CPUs that this kernel may ever bring up."""
    count = lib.libbpf_num_possible_cpus()
    if count < 0:
        raise KernelError("libbpf_num_possible_cpus", -count)
    return count


def can_create(kind: int, key_size: int, value_size: int) -> bool:
    """Whether this kernel has maps of this type (enum bpf_map_type) and sizes."""
    fd = lib.tpy_map_create(kind, key_size, value_size, 1)
    if fd < 0:
        return False
    os.close(fd)
    return True


#: struct bpf_map_info: type, id, sizes of key and value, entries, flags, name.
_MAP_INFO = Struct("=IIIIII16s")
_OBJ_GET_INFO_BY_FD = 15
_GET_INFO = Struct("=IIQ")  # descriptor, bytes, address


class Map:
    """A map of a loaded `BpfObject`, which owns its descriptor."""

    def __init__(self, pointer: object) -> None:
        self._pointer = pointer
        self.name = ffi.string(lib.bpf_map__name(pointer)).decode()
        self.key_size = lib.bpf_map__key_size(pointer)
        self.type = lib.tpy_map_type(pointer)

    @property
    def fd(self) -> int:
        """The descriptor; -1 before the object is loaded."""
        return lib.bpf_map__fd(self._pointer)

    @property
    def max_entries(self) -> int:
        """Capacity in entries; bytes for a ring buffer."""
        return lib.bpf_map__max_entries(self._pointer)

    @property
    def value_size(self) -> int:
        """Bytes of one value as user space sees it."""
        return self._whole(lib.bpf_map__value_size(self._pointer))

    def set_max_entries(self, count: int) -> None:
        """Change the capacity before the object is loaded."""
        self._check(
            lib.bpf_map__set_max_entries(self._pointer, count), "set_max_entries"
        )

    def set_value_size(self, size: int) -> None:
        """Change the size of a value before the object is loaded."""
        self._check(lib.bpf_map__set_value_size(self._pointer, size), "set_value_size")

    def reuse(self, other: Map) -> None:
        """Be the same map as `other`, of another object that is loaded."""
        self._check(lib.bpf_map__reuse_fd(self._pointer, other.fd), "reuse_fd")

    def set_pin(self, path: str) -> None:
        """Be the map that is pinned at `path`, or be pinned there, at load.

        A map that is there and differs in type or sizes makes the load fail (EINVAL).
        """
        result = lib.bpf_map__set_pin_path(self._pointer, path.encode())
        self._check(result, "set_pin_path")

    def lookup(self, key: bytes) -> bytes | None:
        """The value of `key`, or None if there is none."""
        value = bytearray(self.value_size)
        result = lib.bpf_map_lookup_elem(
            self.fd, self._key(key), ffi.from_buffer("char[]", value)
        )
        if result == -errno.ENOENT:
            return None
        self._check(result, "lookup_elem")
        return bytes(value)

    def update(self, key: bytes, value: bytes, flags: int = ANY) -> None:
        """Write one entry; `flags` NOEXIST: only if there is none yet."""
        if len(value) != self.value_size:
            raise KernelError(f"update {self.name}", errno.EINVAL, "size of the value")
        pointer = ffi.from_buffer("char[]", value)
        self._check(
            lib.bpf_map_update_elem(self.fd, self._key(key), pointer, flags),
            "update_elem",
        )

    def update_many(self, keys: bytes, values: bytes) -> None:
        """Write entries that lie one behind the other, all or up to the error.

        One system call where the kernel has batches for this type of map (not for LPM
        tries before 5.13), else one for each.
        """
        count = len(keys) // self.key_size
        if count * self.key_size != len(keys) or count * self.value_size != len(values):
            raise KernelError(f"update {self.name}", errno.EINVAL, "sizes of entries")
        if not count:
            return
        written = ffi.new("__u32 *", count)
        result = lib.tpy_map_update_batch(
            self.fd,
            ffi.from_buffer("char[]", keys),
            ffi.from_buffer("char[]", values),
            written,
        )
        if result != -_ENOTSUPP:
            self._check(result, "update_batch")
            return
        step, size = self.key_size, self.value_size
        for i in range(count):
            self.update(
                keys[i * step : (i + 1) * step], values[i * size : (i + 1) * size]
            )

    def skip(self) -> None:
        """Do not create it with its object: no program that is loaded uses it."""
        self._check(lib.bpf_map__set_autocreate(self._pointer, False), "set_autocreate")

    def delete(self, key: bytes) -> bool:
        """Remove one entry; False if there was none."""
        result = lib.bpf_map_delete_elem(self.fd, self._key(key))
        if result == -errno.ENOENT:
            return False
        self._check(result, "delete_elem")
        return True

    def take(self, key: bytes) -> bytes | None:
        """Remove one entry and return its value, or None if there is none.

        In one step since Linux commit 3e87f192b405 ("bpf: Add lookup_and_delete_elem
        support to hashtab") (v5.14); before that what is written between both is lost.
        """
        value = bytearray(self.value_size)
        result = lib.bpf_map_lookup_and_delete_elem(
            self.fd, self._key(key), ffi.from_buffer("char[]", value)
        )
        if result == -errno.ENOENT:
            return None
        if result == -_ENOTSUPP:
            found = self.lookup(key)
            return found if self.delete(key) else None
        self._check(result, "lookup_and_delete_elem")
        return bytes(value)

    def keys(self) -> Iterator[bytes]:
        """Each key once if nobody writes meanwhile."""
        current = ffi.NULL
        while True:
            following = bytearray(self.key_size)
            result = lib.bpf_map_get_next_key(
                self.fd, current, ffi.from_buffer("char[]", following)
            )
            if result == -errno.ENOENT:
                return
            self._check(result, "get_next_key")
            yield bytes(following)
            current = ffi.from_buffer("char[]", following)

    def items(self) -> list[tuple[bytes, bytes]]:
        """All entries, by batches (hash and array maps, since Linux 5.6)."""
        key_size, value_size = self.key_size, self.value_size
        keys, values = bytearray(_BATCH * key_size), bytearray(_BATCH * value_size)
        count = ffi.new("__u32 *")
        # the cursor is a hash bucket or a key, whichever is larger
        cursor = ffi.new("char[]", max(4, key_size))
        found: list[tuple[bytes, bytes]] = []
        first, result = True, 0
        while result != -errno.ENOENT:
            count[0] = _BATCH
            result = lib.tpy_map_lookup_batch(
                self.fd,
                ffi.NULL if first else cursor,
                cursor,
                ffi.from_buffer("char[]", keys),
                ffi.from_buffer("char[]", values),
                count,
            )
            if result != -errno.ENOENT:
                self._check(result, "lookup_batch")
            found += [
                (
                    bytes(keys[i * key_size : (i + 1) * key_size]),
                    bytes(values[i * value_size : (i + 1) * value_size]),
                )
                for i in range(count[0])
            ]
            first = False
        return found

    def percpu_values(self, key: bytes) -> list[bytes]:
        """One value per possible CPU of a per-CPU map; empty without such a key."""
        value = self.lookup(key) or b""
        step = self.value_size // possible_cpus()
        return [value[i : i + step] for i in range(0, len(value), step)]

    def _whole(self, size: int) -> int:
        if self.type in _PERCPU_TYPES:
            return (size + 7) // 8 * 8 * possible_cpus()
        return size

    def _key(self, key: bytes) -> object:
        if len(key) != self.key_size:
            raise KernelError(f"map {self.name}", errno.EINVAL, "size of the key")
        return ffi.from_buffer("char[]", key)

    def _check(self, result: int, operation: str) -> None:
        if result < 0:
            raise KernelError(f"{operation} of map {self.name}", -result)


class PinnedMap(Map):
    """The map that is pinned at `path`. A context manager.

    Raises:
        KernelError: there is none.
    """

    def __init__(self, path: str) -> None:
        self._fd = lib.bpf_obj_get(path.encode())
        if self._fd < 0:
            raise KernelError(f"open map {path}", -self._fd)
        info = ffi.new("char[]", _MAP_INFO.size)
        address = int(ffi.cast("uintptr_t", info))
        wanted = _GET_INFO.pack(self._fd, _MAP_INFO.size, address)
        result = lib.tpy_bpf(
            _OBJ_GET_INFO_BY_FD, ffi.from_buffer("char[]", wanted), len(wanted)
        )
        self.name = path.rpartition("/")[2]
        self._check(result, "info")
        found: list[int] = list(_MAP_INFO.unpack(ffi.buffer(info, _MAP_INFO.size))[:5])
        self.type, self.id, self.key_size, self._value_size, self._entries = found

    @property
    def fd(self) -> int:
        """The descriptor."""
        return self._fd

    @property
    def max_entries(self) -> int:
        """Capacity in entries; bytes for a ring buffer."""
        return self._entries

    @property
    def value_size(self) -> int:
        """Bytes of one value as user space sees it."""
        return self._whole(self._value_size)

    def close(self) -> None:
        """Let go of it; twice does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
