# SPDX-License-Identifier: Apache-2.0
"""Which programs serve a hook; tests/bpf/test_hooks.py has them in the kernel."""

from __future__ import annotations

import pytest

from tests.unit.compiler.fake_target import FakeTarget
from tests.unit.loader.fake_objects import FakeShared
from tetragon_py.abi import _generated as c
from tetragon_py.compiler.plan import AttachPoint
from tetragon_py.errors import KernelError, UnsupportedError
from tetragon_py.loader.hooks import Hooks

TRAMPOLINE = {"fentry", "fexit", "get_func_arg"}
FUNCTION = AttachPoint("function", "security_bprm_check")
OPENAT = AttachPoint("syscall", "openat", "x64")


@pytest.fixture
def shared():
    return FakeShared()


def hooks_of(shared, *features):
    return Hooks(shared, FakeTarget(features=frozenset(features)))


@pytest.mark.parametrize(
    ("point", "features", "wants", "attached"),
    [
        (FUNCTION, TRAMPOLINE, "", ["enter_fentry {}"]),
        (FUNCTION, TRAMPOLINE, "return", ["exit_fentry {}", "enter_fentry {}"]),
        (FUNCTION, {"fentry", "kprobe"}, "", ["enter_kprobe {}"]),
        (FUNCTION, {"kprobe"}, "return", ["exit_kprobe {}", "enter_kprobe {}"]),
        (FUNCTION, {"fmod_ret"}, "denial", ["override_fmod {}"]),
        (
            FUNCTION,
            {"fmod_ret"},
            "return denial",
            ["exit_fentry {}", "override_fmod {}"],
        ),
        (FUNCTION, {"kprobe", "override_return"}, "denial", ["enter_kprobe {}"]),
        (
            AttachPoint("call", "openat", "x64"),
            {"fmod_ret_syscall"},
            "denial",
            ["override_call __x64_sys_openat"],
        ),
        (
            AttachPoint("call", "openat", "i386"),
            {"fmod_ret_syscall"},
            "denial",
            ["override_call __ia32_sys_openat"],
        ),
        (AttachPoint("lsm", "bpf"), {"lsm"}, "", ["decide_lsm bpf"]),
        (
            AttachPoint("lsm", "bprm_check_security"),
            {"fmod_ret"},
            "denial",
            ["decide_fmod security_bprm_check"],
        ),
        (
            AttachPoint("guard", "openat", "x64", "file_open"),
            {"lsm"},
            "denial",
            ["guard_lsm file_open"],
        ),
    ],
)
def test_programs_of_a_hook(shared, point, features, wants, attached):
    """As the kernel can have them, the return first: no hit may miss its end."""
    hooks = hooks_of(shared, *features)
    number = hooks.attach(
        point, wants_return="return" in wants, wants_denial="denial" in wants
    )

    assert shared.attached == [text.format(point.name) for text in attached]
    hooks.detach(number)
    assert (shared.attached, shared.objects) == ([], [])


@pytest.mark.parametrize(
    ("features", "constant", "value"),
    [
        ({"fmod_ret"}, "parameters", 1),
        ({"kprobe", "override_return"}, "can_override", 1),
        (TRAMPOLINE, "can_override", None),
    ],
)
def test_what_a_program_is_told(shared, features, constant, value):
    """How many parameters there are to read, and whether it may replace the result."""
    hooks = hooks_of(shared, *features)
    hooks.attach(FUNCTION, wants_return=False, wants_denial=features != TRAMPOLINE)
    [opened] = shared.objects

    assert opened.constants["hook_number"] == 1
    assert opened.constants.get(constant) == value


def test_a_function_that_takes_no_trampoline(shared):
    """A kprobe takes its place."""
    shared.cannot_attach.add(FUNCTION.name)
    hooks = hooks_of(shared, *TRAMPOLINE)
    with pytest.raises(KernelError):
        hooks.attach(FUNCTION, wants_return=False)

    assert (shared.attached, shared.objects) == ([], [])


def test_a_denial_is_not_replaced_by_an_observation(shared):
    """What can only look on does not take the place of what denies."""
    shared.cannot_attach.add(FUNCTION.name)
    hooks = hooks_of(shared, "fmod_ret", "kprobe", *TRAMPOLINE)
    with pytest.raises(KernelError):
        hooks.attach(FUNCTION, wants_return=False, wants_denial=True)

    assert (shared.attached, shared.objects) == ([], [])


def test_a_guard_of_a_hook_that_went(shared):
    """All goes with the last: program and rows."""
    hooks = hooks_of(shared, "lsm")
    point = AttachPoint("guard", "openat", "x64", "file_open")
    number = hooks.attach(point, wants_return=False)
    again = hooks.attach(point, wants_return=False)
    hooks.detach(number)

    assert shared.attached == ["guard_lsm file_open"]
    assert set(shared.maps["guards"].rows.values()) == {again.to_bytes(4, "little")}
    hooks.close()
    assert (shared.attached, shared.maps["guards"].rows) == ([], {})


# ---- system calls ----


def calls(shared, row):
    """The hooks of a system call: native, 32-bit."""
    value = shared.maps["syscalls"].rows[row.to_bytes(4, "little")]
    return tuple(int.from_bytes(value[i : i + 4], "little") for i in (0, 4))


def test_a_hook_that_took_the_place_keeps_it(shared):
    """A changed hook comes before the old one goes."""
    hooks = hooks_of(shared)
    old = hooks.attach(OPENAT, wants_return=False)
    new = hooks.attach(OPENAT, wants_return=True)
    assert calls(shared, 257) == (new, 0)
    hooks.detach(old)
    assert calls(shared, 257) == (new, 0)
    hooks.detach(new)
    assert calls(shared, 257) == (0, 0)


def test_a_hook_that_lost_its_place_gets_it_back(shared):
    """A new set could not be had: the old one is in force still."""
    hooks = hooks_of(shared)
    old = hooks.attach(OPENAT, wants_return=False)
    hooks.detach(hooks.attach(OPENAT, wants_return=True))

    assert calls(shared, 257) == (old, 0)


def test_calls_of_both_kinds_share_a_row(shared):
    """The number is another call for 32-bit programs: each goes alone."""
    target = FakeTarget(syscalls={"x64": {"dup": 41}, "i386": {"dup": 41}})
    hooks = Hooks(shared, target)
    native = hooks.attach(AttachPoint("syscall", "dup", "x64"), wants_return=False)
    compat = hooks.attach(AttachPoint("syscall", "dup", "i386"), wants_return=False)

    assert calls(shared, 41) == (native, compat)
    hooks.detach(native)
    assert calls(shared, 41) == (0, compat)


def test_the_dispatcher_is_there_while_it_has_work(shared):
    """Loaded with the first system call, with returns when one wants them."""
    hooks = hooks_of(shared)
    first = hooks.attach(OPENAT, wants_return=False)
    assert shared.attached == ["enter_syscall"]
    second = hooks.attach(AttachPoint("syscall", "read", "x64"), wants_return=True)
    assert shared.attached == ["enter_syscall", "exit_syscall"]
    hooks.detach(first)
    hooks.detach(second)
    assert (shared.attached, shared.objects) == ([], [])


def test_numbers(shared):
    """The longest unused is the next; there are only so many."""
    hooks = hooks_of(shared, "lsm")
    point = AttachPoint("lsm", "bpf")
    numbers = [hooks.attach(point, wants_return=False) for _ in range(3)]
    for number in (numbers[1], numbers[0]):
        hooks.detach(number)

    assert [hooks.attach(point, wants_return=False) for _ in range(3)] == [2, 1, 4]
    hooks._next = c.HOOKS_MAX
    with pytest.raises(UnsupportedError, match="2048 hooks"):
        hooks.attach(point, wants_return=False)


def test_what_probes_missed_is_counted(shared):
    """Both probes of a function, and those that are gone."""
    hooks = hooks_of(shared, "kprobe")
    number = hooks.attach(FUNCTION, wants_return=True)
    entry, at_return = sorted(shared.attached)
    shared.missed = {entry: 2, at_return: 5}

    assert hooks.missed() == 7
    hooks.detach(number)
    assert hooks.missed() == 7
