# SPDX-License-Identifier: Apache-2.0
"""BPF instructions as bytes: a handful, enough for the programs of the probes.

Numbers in, 8 bytes per instruction out (16 for the loads of a descriptor). R0 is the
result, R1 to R5 are arguments, R10 is the frame; the names are the kernel's
(Documentation/bpf/standardization/instruction-set.rst).
"""

from __future__ import annotations

import struct
import sys

__all__ = [
    "add_memory",
    "add_number",
    "call",
    "copy",
    "exit_program",
    "load",
    "load_map",
    "load_map_value",
    "result",
    "set_number",
    "store_number",
]

_PSEUDO_MAP_FD = 1
_PSEUDO_MAP_VALUE = 2


def _instruction(
    code: int, to: int = 0, source: int = 0, offset: int = 0, number: int = 0
) -> bytes:
    # struct bpf_insn has the registers in bit-fields
    registers = to | source << 4 if sys.byteorder == "little" else to << 4 | source
    return struct.pack("=BBhi", code, registers, offset, number)


def set_number(to: int, number: int) -> bytes:
    """`to = number`."""
    return _instruction(0xB7, to, number=number)


def copy(to: int, source: int) -> bytes:
    """`to = source`."""
    return _instruction(0xBF, to, source)


def add_number(to: int, number: int) -> bytes:
    """`to += number`."""
    return _instruction(0x07, to, number=number)


def load(to: int, source: int, offset: int) -> bytes:
    """`to = *(u64 *)(source + offset)`."""
    return _instruction(0x79, to, source, offset)


def store_number(to: int, offset: int, number: int) -> bytes:
    """`*(u64 *)(to + offset) = number`."""
    return _instruction(0x7A, to, offset=offset, number=number)


def add_memory(to: int, source: int) -> bytes:
    """`*(u64 *)to += source`, atomically."""
    return _instruction(0xDB, to, source)


def load_map(to: int, map_fd: int) -> bytes:
    """`to = map`."""
    return _instruction(0x18, to, _PSEUDO_MAP_FD, number=map_fd) + bytes(8)


def load_map_value(to: int, map_fd: int) -> bytes:
    """`to =` the address of an array map's first value."""
    return _instruction(0x18, to, _PSEUDO_MAP_VALUE, number=map_fd) + bytes(8)


def call(helper: int) -> bytes:
    """`r0 = helper(r1, r2, r3, r4, r5)`: the number in enum bpf_func_id."""
    return _instruction(0x85, number=helper)


def exit_program() -> bytes:
    """`return r0`."""
    return _instruction(0x95)


def result(number: int) -> bytes:
    """`return number`."""
    return set_number(0, number) + exit_program()
