# SPDX-License-Identifier: Apache-2.0
"""Arguments of all kinds of hooks: where they are, or why they cannot be had."""

from __future__ import annotations

import pytest

from tests.unit.compiler.fake_target import FakeTarget
from tests.unit.compiler.policies import compiled, findings, kprobe, problem
from tetragon_py.abi import _generated as c
from tetragon_py.compiler.capture.arguments import capture_argument
from tetragon_py.compiler.capture.surface import Surface
from tetragon_py.compiler.plan import ArgumentPlan, AttachPoint
from tetragon_py.policy.diagnostic import Cause, PolicyValueError
from tetragon_py.policy.model.arguments import Argument, ArgumentType

FIRST = c.FROM_REGISTER
PREFIX = "spec.kprobes[0].args[0]"
SYSTEM_CALL = {
    "string": (c.ARGUMENT_STRING, c.FORM_USER, 0),
    "sockaddr": (c.ARGUMENT_SOCKADDR, c.FORM_USER, 0),
    "bpf_attr": (c.ARGUMENT_BPF_ATTR, c.FORM_USER, 0),
    "fd": (c.ARGUMENT_FILE, c.FORM_FD, 4),
    "int8": (c.ARGUMENT_INT8, c.FORM_PLAIN, 1),
    "sint16": (c.ARGUMENT_INT16, c.FORM_PLAIN, 2),
    "int": (c.ARGUMENT_INT32, c.FORM_PLAIN, 4),
    "long": (c.ARGUMENT_INT64, c.FORM_PLAIN, 8),
    "size_t": (c.ARGUMENT_UINT64, c.FORM_PLAIN, 8),
    "unsigned long": (c.ARGUMENT_UINT64, c.FORM_PLAIN, 8),
    "capability": (c.ARGUMENT_CAPABILITY, c.FORM_PLAIN, 4),
    "bpf_cmd": (c.ARGUMENT_BPF_CMD, c.FORM_PLAIN, 4),
}
FUNCTION = {
    "string": (c.ARGUMENT_STRING, c.FORM_KERNEL, 0),
    "sockaddr_un": (c.ARGUMENT_SOCKADDR_UN, c.FORM_KERNEL, 0),
    "file": (c.ARGUMENT_FILE, c.FORM_PLAIN, 0),
    "kiocb": (c.ARGUMENT_FILE, c.FORM_KIOCB, 0),
    "filename": (c.ARGUMENT_STRING, c.FORM_FILENAME, 0),
    "socket": (c.ARGUMENT_SOCK, c.FORM_SOCKET, 0),
    "iov_iter": (c.ARGUMENT_CHAR_BUF, c.FORM_IOV_ITER, 0),
    "cap_effective": (c.ARGUMENT_CAP_EFFECTIVE, c.FORM_PLAIN, 0),
    "net_device": (c.ARGUMENT_NET_DEVICE, c.FORM_PLAIN, 0),
}


def first_argument(**hook):
    plan = compiled({"kprobes": [hook]})
    return plan.hooks[0].arguments[0]


@pytest.mark.parametrize(("kind", "expected"), SYSTEM_CALL.items())
def test_arguments_of_system_calls(kind, expected):
    """Pointers are those of the process."""
    kind_number, form, size = expected
    found = first_argument(call="read", args=[{"index": 5, "type": kind}])

    assert found == ArgumentPlan(kind_number, FIRST, form, index=5, size=size)


@pytest.mark.parametrize(("kind", "expected"), FUNCTION.items())
def test_arguments_of_functions(kind, expected):
    """Pointers are the kernel's; without BTF nothing is said against a type."""
    kind_number, form, size = expected
    found = first_argument(
        call="no_btf", syscall=False, args=[{"index": 1, "type": kind}]
    )

    assert found == ArgumentPlan(kind_number, FIRST, form, index=1, size=size)


def test_every_type_can_be_read_somewhere():
    """No type of the schema is forgotten: each is captured or says why not."""
    target = FakeTarget()
    for kind in ArgumentType:
        argument = {"index": 0, "type": kind.value}
        if kind in {ArgumentType.CHAR_BUF, ArgumentType.CHAR_IOVEC}:
            argument["sizeArgIndex"] = 2
        if kind in {ArgumentType.AUTO, ArgumentType.SYSCALL64}:
            continue
        if kind in {ArgumentType.DATA_LOC, ArgumentType.CONST_BUF}:
            continue
        hook = {"call": "no_btf", "syscall": False, "args": [argument]}
        [found] = compiled({"kprobes": [hook]}, target=target).hooks

        assert len(found.arguments) == (kind is not ArgumentType.NOP), kind


@pytest.mark.parametrize("kind", ["file", "path", "sock", "skb", "cred", "dentry"])
def test_system_calls_pass_no_structs_of_the_kernel(kind):
    """It is said, and not captured as nonsense."""
    spec = {"kprobes": [{"call": "read", "args": [{"index": 0, "type": kind}]}]}

    place, message, _ = problem(spec)
    assert (place, message) == (PREFIX, f"a system call passes no {kind}")


def test_a_wrong_struct_is_warned_of():
    """BTF knows what the argument is; the policy's word counts."""
    arguments = [{"index": 0, "type": "file"}, {"index": 1, "type": "uint64"}]
    hook = {"call": "tcp_close", "syscall": False, "args": arguments}

    assert findings({"kprobes": [hook]}) == [
        (PREFIX, "argument 0 is struct sock *: read as file")
    ]


@pytest.mark.parametrize(
    ("call", "argument", "message", "hint"),
    [
        (
            "fd_install",
            {"index": 2, "type": "int"},
            "'fd_install' has no argument 2",
            "arguments: 0 fd, 1 file",
        ),
        (
            "by_value",
            {"index": 0, "resolve": "a"},
            "union (unnamed) has no member 'a'",
            "",
        ),
        (
            "tcp_close",
            {"index": 1, "resolve": "a"},
            "resolve needs a pointer to a struct; this is long int",
            "give btfType",
        ),
        (
            "no_btf",
            {"index": 0, "resolve": "a"},
            "resolve needs a pointer to a struct; this is unknown",
            "give btfType",
        ),
        (
            "acme_open",
            {"index": 0, "resolve": "a", "btfType": "nothing"},
            "the kernel has no struct 'nothing'",
            "",
        ),
        (
            "acme_open",
            {"index": 0, "resolve": "a", "btfType": "file", "btfTypeModule": "ext9"},
            "the module 'ext9' has no struct 'file'",
            "",
        ),
        (
            "vfs_write",
            {"index": 1, "type": "char_buf", "sizeArgIndex": 6},
            "'vfs_write' has no argument 5",
            "arguments: 0 file, 1 buf, 2 count, 3 pos",
        ),
        (
            "fd_install",
            {"index": 1, "resolve": "f_path"},
            "",
            "",
        ),
        (
            "fd_install",
            {"index": 1, "resolve": "f_path.mnt", "type": "sock"},
            "",
            "",
        ),
        (
            "fd_install",
            {"index": 1, "resolve": "f_cred.uid"},
            "the last attribute is kuid_t, which cannot be captured",
            "name one of its members",
        ),
        (
            "fd_install",
            {"index": 1, "resolve": "f_cred.uid", "type": "sock"},
            "kuid_t cannot be read as sock",
            "",
        ),
    ],
)
def test_what_cannot_be_captured(call, argument, message, hint):
    """The message names what is there; no message: it can be captured."""
    spec = {"kprobes": [{"call": call, "syscall": False, "args": [argument]}]}
    if not message:
        assert findings(spec) == []
        return

    assert problem(spec) == (PREFIX, message, hint)


def test_a_type_of_the_kernel_overrides_the_policy():
    """`resolve` ends at what BTF says, but for types that say more than C does."""
    arguments = [
        {"index": 0, "resolve": "argc", "type": "string"},
        {"index": 0, "resolve": "argc", "type": "capability"},
        {"index": 0, "resolve": "file.f_inode.i_mode", "type": "capability"},
        {"index": 0, "resolve": "file.f_cred.cap_effective", "type": "cap_permitted"},
        {"index": 0, "resolve": "file.private_data", "type": "string"},
        {"index": 0, "resolve": "file.private_data"},
    ]
    hook = {"call": "security_bprm_check", "syscall": False, "args": arguments}
    [found] = compiled({"kprobes": [hook]}).hooks

    assert [(plan.type, plan.form, plan.steps[-1][1]) for plan in found.arguments] == [
        (c.ARGUMENT_INT32, c.FORM_MEMORY, False),
        (c.ARGUMENT_CAPABILITY, c.FORM_MEMORY, False),
        (c.ARGUMENT_UINT16, c.FORM_MEMORY, False),
        (c.ARGUMENT_CAP_PERMITTED, c.FORM_PLAIN, False),
        (c.ARGUMENT_STRING, c.FORM_KERNEL, True),
        (c.ARGUMENT_UINT64, c.FORM_MEMORY, False),
    ]


def test_system_calls_cannot_be_followed():
    """Their values are the process's; the current task can be followed there too."""
    argument = {"index": 0, "resolve": "f_flags", "btfType": "file"}
    data = [{"source": "current_task", "resolve": "pid"}]

    assert findings({"kprobes": [{"call": "read", "args": [argument]}]}) == [
        (PREFIX, "resolve does not work on values of system calls")
    ]
    [hook] = compiled({"kprobes": [{"call": "read", "data": data}]}).hooks
    assert hook.arguments == (
        ArgumentPlan(
            c.ARGUMENT_INT32,
            c.FROM_TASK,
            c.FORM_MEMORY,
            size=4,
            steps=((1100, False),),
        ),
    )


@pytest.mark.parametrize(
    ("call", "syscall", "register", "kind", "expected"),
    [
        ("no_btf", False, "rcx", "auto", (c.ARGUMENT_UINT64, 3, 8)),
        ("read", True, "r10", "auto", (c.ARGUMENT_UINT64, 3, 8)),
        ("read", True, "R8D", "auto", (c.ARGUMENT_UINT32, 4, 4)),
        ("read", True, "si", "int64", (c.ARGUMENT_INT16, 1, 2)),
        ("read", True, "rsi", "string", (c.ARGUMENT_STRING, 1, 0)),
    ],
)
def test_registers(call, syscall, register, kind, expected):
    """A system call has its fourth argument elsewhere; shorter names are shorter."""
    data = [{"source": "pt_regs", "resolve": register, "type": kind}]
    hook = {"call": call, "syscall": syscall, "data": data}
    [found] = compiled({"kprobes": [hook]}).hooks

    assert [(a.type, a.index, a.size) for a in found.arguments] == [expected]


def test_registers_without_arguments():
    """Only what is passed in registers can be had."""
    data = [{"source": "pt_regs", "resolve": "rax"}]

    assert problem({"kprobes": [{"call": "read", "data": data}]}) == (
        "spec.kprobes[0].data[0]",
        "the register 'rax' holds no argument here",
        "those of the first 6 arguments are captured",
    )


def test_what_is_returned():
    """Captured at the return; its type may come from BTF by `resolve` only."""
    hook = {
        "call": "sock_from",
        "syscall": False,
        "return": True,
        "returnArg": {"index": 0, "type": "sock"},
    }
    [found] = compiled({"kprobes": [hook]}).hooks

    assert found.arguments == (
        ArgumentPlan(c.ARGUMENT_SOCK, c.FROM_RETURN, flags=c.ARGUMENT_AT_RETURN),
    )
    assert found.wants_return
    assert found.selectors[0].return_slot == 0
    sized = hook | {"returnArg": {"index": 0, "type": "char_buf"}}
    assert problem({"kprobes": [sized]}) == (
        "spec.kprobes[0].returnArg",
        "a returned char_buf has no size",
        "use string",
    )


def test_sizes_that_follow():
    """Of an address or of attributes the next argument is the size."""
    hook = {
        "call": "security_socket_connect",
        "syscall": False,
        "args": [{"index": 1, "type": "sockaddr_un"}, {"index": 2, "type": "int"}],
    }
    bpf = {"call": "bpf", "args": [{"index": 1, "type": "bpf_attr"}]}
    read = {"call": "read", "args": [{"index": 1, "type": "bpf_attr"}]}
    found = compiled({"kprobes": [hook, bpf, read]}).hooks

    assert [hook.arguments[0].size_register for hook in found] == [3, 3, 0]


def test_copies_at_the_return():
    """The size is what is returned, unless an argument has it."""
    hook = kprobe(
        call="vfs_write",
        args=[
            {"index": 1, "type": "char_buf", "returnCopy": True},
            {"index": 1, "type": "char_buf", "returnCopy": True, "sizeArgIndex": 3},
        ],
        returnArg={"index": 0, "type": "long"},
    ) | {"return": True}
    [found] = compiled({"kprobes": [hook]}).hooks

    assert [(plan.flags, plan.size_register) for plan in found.arguments[:2]] == [
        (c.ARGUMENT_AT_RETURN | c.ARGUMENT_SIZE_RETURNED, 0),
        (c.ARGUMENT_AT_RETURN, 3),
    ]


def test_types_that_the_kernel_does_not_tell():
    """Without BTF there is nothing to infer from: other kernels may have it."""
    surface = Surface.of(AttachPoint("function", "no_btf"), FakeTarget())
    with pytest.raises(PolicyValueError) as caught:
        capture_argument(Argument.model_validate({"index": 0}), surface)

    assert (caught.value.message, caught.value.cause) == (
        "the kernel does not tell the types of 'no_btf'",
        Cause.KERNEL,
    )
