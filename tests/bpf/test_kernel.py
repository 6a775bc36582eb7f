# SPDX-License-Identifier: Apache-2.0
"""This kernel as the compiler's Target: what policies ask for is there and is right."""

from __future__ import annotations

import ctypes
import os
import platform
from pathlib import Path

import pytest

from tetragon_py.compiler.target import CType, Member
from tetragon_py.libbpf.btf import MODULES
from tetragon_py.loader.kernel import KernelTarget
from tetragon_py.loader.tracefs import TRACEFS_PLACES, parse_format

IS_X86 = platform.machine() == "x86_64"
ABI = "x64" if IS_X86 else "arm64"


@pytest.fixture(scope="module")
def target() -> KernelTarget:
    return KernelTarget()


def member(target: KernelTarget, of: CType, name: str) -> tuple[int, CType] | None:
    """Place and type of a member, also of one inside a struct without a name."""
    for each in target.members(of):
        if each.name == name:
            return each.offset, each.type
        if not each.name and each.type.kind in {"struct", "union"}:
            found = member(target, each.type, name)
            if found:
                return each.offset + found[0], found[1]
    return None


def follow(target: KernelTarget, path: str) -> CType:
    """The type at the end of a path from task_struct, pointers followed."""
    at = target.struct("task_struct")
    assert at
    for name in path.split("."):
        found = member(target, at, name)
        assert found, name
        at = found[1]
        if at.kind == "pointer" and at.to:
            at = at.to
    return at


def test_a_security_hook(target):
    """security_file_open(struct file *) returns an int, and so does its LSM hook."""
    for signature in (
        target.function("security_file_open"),
        target.lsm_hook("file_open"),
    ):
        assert signature
        (parameter,) = signature.parameters
        assert parameter.type.kind == "pointer"
        assert parameter.type.to
        assert (parameter.type.to.kind, parameter.type.to.name) == ("struct", "file")
        assert signature.returns == CType("integer", "int", 4, is_signed=True)


def test_a_function_with_many_types(target):
    """ssize_t vfs_read(struct file *, char *, size_t, loff_t *)."""
    signature = target.function("vfs_read")
    assert signature
    file, buffer, count, position = (each.type for each in signature.parameters)

    assert file.to.name == "file"
    assert (buffer.kind, buffer.to.kind, buffer.to.size) == ("pointer", "integer", 1)
    assert (count.typedef, count.size, count.is_signed) == ("size_t", 8, False)
    assert (position.to.typedef, position.to.is_signed) == ("loff_t", True)
    assert signature.returns.typedef == "ssize_t"
    assert signature.returns.is_signed


@pytest.mark.parametrize(
    ("path", "size", "is_signed"),
    [
        ("cred.uid.val", 4, False),
        ("cred.user_ns.ns.inum", 4, False),
        ("nsproxy.mnt_ns.ns.inum", 4, False),
        ("nsproxy.uts_ns.name.nodename", 65, False),
        ("mm.exe_file.f_path.dentry.d_name.len", 4, False),
        ("mm.arg_start", 8, False),  # in a struct without a name
        ("fs.pwd.dentry.d_inode.i_ino", 8, False),
        ("tgid", 4, True),
        ("comm", 16, False),
    ],
)
def test_paths_from_a_task(target, path, size, is_signed):
    """What `resolve` follows: pointers, structs without a name, arrays."""
    found = follow(target, path)

    assert (found.size, found.is_signed) == (size, is_signed)


def test_places_are_right(target):
    """The kernel's own ABI: struct utsname's parts lie one after the other."""
    utsname = target.struct("new_utsname")
    assert utsname

    assert [each.name for each in target.members(utsname)] == [
        *("sysname", "nodename", "release", "version", "machine", "domainname"),
    ]
    assert [each.offset for each in target.members(utsname)] == [
        65 * number for number in range(6)
    ]
    first = target.members(utsname)[0].type
    assert (first.kind, first.count, first.size) == ("array", 65, 65)
    assert first.to
    assert first.to.name == "char"


def test_bit_fields(target):
    """task_struct has some: they have a width, and others have none."""
    task = target.struct("task_struct")
    assert task
    narrow = {each.name: each for each in target.members(task) if each.bits}

    assert narrow["no_cgroup_migration"].bits == 1
    assert narrow["no_cgroup_migration"].offset < task.size
    assert "tgid" not in narrow


def test_unions_and_typedefs(target):
    """By tag and by typedef; a typedef of a number is no struct."""
    assert target.struct("bpf_attr").kind == "union"
    capabilities = target.struct("kernel_cap_t")
    assert capabilities
    assert (capabilities.kind, capabilities.typedef) == ("struct", "kernel_cap_t")
    assert capabilities.size == 8
    assert target.struct("pid_t") is None
    assert isinstance(target.members(capabilities)[0], Member)


def test_raw_tracepoints(target):
    """sched_process_exec(struct task_struct *, pid_t, struct linux_binprm *)."""
    signature = target.raw_tracepoint("sched_process_exec")
    assert signature
    task, pid, program = (each.type for each in signature.parameters)

    assert task.to.name == "task_struct"
    assert pid.typedef == "pid_t"
    assert program.to.name == "linux_binprm"
    assert signature.returns == CType("void")
    assert "sched_process_exec" in target.names("raw_tracepoint")


@pytest.mark.parametrize(
    "name", ["no_such_thing", "", "task_struct;", "\u00e4", "a" * 999]
)
def test_unknown_names(target, name):
    """None, never an exception."""
    assert target.function(name) is None
    assert target.lsm_hook(name) is None
    assert target.raw_tracepoint(name) is None
    assert target.struct(name) is None
    assert target.struct("task_struct", name or "x") is None
    assert target.tracepoint(name, name) is None
    assert target.syscall_number(name, ABI) is None
    assert not target.has_symbol(name)


def test_system_calls(target):
    """The number is what this very kernel answers to; its function is in BTF."""
    number = target.syscall_number("getpid", ABI)
    assert number is not None
    libc = ctypes.CDLL(None, use_errno=True)

    assert libc.syscall(number) == os.getpid()
    assert len(target.syscall_names(ABI)) > 250
    for name in ("openat", "execve", "uname", "umount2", "sendfile", "personality"):
        entry = target.syscall_entry(name, ABI)
        assert entry, name
        assert target.has_symbol(entry)
    assert target.syscall_number("openat", "arm64" if IS_X86 else "x64") is None


def test_calls_of_32_bit_programs(target):
    """Where the kernel runs them they have numbers and functions of their own."""
    compat = "i386" if IS_X86 else "arm32"
    expected = 295 if IS_X86 else 322
    if not target.syscall_names(compat):
        assert target.syscall_number("openat", compat) is None
        return

    assert target.syscall_number("openat", compat) == expected
    entry = target.syscall_entry("openat", compat)
    assert entry
    assert "compat_sys_openat" in entry
    assert target.syscall_entry("stat", compat) is None


def test_symbols_beyond_types(target):
    """kallsyms has more than BTF, and every LSM hook is a function."""
    assert target.has_symbol("vfs_read")
    symbol = target.symbol("vfs_read")
    assert symbol
    assert (symbol.module, symbol.total) == ("", 1)
    assert "vfs_read" in target.names("function")
    assert "file_open" in target.names("lsm")
    assert "verify_prog" not in target.names("lsm")
    assert all(target.lsm_hook(name) for name in target.names("lsm"))


def test_functions_of_modules(target):
    """A loaded module's functions are found by their name alone."""
    for module in sorted(MODULES.iterdir()):
        functions = [
            name
            for line in Path("/proc/kallsyms").read_text().splitlines()
            if line.endswith(f"\t[{module.name}]") and line.split()[1] in "tT"
            for name in [line.split()[2]]
        ]
        typed = [name for name in functions[:50] if target.function(name)]
        assert not functions or module.name == "vmlinux" or typed, module


def test_tracepoints(target):
    """Where tracefs is mounted: as its files say, every one of them understood."""
    places = [place for place in TRACEFS_PLACES if (place / "events").is_dir()]
    if not places:
        assert "tracefs is not mounted" in target.unjudged["tracepoints"]
        assert target.tracepoint("raw_syscalls", "sys_enter") is None
        return
    fields = target.tracepoint("raw_syscalls", "sys_enter")
    assert fields
    _, _, _, _, number, arguments = fields

    assert (number.name, number.type, number.offset) == ("id", "long", 8)
    assert (arguments.type, arguments.size) == ("unsigned long[6]", 48)
    assert "raw_syscalls/sys_enter" in target.names("tracepoint")
    for path in places[0].glob("events/*/*/format"):
        for field in parse_format(path.read_text()):
            assert field.name, (path, field)
            assert field.size or field.type.endswith(("[0]", "[]")), (path, field)


def test_features_and_namespaces(target):
    """What the probes found, and what /proc tells."""
    assert "kernel_btf" in target.features
    assert "no_such_feature" not in target.features
    spaces = target.host_namespaces
    assert {"uts", "ipc", "mnt", "pid", "net", "cgroup", "user"} <= set(spaces)
    assert all(spaces.values())
