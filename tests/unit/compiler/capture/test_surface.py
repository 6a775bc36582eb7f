# SPDX-License-Identifier: Apache-2.0
"""What places in the kernel show."""

from __future__ import annotations

import pytest

from tests.unit.compiler.fake_target import FILE, FakeTarget, pointer
from tetragon_py.compiler.capture.surface import Surface
from tetragon_py.compiler.plan import AttachPoint
from tetragon_py.policy.diagnostic import PolicyValueError


def surface(kind, name, abi=""):
    return Surface.of(AttachPoint(kind, name, abi), FakeTarget())


def test_whose_pointers():
    """Those that system calls get are of the process, wherever they are seen."""
    assert surface("syscall", "read", "x64").is_user
    assert surface("tracepoint", "syscalls/sys_enter_openat").is_user
    assert not surface("tracepoint", "raw_syscalls/sys_enter").is_user
    assert not surface("function", "vfs_write").is_user


def test_registers():
    """Six are passed in registers, a function may have fewer or more."""
    surface("syscall", "read", "x64").check_register(5)
    surface("function", "no_btf").check_register(5)
    surface("function", "seven").check_register(5)
    for place, index, text in (
        (surface("function", "fd_install"), 2, "has no argument 2"),
        (surface("function", "seven"), 6, "is not in a register"),
        (surface("syscall", "read", "x64"), 6, "is not in a register"),
    ):
        with pytest.raises(PolicyValueError, match=text):
            place.check_register(index)


def test_types_of_parameters():
    """None where the kernel does not tell."""
    assert surface("lsm", "file_open").parameter_type(0) == pointer(FILE)
    assert surface("lsm", "file_open").parameter_type(1) is None
    assert surface("function", "no_btf").parameter_type(0) is None


def test_fields_count_the_common_ones():
    """The first own field has number 4."""
    place = surface("tracepoint", "raw_syscalls/sys_enter")

    assert [place.field(n).name for n in (3, 4)] == ["common_pid", "id"]
