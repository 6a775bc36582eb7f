# SPDX-License-Identifier: Apache-2.0
"""Names of hooks and what they mean on a kernel."""

from __future__ import annotations

import pytest

from tests.unit.compiler.fake_target import FakeTarget
from tests.unit.compiler.policies import compiled, findings, problem
from tetragon_py.compiler.hooks import Lists, list_numbers
from tetragon_py.compiler.plan import AttachPoint
from tetragon_py.policy.diagnostic import PolicyValueError
from tetragon_py.policy.model.policy import NameList


def points(*hooks, target=None, **spec):
    plan = compiled({"kprobes": list(hooks)} | spec, target=target)
    return [hook.point for hook in plan.hooks]


@pytest.mark.parametrize(
    ("call", "name", "abi"),
    [
        ("openat", "openat", "x64"),
        ("sys_openat", "openat", "x64"),
        ("__x64_sys_openat", "openat", "x64"),
        ("__se_sys_openat", "openat", "x64"),
        ("__ia32_sys_openat", "openat", "i386"),
        ("__ia32_compat_sys_open", "open", "i386"),
    ],
)
def test_spellings_of_system_calls(call, name, abi):
    """All mean the call, whatever the kernel's function is called."""
    assert points({"call": call}) == [AttachPoint("syscall", name, abi)]


def test_the_native_abi_is_the_kernels():
    """Without a prefix that says more."""
    target = FakeTarget(native_abi="arm64", syscalls={"arm64": {"openat": 56}})

    assert points({"call": "sys_openat"}, target=target) == [
        AttachPoint("syscall", "openat", "arm64")
    ]
    path, message, _ = problem({"kprobes": [{"call": "__x64_sys_read"}]}, target)
    assert message == "this kernel runs no x64 programs: '__x64_sys_read'"
    assert path == "spec.kprobes[0].call"


def test_the_entry_function_of_a_call_is_a_function_too():
    """`syscall: false` means the function of that name."""
    assert points({"call": "__x64_sys_openat", "syscall": False}) == [
        AttachPoint("function", "__x64_sys_openat")
    ]


LISTS = [
    {"name": "both", "values": ["fd_install", "tcp_close", "fd_install"]},
    {"name": "calls", "type": "syscalls", "values": ["sys_dup", "i386/sys_dup"]},
    {"name": "mixed", "values": ["read", "arm32/write"]},
    {"name": "all", "type": "generated_syscalls"},
    {"name": "reads", "type": "generated_ftrace", "pattern": "^ksys_(read|nothing)"},
    {"name": "empty", "type": "generated_ftrace", "pattern": "^nothing$"},
]


@pytest.mark.parametrize(
    ("name", "syscall", "expected"),
    [
        (
            "both",
            False,
            [("function", "fd_install", ""), ("function", "tcp_close", "")],
        ),
        ("calls", False, [("syscall", "dup", "x64"), ("syscall", "dup", "i386")]),
        ("calls", True, [("syscall", "dup", "x64"), ("syscall", "dup", "i386")]),
        ("reads", True, [("function", "ksys_read", "")]),
    ],
)
def test_lists(name, syscall, expected):
    """Each name once; lists that say what they hold need no `syscall`."""
    hook = {"call": f"list:{name}", "syscall": syscall}

    assert points(hook, lists=LISTS) == [AttachPoint(*point) for point in expected]


def test_all_system_calls():
    """The kernel's own, sorted."""
    found = points({"call": "list:all"}, lists=LISTS)

    assert [p.name for p in found] == sorted(FakeTarget().syscalls["x64"])


@pytest.mark.parametrize(
    ("hook", "place", "message", "hint"),
    [
        (
            {"call": "list:mixed"},
            "lists[2].values[1]",
            "this kernel runs no arm32 programs: 'arm32/write'",
            "",
        ),
        (
            {"call": "list:empty", "syscall": False},
            "kprobes[0].call",
            "list:empty is empty on this kernel",
            "",
        ),
        (
            {"call": "sys_ptrce"},
            "kprobes[0].call",
            "the kernel has no x64 system call 'ptrce'",
            "did you mean 'ptrace'?",
        ),
        (
            {"call": "vfs_write"},
            "kprobes[0].call",
            "'vfs_write' is a function and no system call",
            "set syscall: false",
        ),
        (
            {"call": "sys_read", "syscall": False},
            "kprobes[0].call",
            "the kernel has no function 'sys_read'",
            "set syscall: true",
        ),
        (
            {"call": "vfs_writ", "syscall": False},
            "kprobes[0].call",
            "the kernel has no function 'vfs_writ'",
            "did you mean 'vfs_write'?",
        ),
    ],
)
def test_what_does_not_exist(hook, place, message, hint):
    """The name is told where it was written, and the nearest one."""
    found = problem({"kprobes": [hook], "lists": LISTS})

    assert found == (f"spec.{place}", message, hint)


def test_an_unknown_abi():
    """Only four are known."""
    lists = [{"name": "a", "type": "syscalls", "values": ["mips/sys_dup"]}]
    found = problem({"kprobes": [{"call": "list:a"}], "lists": lists})

    assert found == (
        "spec.lists[0].values[0]",
        "'mips' is no ABI of system calls",
        "one of x64, i386, arm64, arm32",
    )


def test_missing_functions_can_be_left_out():
    """The rest of the policy runs, and what is missing is told."""
    hook = {"call": "vfs_writ", "syscall": False, "ignore": {"callNotFound": True}}
    spec = {"kprobes": [hook, {"call": "read"}]}

    assert points(*spec["kprobes"]) == [AttachPoint("syscall", "read", "x64")]
    assert findings(spec) == [
        (
            "spec.kprobes[0].call",
            "the kernel has no function 'vfs_writ': it is left out",
        )
    ]


@pytest.mark.parametrize(
    ("section", "hook", "place", "message", "hint"),
    [
        (
            "lsmhooks",
            {"hook": "file_opn"},
            ".hook",
            "the kernel has no LSM hook 'file_opn'",
            "did you mean 'file_open'?",
        ),
        (
            "tracepoints",
            {"subsystem": "skb", "event": "kfree_sk"},
            ".event",
            "the kernel has no tracepoint 'skb/kfree_sk'",
            "did you mean 'skb/kfree_skb'?",
        ),
        (
            "tracepoints",
            {"subsystem": "sched", "event": "sched_swich", "raw": True},
            ".event",
            "the kernel has no raw tracepoint 'sched_swich'",
            "did you mean 'sched_switch'?",
        ),
        (
            "uprobes",
            {"path": "/bin/sh", "symbols": ["main"]},
            "",
            "uprobes cannot run in this release",
            "",
        ),
        (
            "usdts",
            {"path": "/bin/sh", "provider": "sh", "name": "main"},
            "",
            "usdts cannot run in this release",
            "",
        ),
    ],
)
def test_other_sections(section, hook, place, message, hint):
    """Each kind of hook has its own names."""
    found = problem({section: [hook]})

    assert found == (f"spec.{section}[0]{place}", message, hint)


def test_numbers_of_lists():
    """32-bit calls have a mark, where the value can have it."""
    lists = Lists.of(
        [NameList(name="a", type="syscalls", values=("sys_dup", "i386/sys_open"))]
    )
    target = FakeTarget()

    assert list_numbers("a", lists, target, has_compat_bit=True) == [32, 5 | 1 << 31]
    with pytest.raises(PolicyValueError, match="'i386/sys_open' is a 32-bit") as caught:
        list_numbers("a", lists, target, has_compat_bit=False)
    assert caught.value.hint == "use type syscall64"
    lists = Lists.of([NameList(name="a", type="syscalls", values=("sys_dupp",))])
    with pytest.raises(PolicyValueError, match="no system call 'sys_dupp'"):
        list_numbers("a", lists, target, has_compat_bit=True)
