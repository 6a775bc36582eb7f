# SPDX-License-Identifier: Apache-2.0
"""Run time of BPF programs, by the kernel's own statistics.

The statistics cost run time themselves, so they are on only while a descriptor of
BPF_ENABLE_STATS (since Linux 5.8) is open: also a crash turns them off again.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tetragon_py.errors import KernelError
from tetragon_py.libbpf._libbpf import ffi, lib

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "RunTime",
    "count_programs_named",
    "programs_of",
    "run_times",
    "statistics_on",
]

# enum bpf_cmd
_PROG_GET_NEXT_ID = 11
_PROG_GET_FD_BY_ID = 13
_OBJ_GET_INFO_BY_FD = 15
_ENABLE_STATS = 32
# struct bpf_prog_info: name[16], run_time_ns and run_cnt
_INFO_BYTES = 208
_NAME_AT, _NAME_BYTES, _TIME_AT = 64, 16, 192


class RunTime(NamedTuple):
    """All runs of one program."""

    total_ns: int
    runs: int

    def since(self, before: RunTime) -> RunTime:
        """What came after `before`."""
        return RunTime(self.total_ns - before.total_ns, self.runs - before.runs)

    def mean_ns(self, count: int, foreign_ns: float) -> float:
        """Of `count` runs, where all others took `foreign_ns` each."""
        if self.runs < count:
            raise RuntimeError(f"{self.runs} runs of a program instead of {count}")
        return (self.total_ns - (self.runs - count) * foreign_ns) / count


@contextlib.contextmanager
def statistics_on() -> Iterator[None]:
    """The kernel counts run times meanwhile."""
    fd = _bpf(_ENABLE_STATS, struct.pack("=I", 0))  # BPF_STATS_RUN_TIME
    try:
        yield
    finally:
        os.close(fd)


def run_times(ids: Iterable[int]) -> dict[str, RunTime]:
    """By the programs' names."""
    return dict(map(_info, ids))


def programs_of(pid: int | str) -> set[int]:
    """The programs that a process, or "self", holds."""
    found = set()
    for path in Path(f"/proc/{pid}/fdinfo").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            match = re.search(r"^prog_id:\s+(\d+)", path.read_text(), re.MULTILINE)
            if match:
                found.add(int(match[1]))
    return found


def count_programs_named(name: str) -> int:
    """How many programs of this name the kernel has."""
    return sum(_info(program)[0] == name for program in _all_ids())


def _all_ids() -> Iterator[int]:
    current = 0
    while True:
        attributes = ffi.new("char[]", struct.pack("=III", current, 0, 0))
        if lib.tpy_bpf(_PROG_GET_NEXT_ID, attributes, 12) < 0:
            return
        current = struct.unpack("=III", ffi.buffer(attributes, 12))[1]
        yield current


def _info(program: int) -> tuple[str, RunTime]:
    try:
        fd = _bpf(_PROG_GET_FD_BY_ID, struct.pack("=III", program, 0, 0))
    except KernelError:  # gone since it was listed
        return "", RunTime(0, 0)
    out = ctypes.create_string_buffer(_INFO_BYTES)
    try:
        _bpf(
            _OBJ_GET_INFO_BY_FD,
            struct.pack("=IIQ", fd, _INFO_BYTES, ctypes.addressof(out)),
        )
    finally:
        os.close(fd)
    name = out.raw[_NAME_AT : _NAME_AT + _NAME_BYTES].rstrip(b"\0").decode()
    return name, RunTime(*struct.unpack_from("=QQ", out.raw, _TIME_AT))


def _bpf(command: int, attributes: bytes) -> int:
    memory = ffi.new("char[]", attributes)
    result: int = lib.tpy_bpf(command, memory, len(attributes))
    if result < 0:
        raise KernelError(f"bpf command {command}", -result)
    return result
