# SPDX-License-Identifier: Apache-2.0
"""What each feature's probe does: returns what it found in words, or raises.

A way to attach counts only if a program attached that way runs. The functions hooked
are those behind getpgid(2) and socketpair(2), which are seldom called and which the
probe calls itself; the tracepoint is the renaming of a task, by its own name.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import resource
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from tetragon_py.errors import KernelError
from tetragon_py.libbpf import _insn as insn
from tetragon_py.libbpf._attempt import (
    AbsentError,
    Hits,
    address,
    attach_perf_event,
    attach_tracing,
    bpf_command,
    btf_number,
    link,
    load_program,
    mount_point,
    owned,
    perf_pmu,
)
from tetragon_py.libbpf._libbpf import ffi, lib
from tetragon_py.libbpf.btf import KIND_FUNC, KIND_TYPEDEF, has_kernel_btf, type_id

if TYPE_CHECKING:
    from collections.abc import Callable

_MAP_CREATE = 0
_LINK_CREATE = 28
_MAP_TYPE_HASH = 1
_MAP_TYPE_ARRAY = 2
_MAP_TYPE_RINGBUF = 27
_PERF_TYPE_TRACEPOINT = 2
_RENAME = "task_rename"
#: The first of these that the kernel has is hooked: the second pair is for kernels
#: without CONFIG_SECURITY.
_FUNCTIONS = ("security_task_getpgid", "__x64_sys_getpgid", "__arm64_sys_getpgid")
_NO_LSM = "add bpf to the list of the kernel parameter lsm="


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
        # ENOENT: the end of the map
        if error < 0 and error != -2:
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
    if fd == -1:
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


def test_run(kind: int) -> str:
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


