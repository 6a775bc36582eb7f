# SPDX-License-Identifier: Apache-2.0
"""Tiny programs, tried: loaded, attached, run once and taken away again.

Everything that the probes get from the kernel is a context manager that closes its
descriptor, and with it undoes its effect. What fails leaves as `KernelError`, and what
works without effect as `AbsentError`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tetragon_py.errors import KernelError, TetragonError
from tetragon_py.libbpf import _insn as insn
from tetragon_py.libbpf._libbpf import ffi, lib
from tetragon_py.libbpf.btf import type_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

__all__ = [
    "AbsentError",
    "AttachType",
    "Hits",
    "ProgramType",
    "address",
    "attach_perf_event",
    "attach_tracing",
    "bpf_command",
    "btf_number",
    "link",
    "load_program",
    "mount_point",
    "owned",
    "perf_pmu",
    "verifier_says",
]

_BPF_F_SLEEPABLE = 1 << 4
_MAP_TYPE_ARRAY = 2
_PERF_EVENT_IOC_ENABLE = 0x2400
_PERF_EVENT_IOC_SET_BPF = 0x40042408
_LOG_BYTES = 1 << 16


class ProgramType(IntEnum):
    """Kinds of programs (enum bpf_prog_type)."""

    KPROBE = 2
    TRACEPOINT = 5
    CGROUP_SKB = 8
    RAW_TRACEPOINT = 17
    CGROUP_SOCK_ADDR = 18
    TRACING = 26
    LSM = 29
    SYSCALL = 31


class AttachType(IntEnum):
    """Ways to attach (enum bpf_attach_type)."""

    NONE = 0
    CGROUP_INET_EGRESS = 1
    CGROUP_INET4_CONNECT = 10
    RAW_TP = 23
    FENTRY = 24
    FEXIT = 25
    MODIFY_RETURN = 26
    LSM_MAC = 27
    ITER = 28
    KPROBE_MULTI = 42
    UPROBE_MULTI = 48
    KPROBE_SESSION = 56


class AbsentError(TetragonError):
    """Something is missing that no system call complained about; the text says what."""


@contextlib.contextmanager
def owned(operation: str, fd: int) -> Iterator[int]:
    """A descriptor that a C function returned, closed at the end."""
    if fd < 0:
        raise KernelError(operation, -fd)
    try:
        yield fd
    finally:
        os.close(fd)


def address(pointer: object) -> int:
    """The number of a pointer, for the attributes of a system call."""
    return int(ffi.cast("size_t", pointer))


def bpf_command(command: int, layout: str, *fields: object) -> int:
    """Call bpf(2) with the attributes `fields`, laid out as Python's struct does."""
    attributes = bytearray(struct.pack(f"={layout}", *fields))
    buffer = ffi.from_buffer("char[]", attributes)
    return lib.tpy_bpf(command, buffer, len(attributes))


def btf_number(name: str, kind: int) -> int:
    """The number of a kernel type that a program attaches to."""
    number = type_id(name, kind)
    if number is None:
        raise AbsentError(f"the kernel's BTF has no {name}")
    return number


def load_program(
    kind: ProgramType,
    code: bytes,
    *,
    attach_type: AttachType = AttachType.NONE,
    btf_id: int = 0,
    sleepable: bool = False,
) -> AbstractContextManager[int]:
    """Have a program verified; gives its descriptor."""
    flags = _BPF_F_SLEEPABLE if sleepable else 0
    buffer = ffi.from_buffer("char[]", code)
    fd = lib.tpy_program_load(
        kind, attach_type, btf_id, 0, buffer, len(code) // 8, flags, ffi.NULL, 0
    )
    return owned("load", fd)


def verifier_says(kind: ProgramType, code: bytes) -> str:
    """Load a program for what the verifier says; empty if it is content."""
    log = bytearray(_LOG_BYTES)
    buffer, out = ffi.from_buffer("char[]", code), ffi.from_buffer("char[]", log)
    count, no_hook = len(code) // 8, (0, 0, 0)
    fd = lib.tpy_program_load(kind, *no_hook, buffer, count, 0, out, len(log))
    if fd >= 0:
        os.close(fd)
        return ""
    text = log.split(b"\0", 1)[0].decode("ascii", "replace")
    if not text:
        raise KernelError("load", -fd)
    return text


class Hits:
    """A map that counts the runs of the program `code`. A context manager."""

    def __enter__(self) -> Self:
        self._map = owned("create map", lib.tpy_map_create(_MAP_TYPE_ARRAY, 4, 8, 1))
        self.fd = self._map.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._map.__exit__(None, None, None)

    def code(self, result: int = 0) -> bytes:
        """A program that adds one and returns `result`."""
        return (
            insn.load_map_value(1, self.fd)
            + insn.set_number(2, 1)
            + insn.add_memory(1, 2)
            + insn.result(result)
        )

    def expect(self, trigger: Callable[[], object], hint: str = "") -> str:
        """Trigger the program, which must run; says so."""
        trigger()
        value = ffi.new("__u64 *")
        error = lib.bpf_map_lookup_elem(self.fd, ffi.new("__u32 *"), value)
        if error < 0:
            raise KernelError("read map", -error)
        if not value[0]:
            raise AbsentError(f"attaches, but never runs{hint and ': '}{hint}")
        return "attached and ran"


def attach_tracing(
    program_fd: int, name: str | None = None
) -> AbstractContextManager[int]:
    """Attach to what the program was loaded for, or to the raw tracepoint `name`."""
    pointer = ffi.NULL if name is None else ffi.new("char[]", name.encode())
    return owned("attach", lib.bpf_raw_tracepoint_open(pointer, program_fd))


def link(
    program_fd: int, target_fd: int, attach_type: AttachType
) -> AbstractContextManager[int]:
    """Attach by a plain BPF link."""
    return owned("attach", lib.tpy_link_create(program_fd, target_fd, attach_type))


@contextlib.contextmanager
def attach_perf_event(
    program_fd: int,
    kind: int,
    config: int,
    *,
    name: str = "",
    offset: int = 0,
    pid: int = -1,
) -> Iterator[None]:
    """Attach to a perf event: a tracepoint, or a probe on the symbol or file `name`."""
    pointer = ffi.new("char[]", os.fsencode(name)) if name else ffi.NULL
    event = lib.tpy_perf_event(kind, config, pointer, offset, pid)
    with owned("perf_event_open", event):
        # not a link: those take perf events since Linux 5.15 only
        try:
            fcntl.ioctl(event, _PERF_EVENT_IOC_SET_BPF, program_fd)
            fcntl.ioctl(event, _PERF_EVENT_IOC_ENABLE, 0)
        except OSError as error:
            raise KernelError("attach", error.errno or 0) from error
        yield


def perf_pmu(name: str) -> int:
    """The number of the perf PMU `name` (kprobe, uprobe)."""
    path = Path(f"/sys/bus/event_source/devices/{name}/type")
    try:
        return int(path.read_text())
    except FileNotFoundError as error:
        raise AbsentError(
            f"no perf PMU {name}: the kernel is built without "
            f"CONFIG_{name.upper()}_EVENTS, or sysfs is not mounted"
        ) from error


def mount_point(kind: str) -> Path:
    """Where a file system of this kind is mounted: the first one."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        place, _, source = line.partition(" - ")
        if source.split(" ", 1)[0] == kind:
            # spaces and backslashes are octal: \040
            escaped = place.split(" ")[4].encode()
            return Path(os.fsdecode(escaped.decode("unicode_escape").encode("latin-1")))
    raise AbsentError(f"no {kind} file system is mounted")
