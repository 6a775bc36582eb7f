# SPDX-License-Identifier: Apache-2.0
"""The table of LSM hooks that system calls pass, against the kernel that runs here."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest

from tetragon_py.abi.syscalls import SYSCALL_ABIS, syscall_numbers
from tetragon_py.compiler.enforcement.calls import (
    IO_URING_CALLS,
    Guard,
    KernelObject,
    guarded_calls,
    guards_of,
)

ROWS = [(call, guard) for call in guarded_calls() for guard in guards_of(call)]
HOOKS = sorted({guard.hook for _, guard in ROWS})
#: Hooks that came later than Linux 5.10.
YOUNGER = {
    "file_ioctl_compat": "6.8",
    "file_truncate": "6.2",
    "inode_get_acl": "6.2",
    "inode_remove_acl": "6.2",
    "inode_set_acl": "6.2",
    "task_fix_setgroups": "6.0",
    "uring_allowed": "6.15",
    "userns_create": "6.1",
}
#: Kind of an object -> what its parameter points to.
TYPES = {
    "file": "file",
    "path": "path",
    "child": "dentry",
    "text": "char",
    "address": "sockaddr",
    "binary": "linux_binprm",
}


@pytest.fixture(scope="module")
def kernel():
    """The kernel that runs here."""
    if not Path("/sys/kernel/btf/vmlinux").exists():
        pytest.skip("the kernel here has no types")
    made = pytest.importorskip("tetragon_py.loader.kernel").KernelTarget()
    if made.lsm_hook("file_open") is None:
        pytest.skip("the kernel here has no LSM hooks")
    return made


def test_a_row():
    """A call, its hooks, and what they have of its arguments."""
    assert guards_of("mkdirat") == (
        Guard("path_mkdir", {1: KernelObject("child", 1, folder=0)}),
    )
    assert guards_of("pivot_root")[0].objects == {
        0: KernelObject("path", 1),
        1: KernelObject("path", 0),
    }
    assert guards_of("adjtimex") == (
        Guard("capable", {}, is_partial=True, keeps_error=False),
    )
    assert guards_of("write")[0].access == 2
    assert guards_of("getpid") == ()


def test_every_call_is_a_system_call():
    """Names are those of the system call tables; each has a way to be refused."""
    known = set(chain.from_iterable(map(syscall_numbers, SYSCALL_ABIS)))

    assert set(guarded_calls()) <= known
    assert all(map(guards_of, guarded_calls()))
    assert len(guarded_calls()) == len(set(guarded_calls()))


def test_what_io_uring_does_can_be_refused():
    """Its operations are in the table."""
    assert set(guarded_calls()) >= IO_URING_CALLS


@pytest.mark.parametrize("hook", HOOKS)
def test_the_kernel_has_the_hook(kernel, hook):
    """Nothing is misspelled."""
    if kernel.lsm_hook(hook) is None:
        assert hook in YOUNGER, f"the kernel has no bpf_lsm_{hook}"
        pytest.skip(f"the hook is of Linux {YOUNGER[hook]}")


def pointed(kernel, hook, number):
    return getattr(kernel.lsm_hook(hook).parameters[number].type.to, "name", None)


@pytest.mark.parametrize(
    ("call", "guard"),
    [row for row in ROWS if row[1].objects],
    ids=lambda value: getattr(value, "hook", value),
)
def test_parameters_have_the_types_of_their_objects(kernel, call, guard):
    """What is read as a file is one."""
    if kernel.lsm_hook(guard.hook) is None:
        pytest.skip("another kernel has this hook")
    for argument, known in guard.objects.items():
        assert pointed(kernel, guard.hook, known.parameter) == TYPES[known.kind], (
            f"{call}, argument {argument}"
        )
        if known.kind == "child":
            assert pointed(kernel, guard.hook, known.folder) == "path"
