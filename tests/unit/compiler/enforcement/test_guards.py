# SPDX-License-Identifier: Apache-2.0
"""What LSM hooks judge in the place of a system call, and what cannot be promised."""

from __future__ import annotations

import pytest

from tests.unit.compiler.fake_target import FakeTarget
from tests.unit.compiler.policies import compiled, findings, load, problem
from tetragon_py.abi import _generated as c
from tetragon_py.compiler.compilation import compile_policies
from tetragon_py.compiler.enforcement.guards import guard_points
from tetragon_py.compiler.plan import AttachPoint

OVERRIDE = {"action": "Override", "argError": -13}
ON_READ_ERROR = {"name": "on-read-error", "value": "deny"}
NR = {"x64": {"openat": 257, "getpid": 39, "sethostname": 170, "unshare": 272}}
NR["x64"] |= {"ioctl": 16, "setuid": 105, "execve": 59, "write": 1, "connect": 42}


def target(**fields):
    made = FakeTarget(syscalls=NR, **fields)
    hooks = made.lsm_hooks
    hooks["file_ioctl"] = hooks["file_permission"]
    hooks["bprm_creds_for_exec"] = hooks["bprm_check_security"]
    return made


def spec(call, *args, match=(), options=()):
    """A policy that overrides a system call if all of `match` holds."""
    selector = {"matchArgs": list(match), "matchActions": [OVERRIDE]}
    hook = {"call": f"sys_{call}", "args": list(args), "selectors": [selector]}
    return {"kprobes": [hook], "options": list(options)}


def argument(index, of_type, **fields):
    return {"index": index, "type": of_type} | fields


def equal(index, value):
    return {"index": index, "operator": "Equal", "values": [value]}


def guards(policy, **fields):
    """The hooks of a policy by LSM hook."""
    plan = compiled(policy, target=target(**fields))
    return {hook.point.through: hook for hook in plan.hooks}


def said(policy, **fields):
    return [message for _, message in findings(policy, target(**fields))]


# ---- which hooks ----


def test_hooks_that_the_kernel_has():
    """The others are left out: a kernel has those of its own ways."""
    made = target()
    point = AttachPoint("syscall", "openat", "x64")
    del made.lsm_hooks["path_mknod"]

    assert list(guard_points(point, made)) == [
        AttachPoint("guard", "openat", "x64", "file_open")
    ]
    assert guard_points(AttachPoint("syscall", "getpid", "x64"), made) == {}


def test_a_call_that_passes_none():
    """It is replaced as a function, where the kernel allows that; else refused."""
    path, message, hint = problem(spec("getpid"), target())

    assert path == "spec.kprobes[0].selectors[0]"
    assert message == (
        "this kernel cannot override the system call 'getpid': no LSM hook is passed "
        "by all of its uses, and the kernel has no error injection"
    )
    assert hint == "Sigkill and Signal work here"
    [hook] = compiled(
        spec("getpid"), target=target(features=frozenset({"fmod_ret_syscall"}))
    ).hooks
    assert hook.point == AttachPoint("call", "getpid", "x64")
    assert hook.wants_denial


def test_only_the_selectors_that_deny_are_refused():
    """The others have no part in it."""
    policy = spec("getpid")
    selectors = policy["kprobes"][0]["selectors"]
    selectors.insert(0, {"matchActions": [{"action": "Post"}]})

    assert problem(policy, target())[0] == "spec.kprobes[0].selectors[1]"


# ---- what they see ----


@pytest.mark.parametrize(
    ("call", "through", "shown", "plan"),
    [
        (
            "openat",
            "file_open",
            argument(1, "string"),
            (c.ARGUMENT_FILE, c.FROM_REGISTER, c.FORM_PLAIN, 0),
        ),
        (
            "openat",
            "path_mknod",
            argument(1, "string"),
            (c.ARGUMENT_PATH, c.FROM_REGISTER, c.FORM_CHILD, 1),
        ),
        (
            "openat",
            "file_open",
            argument(2, "int"),
            (c.ARGUMENT_INT32, c.FROM_SYSCALL, c.FORM_PLAIN, 2),
        ),
        (
            "ioctl",
            "file_ioctl",
            argument(0, "fd"),
            (c.ARGUMENT_FILE, c.FROM_REGISTER, c.FORM_PLAIN, 0),
        ),
        (
            "write",
            "file_permission",
            argument(0, "int"),  # the number of a descriptor
            (c.ARGUMENT_INT32, c.FROM_SYSCALL, c.FORM_PLAIN, 0),
        ),
        (
            "connect",
            "socket_connect",
            argument(1, "sockaddr"),
            (c.ARGUMENT_SOCKADDR, c.FROM_REGISTER, c.FORM_KERNEL, 1),
        ),
        (
            "connect",
            "socket_connect",
            argument(1, "sockaddr_un"),
            (c.ARGUMENT_SOCKADDR_UN, c.FROM_REGISTER, c.FORM_KERNEL, 1),
        ),
        (
            "execve",
            "bprm_creds_for_exec",
            argument(0, "string"),
            (c.ARGUMENT_LINUX_BINPRM, c.FROM_REGISTER, c.FORM_PLAIN, 0),
        ),
    ],
)
def test_an_argument_is_what_the_kernel_made_of_it(call, through, shown, plan):
    """The kernel's object where the hook has one, else the register of the call."""
    seen = guards(spec(call, shown))[through].arguments[0]

    assert (seen.type, seen.source, seen.form, seen.index) == plan


def test_a_size_is_a_register_of_the_call_too():
    """A buffer is as long as another argument of the call says."""
    hook = guards(spec("write", argument(1, "char_buf", sizeArgIndex=3)))
    seen = hook["file_permission"].arguments[0]

    assert (seen.source, seen.size_register) == (c.FROM_SYSCALL, 1 + 6 + 2)


def test_a_value_of_the_task_stays():
    """`data` is no argument: it is read where it was read."""
    policy = spec("setuid")
    data = {"type": "uint32", "source": "current_task", "resolve": "flags"}
    policy["kprobes"][0]["data"] = [data]
    [seen] = guards(policy)["task_fix_setuid"].arguments

    assert seen.source == c.FROM_TASK


def test_a_name_of_a_socket_has_a_length():
    """It may have no end: an abstract one."""
    match = [{"index": 1, "operator": "Prefix", "values": ["/run/"]}]
    policy = spec("connect", argument(1, "sockaddr_un"), match=match)
    [seen] = guards(policy)["socket_connect"].arguments

    assert seen.size_register == 1 + 2  # addrlen of security_socket_connect


def test_filters_are_of_the_object():
    """The path of what was opened, not the text that the process passed."""
    policy = spec("openat", argument(1, "string"), match=[equal(1, "/etc/shadow")])
    hook = guards(policy)["file_open"]

    assert [(one.slot, one.rows) for one in hook.dimensions] == [
        (0, ((b"/etc/shadow\0", 1),))
    ]
    assert said(policy) == []


def test_a_descriptor_that_is_no_object_of_the_hook():
    """The kernel looks it up in the task's table, which other threads can change."""
    policy = spec("openat", argument(0, "fd"), match=[equal(0, "/tmp")])

    assert guards(policy)["file_open"].arguments[0].form == c.FORM_FD
    assert "prevents, but not against a racing thread" in said(policy)[0]


def test_reads_are_not_writes():
    """Both pass one hook, and io_uring comes there without the number of a call."""
    [hook] = guards(spec("write", argument(0, "fd"))).values()
    [dimension] = hook.dimensions

    assert [one.type for one in hook.arguments] == [
        c.ARGUMENT_FILE,
        c.ARGUMENT_INT32,  # the hook's mask: no argument of the policy
    ]
    assert hook.selectors[0].arguments == (0,)
    assert (dimension.slot, dimension.rows, dimension.miss) == (1, ((1, 1),), 0)


# ---- what is said ----

RACE = (
    "execve: prevents, but not against a racing thread: an argument is compared that "
    "the process can still change"
)
IO_URING = (
    "openat: not through io_uring, which has no registers of the system call to compare"
)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (spec("execve", argument(1, "string"), match=[equal(1, "x")]), [RACE]),
        (spec("execve", argument(1, "string")), []),  # only shown
        (spec("openat", argument(2, "int"), match=[equal(2, "0")]), [IO_URING]),
        (spec("setuid", argument(0, "int"), match=[equal(0, "0")]), []),
        (
            spec("sethostname"),
            ["sethostname returns -1 (EPERM), whatever argError says"],
        ),
        (
            spec("unshare"),
            [
                "unshare returns -1 (EPERM), whatever argError says",
                "unshare: not every use of it passes capable",
            ],
        ),
    ],
)
def test_what_cannot_be_promised_is_said(policy, expected):
    """Once, as a warning: the policy is right, and does what can be done."""
    assert said(policy) == expected


def test_a_race_that_nobody_prevents():
    """The same where the function itself is replaced."""
    policy = spec("getpid", argument(1, "string"), match=[equal(1, "x")])
    [message] = said(policy, features=frozenset({"fmod_ret_syscall"}))

    assert message == RACE.replace("execve", "getpid")


def test_io_uring_is_denied_what_cannot_be_read():
    """With on-read-error: deny an operation without registers is refused."""
    policy = spec(
        "openat",
        argument(2, "int"),
        match=[equal(2, "0")],
        options=[ON_READ_ERROR],
    )
    [dimension] = guards(policy)["file_open"].dimensions

    assert dimension.error == 1


@pytest.mark.parametrize(
    ("features", "kind"), [({"lsm"}, "guard"), ({"fmod_ret"}, "guard"), ((), "syscall")]
)
def test_monitoring_needs_no_program_that_denies(features, kind):
    """Where none can be had, a policy that monitors sees the call itself."""
    override = {"action": "Override", "argError": -1}
    hook = {"call": "sys_setuid", "selectors": [{"matchActions": [override]}]}
    options = [{"name": "policy-mode", "value": "monitor"}]
    target = FakeTarget(features=frozenset(features))
    found = compile_policies([load({"kprobes": [hook], "options": options})], target)

    assert [one.point.kind for one in found.plan.hooks] == [kind]
