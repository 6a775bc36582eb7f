# SPDX-License-Identifier: Apache-2.0
"""A compiled BPF object: open -> configure -> load -> attach -> close."""

from __future__ import annotations

import errno
from typing import Self

from tetragon_py.errors import KernelError
from tetragon_py.libbpf._libbpf import ffi, lib
from tetragon_py.libbpf.maps import Map
from tetragon_py.libbpf.messages import flush_messages, load_error
from tetragon_py.libbpf.programs import Program

__all__ = ["BpfObject"]


class BpfObject:
    """One .bpf.o, from its bytes. Closing unloads what is neither attached nor shared.

    A context manager. Not safe for several threads.
    """

    def __init__(self, image: bytes, name: str) -> None:
        self.name = name
        self._image = image  # libbpf reads from it until load
        buffer = ffi.from_buffer("char[]", image)
        pointer = lib.tpy_object_open(buffer, len(image), name.encode())
        if pointer == ffi.NULL:
            raise load_error(f"open object {name}", ffi.errno)
        flush_messages()
        self._pointer: object | None = pointer
        self.maps = {found.name: found for found in self._maps()}
        self.programs = {found.name: found for found in self._programs()}

    def set_constant(self, name: str, value: int) -> None:
        """Give a `const volatile` integer of the program its value, before load."""
        offset, size = ffi.new("__u32 *"), ffi.new("__u32 *")
        result = lib.tpy_object_variable(
            self._pointer, b".rodata", name.encode(), offset, size
        )
        if result < 0:
            raise KernelError(f"find constant {name} in {self.name}", -result)
        section = self._map_pointer(".rodata")
        total = ffi.new("size_t *")
        memory = lib.bpf_map__initial_value(section, total)
        data = value.to_bytes(size[0], "little")
        ffi.buffer(memory, total[0])[offset[0] : offset[0] + size[0]] = data

    def load(self) -> None:
        """Create the maps and have the kernel verify the programs.

        Raises:
            VerifierError: a program was rejected.
            KernelError: anything else, with libbpf's own words.
        """
        result = lib.bpf_object__load(self._pointer)
        if result < 0:
            raise load_error(f"load object {self.name}", -result)
        flush_messages()

    def close(self) -> None:
        """Give back maps and programs; twice does nothing."""
        if self._pointer is not None:
            lib.bpf_object__close(self._pointer)
            self._pointer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _map_pointer(self, suffix: str) -> object:
        # libbpf puts the start of the object's name before the names of data sections
        pointer = ffi.NULL
        while (pointer := lib.bpf_object__next_map(self._pointer, pointer)) != ffi.NULL:
            if ffi.string(lib.bpf_map__name(pointer)).decode().endswith(suffix):
                return pointer
        raise KernelError(f"find map {suffix} in {self.name}", errno.ENOENT)

    def _maps(self) -> list[Map]:
        found, pointer = [], ffi.NULL
        while (pointer := lib.bpf_object__next_map(self._pointer, pointer)) != ffi.NULL:
            found.append(Map(pointer))
        return found

    def _programs(self) -> list[Program]:
        found, pointer = [], ffi.NULL
        while (
            pointer := lib.bpf_object__next_program(self._pointer, pointer)
        ) != ffi.NULL:
            found.append(Program(pointer))
        return found
