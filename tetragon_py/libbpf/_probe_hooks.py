# SPDX-License-Identifier: Apache-2.0
"""Probes of the ways to attach: each counts only if a program attached that way runs.

The functions hooked are those behind getpgid(2) and socketpair(2), which are seldom
called and which the probe calls itself; the tracepoint is the renaming of a task, by
its own name. Each probe returns in words what it found, or raises.
"""

from __future__ import annotations

import contextlib
import os
import platform
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from tetragon_py.libbpf._attempt import (
    AbsentError,
    AttachType,
    Hits,
    ProgramType,
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
from tetragon_py.libbpf.btf import KIND_FUNC, KIND_TYPEDEF, type_id

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "RENAME",
    "control_group",
    "get_group",
    "hooked_function",
    "kernel_probe",
    "kernel_probe_multi",
    "make_pair",
    "perf_tracepoint",
    "raw_tracepoint",
    "rename_self",
    "security_hook",
    "system_call",
    "trampoline",
    "typed_tracepoint",
    "user_probe",
    "user_probe_multi",
]

#: The tracepoint that is hooked.
RENAME = "task_rename"
#: The first of these that the kernel has is hooked: without CONFIG_SECURITY the system
#: call itself.
_FUNCTIONS = ("security_task_getpgid", "__x64_sys_getpgid", "__arm64_sys_getpgid")
_LINK_CREATE = 28
_PERF_TYPE_TRACEPOINT = 2
_NO_LSM = "add bpf to the list of the kernel parameter lsm="


def get_group() -> None:
    """Run security_task_getpgid(): it is not asked about pid 0."""
    os.getpgid(os.getpid())


def make_pair() -> None:
    """Run security_socket_socketpair()."""
    for end in socket.socketpair():
        end.close()


def rename_self() -> None:
    """Hit the tracepoint task_rename, without any change."""
    comm = Path("/proc/self/comm")
    comm.write_bytes(comm.read_bytes().rstrip(b"\n"))


def _send_to_self() -> None:
    # Without a loopback interface there is nothing to hook.
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own,
    ):
        own.bind(("127.0.0.1", 0))
        own.connect(own.getsockname())
        own.send(b"x")


#: getpgid(2) by machine.
_CALLS = {"x86_64": "__x64_sys_getpgid", "aarch64": "__arm64_sys_getpgid"}


def hooked_function() -> str:
    """The kernel function that is hooked."""
    for name in _FUNCTIONS:
        if type_id(name, KIND_FUNC):
            return name
    raise AbsentError(f"the kernel's BTF has none of {', '.join(_FUNCTIONS)}")


def typed_tracepoint(name: str, trigger: Callable[[], None]) -> str:
    """A tracepoint with typed arguments."""
    target = btf_number(f"btf_trace_{name}", KIND_TYPEDEF)
    with (
        Hits() as hits,
        load_program(
            ProgramType.TRACING,
            hits.code(),
            attach_type=AttachType.RAW_TP,
            btf_id=target,
        ) as program,
        attach_tracing(program),
    ):
        return hits.expect(trigger)


def raw_tracepoint() -> str:
    """A tracepoint without types."""
    with (
        Hits() as hits,
        load_program(ProgramType.RAW_TRACEPOINT, hits.code()) as program,
        attach_tracing(program, RENAME),
    ):
        return hits.expect(rename_self)


def perf_tracepoint() -> str:
    """A tracepoint as perf sees it; its number stands in tracefs."""
    try:
        mounted = mount_point("tracefs")
    except AbsentError as error:
        raise AbsentError(
            f"{error}: mount -t tracefs tracefs /sys/kernel/tracing"
        ) from error
    path = mounted / "events/task" / RENAME / "id"
    try:
        number = int(path.read_text())
    except FileNotFoundError as error:
        raise AbsentError(
            f"{path} is missing: lockdown, or built without CONFIG_FTRACE"
        ) from error
    with (
        Hits() as hits,
        load_program(ProgramType.TRACEPOINT, hits.code()) as program,
        attach_perf_event(program, _PERF_TYPE_TRACEPOINT, number),
    ):
        return f"{hits.expect(rename_self)} (tracefs is at {mounted})"


def kernel_probe(config: int) -> str:
    """A kprobe by perf; `config` 1 for the return of the function."""
    kind, name = perf_pmu("kprobe"), hooked_function()
    with (
        Hits() as hits,
        load_program(ProgramType.KPROBE, hits.code()) as program,
        attach_perf_event(program, kind, config, name=name),
    ):
        return hits.expect(get_group)


def kernel_probe_multi(attach_type: AttachType) -> str:
    """A kprobe on a list of functions: one."""
    name = ffi.new("char[]", hooked_function().encode())
    names = ffi.new("char *[]", [name])
    with (
        Hits() as hits,
        load_program(
            ProgramType.KPROBE, hits.code(), attach_type=attach_type
        ) as program,
    ):
        linked = bpf_command(
            _LINK_CREATE,
            # program, target, type, flags | flags, count, symbols, addresses, cookies
            "4I 2I 3Q",
            *(program, 0, attach_type, 0),
            *(0, 1, address(names), 0, 0),
        )
        with owned("attach", linked):
            return hits.expect(get_group)


def trampoline(attach_type: AttachType) -> str:
    """The entry or exit of a kernel function, or its return value."""
    return _on_function(hooked_function(), attach_type)


def system_call() -> str:
    """The return value of a system call: those that allow error injection."""
    machine = platform.machine()
    if machine not in _CALLS:
        raise AbsentError(f"the names of system calls on {machine} are not known")
    return _on_function(_CALLS[machine], AttachType.MODIFY_RETURN)


def _on_function(name: str, attach_type: AttachType) -> str:
    target = btf_number(name, KIND_FUNC)
    with (
        Hits() as hits,
        load_program(
            ProgramType.TRACING, hits.code(), attach_type=attach_type, btf_id=target
        ) as program,
        attach_tracing(program),
    ):
        return hits.expect(get_group)


def security_hook(name: str, trigger: Callable[[], None], *, sleepable: bool) -> str:
    """An LSM hook: without bpf in the list of modules it attaches, but never runs."""
    target = btf_number(f"bpf_lsm_{name}", KIND_FUNC)
    with (
        Hits() as hits,
        load_program(
            ProgramType.LSM,
            hits.code(),
            attach_type=AttachType.LSM_MAC,
            btf_id=target,
            sleepable=sleepable,
        ) as program,
        attach_tracing(program),
    ):
        return hits.expect(trigger, _lsm_hint())


def _lsm_hint() -> str:
    # securityfs need not be mounted
    try:
        modules = Path("/sys/kernel/security/lsm").read_text().strip()
    except OSError:
        return _NO_LSM
    return f"{_NO_LSM} (which is {modules})"


def _own_function() -> tuple[str, int]:
    # The file and offset of a function of our extension, which nobody else calls.
    place = address(ffi.addressof(lib, "libbpf_major_version"))
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, _, offset, _, _, *path = line.split(maxsplit=5)
        start, end = (int(part, 16) for part in span.split("-"))
        if start <= place < end:
            return path[0], place - start + int(offset, 16)
    raise AbsentError("the extension module is not in /proc/self/maps")


def _call_own_function() -> None:
    # by its address: a call through `lib` takes another way
    ffi.addressof(lib, "libbpf_major_version")()


def user_probe() -> str:
    """A function of this process, for this thread."""
    kind, (path, offset) = perf_pmu("uprobe"), _own_function()
    with (
        Hits() as hits,
        load_program(ProgramType.KPROBE, hits.code()) as program,
        attach_perf_event(program, kind, 0, name=path, offset=offset, pid=0),
    ):
        return hits.expect(_call_own_function)


def user_probe_multi() -> str:
    """The same by one link for many functions."""
    path, offset = _own_function()
    file = ffi.new("char[]", os.fsencode(path))
    offsets = ffi.new("__u64[]", [offset])
    with (
        Hits() as hits,
        load_program(
            ProgramType.KPROBE, hits.code(), attach_type=AttachType.UPROBE_MULTI
        ) as program,
    ):
        linked = bpf_command(
            _LINK_CREATE,
            # as above | path, offsets, reference counters, cookies, count, flags, pid
            "4I 4Q 4I",
            *(program, 0, AttachType.UPROBE_MULTI, 0),
            *(address(file), address(offsets), 0, 0, 1, 0, os.getpid(), 0),
        )
        with owned("attach", linked):
            return hits.expect(_call_own_function)


def control_group(kind: ProgramType, attach_type: AttachType) -> str:
    """A hook of the own control group that lets everything pass."""
    own = mount_point("cgroup2") / _own_group().lstrip("/")
    group = os.open(own, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with (
        owned("open", group),
        Hits() as hits,
        load_program(kind, hits.code(1), attach_type=attach_type) as program,
        link(program, group, attach_type),
    ):
        return hits.expect(_send_to_self, "is the loopback interface up?")


def _own_group() -> str:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        if line.startswith("0::"):
            return line[3:]
    raise AbsentError("this process is in no cgroup2 group")
