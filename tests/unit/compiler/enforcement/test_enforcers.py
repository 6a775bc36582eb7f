# SPDX-License-Identifier: Apache-2.0
"""Where that takes effect which NotifyEnforcer has left for a thread."""

from __future__ import annotations

import pytest

from tests.unit.compiler.fake_target import FakeTarget
from tests.unit.compiler.policies import findings, kprobe, load
from tetragon_py.abi import _generated as c
from tetragon_py.compiler.compilation import compile_policies
from tetragon_py.compiler.enforcement.enforcers import (
    compile_enforcers,
    enforcer_number,
)
from tetragon_py.compiler.hooks import Lists
from tetragon_py.compiler.plan import AttachPoint
from tetragon_py.policy.diagnostic import Cause, Finding

NOTIFY = {"action": "NotifyEnforcer", "argError": -1, "argSig": 9}
CALL = frozenset({"fmod_ret_syscall"})


def target(**fields):
    calls = {"x64": {"setuid": 105, "getpid": 39}, "i386": {"setuid": 23}}
    return FakeTarget(syscalls=calls, **fields)


def spec(*calls, lists=()):
    """A function that notifies the enforcers of these calls."""
    return {
        "kprobes": [kprobe([{"matchActions": [NOTIFY]}])],
        "enforcers": [{"calls": list(calls)}],
        "lists": list(lists),
    }


def entries(*calls, lists=(), **fields):
    """The entries, and what is said."""
    policy = load(spec(*calls, lists=lists)).policy
    found: list[Finding] = []
    known = Lists.of(policy.spec.lists)
    made = compile_enforcers(policy, known, target(**fields), found)
    return list(made), found


GUARD = AttachPoint("guard", "setuid", "x64", "task_fix_setuid")
COMPAT = AttachPoint("guard", "setuid", "i386", "task_fix_setuid")
FUNCTION = AttachPoint("function", "security_bprm_check")


@pytest.mark.parametrize(
    ("calls", "features", "points"),
    [
        (["sys_setuid"], (), [GUARD]),
        (["i386/sys_setuid"], (), [COMPAT]),
        (["security_bprm_check"], (), [FUNCTION]),
        (["list:own"], (), [GUARD, COMPAT]),
        (["sys_setuid", "list:own"], (), [GUARD, COMPAT]),  # each once
        (["sys_setuid"], CALL, [GUARD]),  # what the kernel has read is better
        (["sys_getpid"], CALL, [AttachPoint("call", "getpid", "x64")]),
    ],
)
def test_where_it_takes_effect(calls, features, points):
    """In the LSM hooks that a call passes, else in its function."""
    names = ["sys_setuid", "i386/sys_setuid"]
    lists = [{"name": "own", "type": "syscalls", "values": names}]
    made, found = entries(*calls, lists=lists, features=frozenset(features))

    assert [entry.point for entry in made] == points
    assert found == []


def test_a_call_that_cannot_be_enforced():
    """It is told at the place of its name, with what can be done."""
    made, [found] = entries("sys_setuid", "sys_getpid")

    assert [entry.point for entry in made] == [GUARD]
    assert found.path == ("spec", "enforcers", 0, "calls", 1)
    assert found.message == (
        "this kernel cannot enforce anything on 'getpid': it passes no LSM hook, and "
        "the kernel has no error injection"
    )
    assert (found.hint_text, found.cause) == (
        "use Sigkill where NotifyEnforcer is",
        Cause.KERNEL,
    )


def test_a_name_that_nobody_knows():
    """The finding is where the name was written, as in a hook."""
    assert findings(spec("sys_setuidd"), target())[0][0] == "spec.enforcers[0].calls[0]"


def test_only_what_was_noted_for_this_policy():
    """The entry asks for a note of its policy, and shows no arguments."""
    [entry], _ = entries("sys_setuid")
    [selector] = entry.selectors
    [(lookup, tests)] = selector.conditions
    number = enforcer_number("one")

    assert (entry.args, entry.data, entry.place) == ((), (), "spec.enforcers[0]")
    assert selector.actions.actions == c.ACTION_POST | c.ACTION_ENFORCE
    assert lookup.place.source == c.SOURCE_ENFORCER
    assert [test.intervals for test in tests] == [((number, number),)]


def test_who_notifies_has_the_same_number():
    """It is not that of another policy, and not 0."""
    plan = compile_policies([load(spec("sys_setuid"))], target()).plan
    [notifier] = [hook for hook in plan.hooks if hook.point.kind == "function"]

    assert notifier.selectors[0].enforcer == enforcer_number("one") != 0
    assert not notifier.wants_denial
    assert enforcer_number("one") != enforcer_number("two")
