# SPDX-License-Identifier: Apache-2.0
"""Probes of what every program needs: types, maps, iterators, test runs.

Each returns in words what it found, or raises.
"""

from __future__ import annotations

import errno
import mmap
import os
import resource

from tetragon_py.errors import KernelError
from tetragon_py.libbpf import _insn as insn
from tetragon_py.libbpf._attempt import (
    AbsentError,
    AttachType,
    Hits,
    ProgramType,
    bpf_command,
    btf_number,
    link,
    load_program,
    mount_point,
    owned,
)
from tetragon_py.libbpf._libbpf import ffi, lib
from tetragon_py.libbpf.btf import KIND_FUNC, has_kernel_btf

__all__ = [
    "batch_operations",
    "bpf_file_system",
    "kernel_btf",
    "memory_accounting",
    "ring_buffer",
    "run_without_hook",
    "statistics",
    "task_iterator",
]

_MAP_CREATE = 0
_MAP_TYPE_HASH = 1
_MAP_TYPE_ARRAY = 2
_MAP_TYPE_RINGBUF = 27


def kernel_btf() -> str:
    """Types of the kernel, without which no program can be relocated."""
    if not has_kernel_btf():
        raise AbsentError(
            "/sys/kernel/btf/vmlinux is missing: CONFIG_DEBUG_INFO_BTF is not set"
        )
    return "found"


def ring_buffer() -> str:
    """A ring buffer of one page."""
    fd = lib.tpy_map_create(_MAP_TYPE_RINGBUF, 0, 0, mmap.PAGESIZE)
    with owned("create map", fd):
        return "created"


def task_iterator() -> str:
    """Iterate over all tasks."""
    target = btf_number("bpf_iter_task", KIND_FUNC)
    with (
        Hits() as hits,
        load_program(
            ProgramType.TRACING, hits.code(), attach_type=AttachType.ITER, btf_id=target
        ) as program,
        link(program, 0, AttachType.ITER) as linked,
        owned("bpf_iter_create", lib.bpf_iter_create(linked)) as tasks,
    ):
        return hits.expect(lambda: os.read(tasks, 4096))


def batch_operations() -> str:
    """Read an empty hash map by batches."""
    with owned("create map", lib.tpy_map_create(_MAP_TYPE_HASH, 4, 4, 1)) as fd:
        entry, cursor = ffi.new("__u32 *"), ffi.new("__u64 *")
        count = ffi.new("__u32 *", 1)
        error = lib.tpy_map_lookup_batch(
            fd, ffi.NULL, cursor, entry, ffi.new("__u32 *"), count
        )
        # the end of the map
        if error < 0 and error != -errno.ENOENT:
            raise KernelError("look up batch", -error)
        return "looked up"


def memory_accounting() -> str:
    """Create a map while RLIMIT_MEMLOCK is 0, for a moment and this process only."""
    soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    # not libbpf's function, which may raise the limit first
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, hard))
    try:
        fd = bpf_command(_MAP_CREATE, "4I", _MAP_TYPE_ARRAY, 4, 8, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (soft, hard))
    if fd == -errno.EPERM:
        raise AbsentError(
            "EPERM: maps count against RLIMIT_MEMLOCK (which libbpf lifts by itself)"
        )
    with owned("create map", fd):
        return "maps do not need RLIMIT_MEMLOCK"


def bpf_file_system() -> str:
    """The place where maps and links outlive a process."""
    try:
        return f"mounted at {mount_point('bpf')}"
    except AbsentError as error:
        raise AbsentError(f"{error}: mount -t bpf bpf /sys/fs/bpf") from error


def statistics() -> str:
    """Switch run time statistics on, and off again."""
    with owned("bpf_enable_stats", lib.bpf_enable_stats(0)):
        return "switched on and off"


def run_without_hook(kind: ProgramType) -> str:
    """Run a program without any hook: its result must come back."""
    code = insn.result(7)
    with load_program(kind, code, sleepable=kind == ProgramType.SYSCALL) as program:
        result = ffi.new("__u32 *")
        error = lib.tpy_test_run(program, ffi.NULL, 0, result)
        if error < 0:
            raise KernelError("run", -error)
        if result[0] != 7:
            raise AbsentError(f"ran, but returned {result[0]} instead of 7")
        return "ran"
