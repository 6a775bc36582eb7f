# SPDX-License-Identifier: Apache-2.0
"""Programs in LSM hooks, as a kernel can have them, and whom they decide for."""

from __future__ import annotations

import contextlib

import pytest

from tests.unit.compiler.fake_target import (
    FILE,
    INT,
    PATH,
    VOID,
    FakeTarget,
    pointer,
    signature,
)
from tests.unit.loader.fake_objects import FakeShared
from tetragon_py.abi import _generated as c
from tetragon_py.compiler.plan import AttachPoint
from tetragon_py.errors import KernelError, UnsupportedError
from tetragon_py.loader.security import (
    Guards,
    SecurityPrograms,
    parameter_constants,
    security_function,
)

LSM = frozenset({"lsm", "fmod_ret", "task_registers"})
FMOD = frozenset({"fmod_ret"})
CALLS = {
    "x64": {"openat": 257, "open": 2, "creat": 85, "execve": 59, "setuid": 105},
    "i386": {"openat": 295, "open": 5},
}


def target(features=LSM, **functions):
    made = FakeTarget(features=frozenset(features), syscalls=CALLS)
    made.functions |= functions
    return made


@pytest.fixture
def shared():
    return FakeShared()


# ---- the function of a hook ----

SAME = signature(INT, file=pointer(FILE))


@pytest.mark.parametrize(
    ("hook", "functions", "expected"),
    [
        ("file_open", {"security_file_open": SAME}, "security_file_open"),
        ("file_open", {}, None),
        ("file_open", {"security_file_open": signature(INT)}, None),
        ("file_open", {"security_file_open": signature(INT, p=pointer(PATH))}, None),
        ("bprm_check_security", {}, "security_bprm_check"),  # of another name
        ("no_such_hook", {"security_no_such_hook": SAME}, None),
    ],
)
def test_function_of_a_hook(hook, functions, expected):
    """It has to have the same parameters: programs read them by their places."""
    assert security_function(hook, target(**functions)) == expected


# ---- one program ----


@pytest.mark.parametrize(
    ("features", "attached"),
    [
        (LSM, "guard_lsm file_open"),
        (FMOD, "guard_fmod security_file_open"),
        ({"lsm"}, "guard_lsm file_open"),
    ],
)
def test_the_best_way(shared, features, attached):
    """By BPF LSM, else in the function that calls the hook."""
    programs = SecurityPrograms(shared)
    made = target(features, security_file_open=SAME)
    with contextlib.ExitStack() as undo:
        program = programs.load("guard", "file_open", 7, made, undo)
        [opened] = shared.objects

        assert shared.attached == [attached]
        assert (program.autoload, opened.is_loaded) == (True, True)
        assert opened.constants == {
            "hook_number": 7,
            "parameters": 0b1,
            "has_func_arg": False,
            "has_task_registers": "task_registers" in features,
        }
    assert (shared.attached, shared.objects) == ([], [])


@pytest.mark.parametrize(
    ("signed", "bits"),
    [
        (None, 0),
        (signature(INT), 0),
        (signature(INT, **dict.fromkeys("abcdefgh", INT)), 0b111111),
        (signature(INT, a=pointer(FILE), b=pointer(INT), c=INT), 0b111),
        (
            signature(INT, a=pointer(VOID), b=pointer(pointer(INT)), c=FILE, d=INT),
            0b1000,
        ),
    ],
)
def test_parameters_that_can_be_read(signed, bits):
    """The kernel refuses a program that reads more than there are, and some types."""
    assert parameter_constants(signed, target({"get_func_arg"})) == {
        "parameters": bits,
        "has_func_arg": True,
    }


@pytest.mark.parametrize(
    ("features", "hook", "text"),
    [
        (LSM, "no_such_hook", "LSM hook no_such_hook"),
        ((), "file_open", "its list lsm= is without bpf"),
        (FMOD, "bpf", "no function has the same"),
    ],
)
def test_what_cannot_be_had(shared, features, hook, text):
    """It is refused with the reason, and nothing is opened."""
    made = target(features, security_file_open=SAME)
    with contextlib.ExitStack() as undo, pytest.raises(UnsupportedError, match=text):
        SecurityPrograms(shared).load("decide", hook, 1, made, undo)
    assert shared.objects == []


def test_nothing_stays_of_what_cannot_be_attached(shared):
    """The object is closed again."""
    shared.cannot_attach.add("file_open")
    with contextlib.ExitStack() as undo, pytest.raises(KernelError):
        SecurityPrograms(shared).load("decide", "file_open", 1, target(), undo)
    assert (shared.objects, shared.attached) == ([], [])


PREEMPTION = {"bpf_preempt_disable": signature(VOID)}


def test_preemption_is_forbidden_where_that_can_be(shared):
    """Where the kernel has the function, and its verifier lets us."""
    with contextlib.ExitStack() as undo:
        SecurityPrograms(shared).load("decide", "bpf", 1, target(**PREEMPTION), undo)

        [opened] = shared.objects
        assert opened.constants["can_forbid_preemption"] == 1


def test_one_attempt_tells_that_it_cannot(shared):
    """The next programs are loaded without an attempt that fails."""
    shared.refused.add("can_forbid_preemption")
    programs = SecurityPrograms(shared)
    with contextlib.ExitStack() as undo:
        programs.load("decide", "bpf", 1, target(**PREEMPTION), undo)
        shared.refused.clear()
        programs.load("decide", "file_open", 2, target(**PREEMPTION), undo)

        assert len(shared.objects) == 2
        for opened in shared.objects:
            assert "can_forbid_preemption" not in opened.constants


# ---- guards ----


def point(name, abi="x64", through="file_open"):
    return AttachPoint("guard", name, abi, through)


@pytest.fixture
def guards(shared):
    return Guards(shared, SecurityPrograms(shared))


def rows(shared):
    """The map: (guard, row) -> hook; io_uring's rows as u0, u1, ..., compat's as c295.

    So do the programs read it.
    """
    found = {}
    for key, value in shared.maps["guards"].rows.items():
        guard, row = (int.from_bytes(key[i : i + 4], "little") for i in (0, 4))
        text = str(row)
        if row & c.GUARD_IO_URING:
            text = f"u{row & ~c.GUARD_IO_URING}"
        elif row & c.GUARD_COMPAT:
            text = f"c{row & ~c.GUARD_COMPAT}"
        found[guard, text] = int.from_bytes(value, "little")
    return found


def test_calls_share_the_program_of_their_hook(shared, guards):
    """A row for each, by number; 32-bit calls have other numbers, and no io_uring."""
    first = guards.add(point("openat"), 11, target())
    second = guards.add(point("openat", "i386"), 12, target())
    other = guards.add(point("setuid", through="task_fix_setuid"), 13, target())

    assert first is second is not other
    assert shared.attached == ["guard_lsm file_open", "guard_lsm task_fix_setuid"]
    assert [one.constants["hook_number"] for one in shared.objects] == [1, 2]
    assert rows(shared) == {
        (1, "257"): 11,
        (1, "u0"): 11,
        (1, "c295"): 12,
        (2, "105"): 13,
    }


def test_the_last_hook_takes_the_program_away(shared, guards):
    """And no row stays."""
    guards.add(point("openat"), 11, target())
    guards.add(point("open"), 12, target())
    guards.remove(point("openat").through, 11)

    assert shared.attached == ["guard_lsm file_open"]
    guards.remove(point("open").through, 12)
    assert (shared.attached, shared.objects, rows(shared)) == ([], [], {})
    # another program: a row that was left by mistake would not be its
    guards.add(point("openat"), 14, target())
    assert set(rows(shared)) == {(2, "257"), (2, "u0")}


@pytest.mark.parametrize("removed", [0, 1, 2])
def test_rows_of_io_uring_have_no_gap(shared, guards, removed):
    """The program reads them up to the first that is not there."""
    calls = ["openat", "open", "creat"]
    for number, call in enumerate(calls):
        guards.add(point(call), 11 + number, target())
    guards.remove(point(calls[removed]).through, 11 + removed)

    found = rows(shared)
    kept = {11, 12, 13} - {11 + removed}
    assert {found[1, "u0"], found[1, "u1"]} == kept
    assert (1, "u2") not in found
    assert len(found) == 4
    for number in sorted(kept):
        guards.remove(point(calls[number - 11]).through, number)
    assert rows(shared) == {}


def test_rows_of_io_uring_are_counted(shared, guards):
    """More hooks than the program would look at have none, until there is room."""
    made = target()
    hooks = range(11, 11 + c.GUARD_IO_URING_MAX + 1)
    for hook in hooks:
        made.syscalls = {"x64": {"openat": hook}}
        guards.add(point("openat"), hook, made)

    assert (1, f"u{c.GUARD_IO_URING_MAX}") not in rows(shared)
    for hook in hooks:
        guards.remove(point("openat").through, hook)
    assert rows(shared) == {}


@pytest.mark.parametrize(("gone", "stays"), [(11, 12), (12, 11)])
def test_a_changed_hook_replaces_its_row(shared, guards, gone, stays):
    """The new hook comes before the old one goes, or before it goes again itself."""
    guards.add(point("openat"), 11, target())
    guards.add(point("openat"), 12, target())
    guards.remove(point("openat").through, gone)

    assert rows(shared) == {(1, "257"): stays, (1, "u0"): stays}
    guards.remove(point("openat").through, stays)
    assert rows(shared) == {}


def test_a_call_that_the_kernel_does_not_have(shared, guards):
    """Nothing is loaded for it."""
    with pytest.raises(UnsupportedError, match="system call mseal"):
        guards.add(point("mseal"), 1, target())
    assert (shared.objects, rows(shared)) == ([], {})


def test_a_program_that_cannot_be_attached(shared, guards):
    """The next attempt starts anew."""
    shared.cannot_attach.add("file_open")
    with pytest.raises(KernelError):
        guards.add(point("openat"), 1, target())
    shared.cannot_attach.clear()
    guards.add(point("openat"), 1, target())

    assert shared.attached == ["guard_lsm file_open"]
