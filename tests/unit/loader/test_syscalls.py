# SPDX-License-Identifier: Apache-2.0
"""Which system calls a kernel has, and the functions behind them."""

from __future__ import annotations

import pytest

from tetragon_py.abi.syscalls import syscall_numbers
from tetragon_py.loader.syscalls import Syscalls

X86 = (
    *("__x64_sys_read", "__x64_sys_openat", "__x64_sys_newstat", "__x64_sys_umount"),
    *("__ia32_compat_sys_ioctl", "__ia32_compat_sys_openat", "__ia32_sys_openat"),
    *("__ia32_sys_read", "__ia32_sys_stat", "__ia32_compat_sys_select"),
)
ARM64 = (
    *("__arm64_sys_read", "__arm64_sys_openat", "__arm64_sys_arm64_personality"),
    *("__arm64_compat_sys_ioctl", "__arm64_compat_sys_openat"),
)


def syscalls(machine: str, *functions: str) -> Syscalls:
    return Syscalls(machine, lambda prefix, call: prefix + call in functions)


@pytest.mark.parametrize(
    ("machine", "functions", "abis"),
    [
        ("x86_64", X86, ("x64", "i386")),
        ("x86_64", ("__x64_sys_read",), ("x64",)),
        ("aarch64", ARM64, ("arm64", "arm32")),
        ("aarch64", ("__arm64_sys_read",), ("arm64",)),
        ("riscv64", (), ()),
    ],
)
def test_abis(machine, functions, abis):
    """32-bit programs run only where the kernel was built for them."""
    found = syscalls(machine, *functions)

    assert found.abis == abis
    assert found.native_abi == (abis[0] if abis else "")


def test_numbers():
    """A call has one where the kernel has its function."""
    found = syscalls("x86_64", *X86)

    assert found.number("openat", "x64") == 257
    assert found.number("stat", "x64") == 4
    assert found.number("openat", "i386") == 295
    assert found.number("mount", "x64") is None
    assert found.number("tuxcall", "x64") is None
    assert found.number("nothing", "x64") is None
    assert found.number("openat", "arm64") is None
    assert found.number("openat", "other") is None


def test_names():
    """All that the kernel has, in the order of their numbers."""
    found = syscalls("x86_64", *X86)

    assert found.names("x64") == ("read", "stat", "umount2", "openat")
    assert {"read", "openat", "chown"} <= set(found.names("i386"))
    assert "mount" not in found.names("i386")
    assert found.names("arm64") == ()


def test_entries():
    """The function of a call; names that belong to another call's are left alone."""
    found = syscalls("x86_64", *X86)

    assert found.entry("openat", "x64") == "__x64_sys_openat"
    assert found.entry("stat", "x64") == "__x64_sys_newstat"
    assert found.entry("umount2", "x64") == "__x64_sys_umount"
    assert found.entry("openat", "i386") == "__ia32_compat_sys_openat"
    assert found.entry("read", "i386") == "__ia32_sys_read"
    # __ia32_sys_stat is oldstat's, __ia32_compat_sys_select is _newselect's
    assert found.entry("stat", "i386") is None
    assert found.entry("select", "i386") is None
    assert found.number("stat", "i386") == 106
    assert found.entry("openat", "arm64") is None


def test_entries_of_arm64():
    """Its compat calls and its own spellings."""
    found = syscalls("aarch64", *ARM64)

    assert found.entry("personality", "arm64") == "__arm64_sys_arm64_personality"
    assert found.entry("personality", "arm32") is None
    assert found.entry("openat", "arm32") == "__arm64_compat_sys_openat"
    assert found.entry("read", "arm32") == "__arm64_sys_read"


def test_a_kernel_that_tells_nothing():
    """Without symbols and BTF every call of the native table counts."""
    found = syscalls("x86_64")

    assert found.names("x64") == tuple(syscall_numbers("x64"))
    assert found.number("openat", "x64") == 257
    assert found.entry("openat", "x64") is None
    assert found.names("i386") == ()
