# SPDX-License-Identifier: Apache-2.0
"""A BPF program of an object, and a link: a program attached to its hook."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple, Self

from tetragon_py.errors import KernelError
from tetragon_py.libbpf._libbpf import ffi, lib
from tetragon_py.libbpf.messages import load_error

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Link", "PinnedProgram", "Program", "ProgramInfo", "wait_for_programs"]


class ProgramInfo(NamedTuple):
    """The kernel's counters of one program (bpf_prog_info).

    Run time and count only grow while statistics are on (kernel.bpf_stats_enabled);
    misses and instructions are 0 on kernels before 5.12 and 5.16.
    """

    run_time_ns: int
    run_count: int
    recursion_misses: int
    verified_instructions: int
    id: int
    tag: int


_OBJ_GET_INFO_BY_FD = 15
_GET_INFO = Struct("=IIQ")  # descriptor, bytes, address
#: struct bpf_link_info: the type of the link, that of the perf event, kprobe.missed.
_LINK_INFO = Struct("=I12xI28xQ8x")
_LINK_INFO_BYTES = _LINK_INFO.size
_LINK_PERF_EVENT = 7
_KPROBES = (3, 4)  # enum bpf_perf_event_type: kprobe, kretprobe


def wait_for_programs() -> None:
    """Return when no program still runs that ran before (an RCU grace period)."""
    result = lib.tpy_wait_for_programs()
    if result < 0:
        raise KernelError("membarrier", -result)


class Link:
    """A program that is attached; `close` detaches it. A context manager."""

    def __init__(self, pointer: object) -> None:
        self._pointer: object | None = pointer
        self._pins: list[str] = []
        self._is_own = True

    @classmethod
    def open_pinned(cls, path: str) -> Self:
        """The link that is pinned at `path`; `close` removes the pin too."""
        pointer = lib.bpf_link__open(path.encode())
        if pointer == ffi.NULL:
            raise KernelError(f"open link {path}", ffi.errno)
        link = cls(pointer)
        link._pins.append(path)
        link._is_own = False
        return link

    @property
    def fd(self) -> int:
        """Its descriptor."""
        return lib.bpf_link__fd(self._pointer)

    def pin(self, path: str) -> None:
        """Have it outlive this process; `close` removes the pin.

        Kprobes and perf tracepoints are links, which can be pinned, since Linux commit
        b89fbfbb854c ("bpf: Implement minimal BPF perf link") (v5.15): EINVAL before.
        """
        _pin(self.fd, path)
        self._pins.append(path)

    def add_pin(self, path: str) -> None:
        """Remove this pin too, when it is closed."""
        self._pins.append(path)

    def read_iterator(self) -> bytes:
        """Run an iterator to its end: all that it wrote."""
        fd = lib.bpf_iter_create(lib.bpf_link__fd(self._pointer))
        if fd < 0:
            raise KernelError("bpf_iter_create", -fd)
        chunks = []
        try:
            while chunk := os.read(fd, 1 << 16):
                chunks.append(chunk)
        except OSError as error:
            raise KernelError("read iterator", error.errno or 0) from error
        finally:
            os.close(fd)
        return b"".join(chunks)

    def missed(self) -> int:
        """Hits of a kprobe or kretprobe that its program did not run for.

        0 before Linux 6.7, which does not tell: commit 3acf8ace6823 ("bpf: Add missed
        value to kprobe perf link info").
        """
        info = ffi.new("char[]", _LINK_INFO_BYTES)
        address = int(ffi.cast("uintptr_t", info))
        fd = lib.bpf_link__fd(self._pointer)
        wanted = ffi.from_buffer(
            "char[]", _GET_INFO.pack(fd, _LINK_INFO_BYTES, address)
        )
        if lib.tpy_bpf(_OBJ_GET_INFO_BY_FD, wanted, _GET_INFO.size) < 0:
            return 0
        kind, probe, missed = _LINK_INFO.unpack(ffi.buffer(info))
        is_probe = kind == _LINK_PERF_EVENT and probe in _KPROBES
        return missed if is_probe else 0

    def close(self) -> None:
        """Detach; twice does nothing."""
        if self._pointer is not None:
            while self._pins:
                with contextlib.suppress(FileNotFoundError):  # somebody was faster
                    Path(self._pins.pop()).unlink()
            lib.bpf_link__destroy(self._pointer)
            self._pointer = None

    def leave(self) -> None:
        """Let go of it; what is pinned stays attached.

        One that this process has made keeps its descriptor: libbpf would switch off
        the perf event under a kprobe.
        """
        self._pins.clear()
        if self._pointer is not None and not self._is_own:
            lib.bpf_link__destroy(self._pointer)
        self._pointer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Loaded:
    """What a program has in common, whoever holds it."""

    name: str
    fd: int

    def pin(self, path: str) -> None:
        """Have it outlive this process."""
        _pin(self.fd, path)

    def info(self) -> ProgramInfo:
        """What the kernel counts for it."""
        info = ffi.new("struct tpy_program_info *")
        result = lib.tpy_program_info(self.fd, info)
        if result < 0:
            raise KernelError(f"read info of program {self.name}", -result)
        return ProgramInfo(
            info.run_time_ns,
            info.run_count,
            info.recursion_misses,
            info.verified_instructions,
            info.id,
            info.tag,
        )


class PinnedProgram(_Loaded):
    """A program that an earlier process has loaded and pinned. A context manager."""

    def __init__(self, path: str, name: str) -> None:
        fd = lib.bpf_obj_get(path.encode())
        if fd < 0:
            raise KernelError(f"open program {path}", -fd)
        self.fd = fd
        self.name = name

    def attach(self, path: str) -> Link:
        """Attach it to its BTF tracepoint, pinned at `path`."""
        fd = lib.bpf_raw_tracepoint_open(ffi.NULL, self.fd)
        if fd < 0:
            raise KernelError(f"attach {self.name}", -fd)
        try:
            _pin(fd, path)
        finally:
            os.close(fd)
        return Link.open_pinned(path)

    def close(self) -> None:
        """Let go of it; twice does nothing."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Program(_Loaded):
    """A program of a `BpfObject`.

    Attributes:
        on_attach: Told of each link that is made.
    """

    def __init__(self, pointer: object) -> None:
        self._pointer = pointer
        self.on_attach: Callable[[Program, Link], None] | None = None
        self.name = ffi.string(lib.bpf_program__name(pointer)).decode()
        self.section = ffi.string(lib.bpf_program__section_name(pointer)).decode()

    @property
    def fd(self) -> int:  # type: ignore[override]  # known after load
        """The descriptor; negative before the object is loaded."""
        return lib.bpf_program__fd(self._pointer)

    @property
    def autoload(self) -> bool:
        """Whether `BpfObject.load` loads it."""
        return lib.bpf_program__autoload(self._pointer)

    @autoload.setter
    def autoload(self, value: bool) -> None:
        result = lib.bpf_program__set_autoload(self._pointer, value)
        if result < 0:
            raise KernelError(f"set autoload of {self.name}", -result)

    def set_target(self, function: str) -> None:
        """Name the kernel function or LSM hook of a tracing program, before load."""
        result = lib.bpf_program__set_attach_target(self._pointer, 0, function.encode())
        if result < 0:
            raise load_error(f"find {function} for {self.name}", -result)

    def attach(self) -> Link:
        """Attach to the hook that the section names."""
        return self._link(lib.bpf_program__attach(self._pointer), self.section)

    def attach_kprobe(self, function: str, *, at_return: bool) -> Link:
        """Attach to the entry or the return of a kernel function."""
        pointer = lib.bpf_program__attach_kprobe(
            self._pointer, at_return, function.encode()
        )
        return self._link(pointer, function)

    def attach_tracepoint(self, subsystem: str, event: str) -> Link:
        """Attach to a perf tracepoint; needs tracefs."""
        pointer = lib.bpf_program__attach_tracepoint(
            self._pointer, subsystem.encode(), event.encode()
        )
        return self._link(pointer, f"{subsystem}/{event}")

    def attach_raw_tracepoint(self, name: str) -> Link:
        """Attach to a raw tracepoint."""
        pointer = lib.bpf_program__attach_raw_tracepoint(self._pointer, name.encode())
        return self._link(pointer, name)

    def _link(self, pointer: object, hook: str) -> Link:
        if pointer == ffi.NULL:
            raise load_error(f"attach {self.name} to {hook}", ffi.errno)
        link = Link(pointer)
        if self.on_attach is not None:
            try:
                self.on_attach(self, link)
            except BaseException:
                link.close()
                raise
        return link


def _pin(fd: int, path: str) -> None:
    result = lib.bpf_obj_pin(fd, path.encode())
    if result < 0:
        raise KernelError(f"pin {path}", -result)
