# SPDX-License-Identifier: Apache-2.0
"""Runs the capture stage on raw values of the test's choice and reads its record."""

from __future__ import annotations

import ctypes
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from tetragon_py.abi import _generated as c
from tetragon_py.libbpf.maps import possible_cpus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tetragon_py.libbpf import BpfObject

__all__ = [
    "BAD_ADDRESS",
    "Argument",
    "Capture",
    "Captured",
    "Known",
    "address_of",
    "argument",
    "load_capture",
]

#: Below vm.mmap_min_addr: neither the kernel's nor a process's.
BAD_ADDRESS = 0x10
MEMORY_BYTES = 16384
_ROW = (0).to_bytes(4, "little")
_CONFIG_ROW = (1).to_bytes(4, "little")
_RECORD = struct.Struct(f"<4I{c.HOOK_ARGUMENTS_MAX}I{c.ARGUMENTS_BYTES_MAX}s")
_HEAD = struct.Struct(c.ARGUMENT_HEAD_FORMAT)


class Known(NamedTuple):
    """`struct known` of progs/capture.bpf.c."""

    memory: int
    task: int
    file: int
    file_private: int
    file_path: int
    file_dentry: int
    task_cred: int
    task_tgid: int
    cred_user_ns: int
    cred_cap_effective: int
    user_ns_parent: int
    filename_name: int
    kiocb_filp: int
    binprm_file: int
    net_device_name: int
    iter_type: int
    iter_offset: int
    iter_count: int
    iter_vectors: int
    iter_segments: int
    iter_buffer: int
    iter_ubuf: int
    iter_iovec: int
    iter_kvec: int
    iter_bvec: int
    socket_sk: int
    first_skb: int


class Argument(NamedTuple):
    """An argument_config and the steps of its "resolve"."""

    packed: bytes
    steps: tuple[tuple[int, int], ...]


class Captured(NamedTuple):
    """One argument of a record."""

    slot: int
    type: int
    flags: int
    depth: int
    length: int
    data: bytes

    @property
    def number(self) -> int:
        """Of a numeric type: as it was sent, without a sign."""
        assert self.length == 8
        return int.from_bytes(self.data, "little")

    def unpack(self, name: str) -> tuple[dict[str, Any], bytes]:
        """The fields of the C struct that the data begin with, and what follows it."""
        layout = getattr(c, f"{name}_FORMAT")
        fields = getattr(c, f"{name}_FIELDS")
        values = struct.unpack_from(layout, self.data)
        return dict(zip(fields, values, strict=True)), self.data[
            struct.calcsize(layout) :
        ]


def argument(
    kind: int,
    form: int = c.FORM_PLAIN,
    *,
    source: int = c.FROM_REGISTER,
    index: int = 0,
    offset: int = 0,
    size: int = 0,
    size_register: int = 0,
    flags: int = 0,
    steps: Sequence[tuple[int, int]] = (),
) -> Argument:
    """An argument of a hook; steps are (offset, dereference)."""
    packed = struct.pack(
        c.ARGUMENT_CONFIG_FORMAT,
        *(kind, source, form, index, offset, size, size_register),
        *(len(steps), flags, 0),
    )
    return Argument(packed, tuple(steps))


def address_of(data: bytes | bytearray) -> tuple[int, object]:
    """An address of this process where the data are, while the second value lives."""
    kept = ctypes.create_string_buffer(bytes(data), len(data) or 1)
    return ctypes.addressof(kept), kept


@contextmanager
def load_capture(objects: Callable[[str], BpfObject]) -> Iterator[BpfObject]:
    """The object of progs/capture.bpf.c in the kernel."""
    with objects("capture") as bpf_object:
        bpf_object.maps["processes"].set_max_entries(1)
        bpf_object.maps["hits"].set_max_entries(possible_cpus())
        bpf_object.load()
        yield bpf_object


class Capture:
    """Captures arguments with it; its numbers are those of the last record."""

    def __init__(self, bpf_object: BpfObject, run: Callable[..., int]) -> None:
        self.object = bpf_object
        self._run = run
        self.flags = 0
        self.used = 0
        self.count = 0

    def look(self, descriptor: int = 0) -> Known:
        """Where things are, among them those of a descriptor."""
        assert self._run(self.object.programs["look"], descriptor) == 0
        row = self.object.maps["known"].lookup(_ROW)
        assert row
        return Known(*struct.unpack(f"<{len(Known._fields)}Q", row))

    def remember(self, *parts: tuple[int, bytes]) -> int:
        """Write (offset, bytes) to kernel memory that is 0 elsewhere: its address."""
        memory = bytearray(MEMORY_BYTES)
        for offset, data in parts:
            memory[offset : offset + len(data)] = data
        self.object.maps["memory"].update(_ROW, bytes(memory))
        return self.look().memory

    def configure(self, arguments: Sequence[Argument]) -> None:
        """Make the hook have these arguments."""
        first, packed = 0, b""
        for one in arguments:
            packed += one.packed[:-4] + first.to_bytes(4, "little")
            for step in one.steps:
                self.object.maps["steps"].update(
                    first.to_bytes(4, "little"), struct.pack("<II", *step)
                )
                first += 1
        config = struct.pack(
            c.HOOK_CONFIG_FORMAT, *(0,) * 5, len(arguments), *(0,) * 3, packed, b""
        )
        self.object.maps["hook_configs"].update(_CONFIG_ROW, config)

    def __call__(
        self,
        *arguments: Argument,
        raw: Sequence[int] = (),
        result: int = 0,
        context: int = 0,
        want: int = 0,
        unwanted: int = 0,
    ) -> list[Captured]:
        """Capture the arguments: all that are in the record."""
        self.configure(arguments)
        registers = [*raw, *[0] * (6 - len(raw))]
        numbers = [*registers, result, context, want, unwanted]
        program = self.object.programs["capture"]
        assert self._run(program, *(number & (2**64 - 1) for number in numbers)) == 0
        return self._read()

    def one(self, wanted: Argument, *raw: int, result: int = 0) -> Captured:
        """Capture a single argument."""
        (captured,) = self(wanted, raw=raw, result=result)
        return captured

    def _read(self) -> list[Captured]:
        row = self.object.maps["record"].lookup(_ROW)
        assert row
        self.used, self.flags, self.count, _, *at, data = _RECORD.unpack(row)
        found, begin = [], 0
        while begin < self.used:
            slot, kind, flags, depth, length = _HEAD.unpack_from(data, begin)
            begin += _HEAD.size
            assert at[slot] == begin
            at[slot] = 0
            payload = data[begin : begin + max(length, 0)]
            found.append(Captured(slot, kind, flags, depth, length, payload))
            if length >= 0:
                end = begin + length
                begin = (end + 8) & ~7
                assert data[end:begin] == bytes(begin - end)
        assert begin == self.used
        assert not any(at)
        assert len(found) == self.count
        return found
