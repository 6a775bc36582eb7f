# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.daemon.policy_names: numbers of the kernel get their texts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.compiler.fake_target import FakeTarget
from tests.unit.compiler.policies import kprobe, load
from tetragon_py.abi import _generated as c
from tetragon_py.compiler.compilation import compile_policies
from tetragon_py.compiler.plan import AttachPoint, HookPlan, SelectorPlan
from tetragon_py.daemon.policy_names import PolicyNames, entry_path
from tetragon_py.events.hook import Enforcement, HookNames, HookTexts, PolicyTexts


class Names:
    """What is entered."""

    def __init__(self):
        self.hooks = {}
        self.matches = {}

    def add_hook(self, hook, texts):
        self.hooks[hook] = texts

    def add_match(self, hook, match, texts):
        self.matches[hook, match] = texts


@pytest.fixture
def enter():
    """Name all hooks of policies, as the loader does: from 1 on."""

    def enter_policies(*specs):
        policies = [load(spec, f"p{number}") for number, spec in enumerate(specs)]
        plan = compile_policies(policies, FakeTarget()).plan
        found: Any = Names()
        names = PolicyNames(found)
        names.set_policies(policies)
        for hook, one in enumerate(plan.hooks, 1):
            told: dict[tuple[str, str], SelectorPlan] = {}
            for selector in one.selectors:
                told.setdefault((selector.policy, selector.hook_entry), selector)
            for match, selector in enumerate(told.values(), 1):
                names.name_match(hook, match, one, selector)
        return found

    return enter_policies


HOOKS = [
    ({"kprobes": [kprobe()]}, "kprobe", "security_file_permission"),
    ({"kprobes": [{"call": "sys_openat"}]}, "kprobe", "__x64_sys_openat"),
    (
        {
            "kprobes": [{"call": "list:old"}],
            "lists": [{"name": "old", "type": "syscalls", "values": ["i386/open"]}],
        },
        "kprobe",
        "__ia32_sys_open",
    ),
    (
        {"tracepoints": [{"subsystem": "sched", "event": "sched_process_exec"}]},
        "tracepoint",
        "sched/sched_process_exec",
    ),
    (
        {
            "tracepoints": [
                {"subsystem": "sched", "event": "sched_switch", "raw": True},
            ]
        },
        "tracepoint",
        "sched/sched_switch",
    ),
    ({"lsmhooks": [{"hook": "file_open"}]}, "lsm", "file_open"),
]


@pytest.mark.parametrize(("spec", "kind", "name"), HOOKS, ids=[h[2] for h in HOOKS])
def test_hooks(enter, spec, kind, name):
    """A hook has the kind of its event and the kernel's name."""
    assert enter(spec).hooks == {1: HookTexts(kind, name)}


def test_everything_that_an_event_shows(enter):
    """Message, tags, labels and types of arguments, actions by selector, return."""
    argument = {"index": 0, "type": "file", "label": "what"}
    hook = kprobe(
        [
            {"matchActions": [{"action": "DnsLookup", "argFqdn": "a.b"}]},
            {"matchActions": [{"action": "NoPost"}]},
        ],
        message="somebody looks",
        tags=["one", "two"],
        args=[argument, {"index": 1, "type": "int"}],
        **{"return": True, "returnArg": {"index": 0, "type": "int"}},
    )
    found = enter({"kprobes": [hook]})

    assert found.matches == {
        (1, 1): PolicyTexts(
            "p0",
            message="somebody looks",
            tags=("one", "two"),
            args=((0, "what", "file"), (1, None, "int")),
            data=(),
            return_slot=2,
            actions=(("DNSLOOKUP",), ("NOPOST",)),
            return_action="",
        )
    }


def test_data_and_action_of_the_return(enter):
    """What is captured beside the arguments, and what is done with the result."""
    hook = {
        "call": "sock_from",
        "syscall": False,
        "return": True,
        "returnArg": {"index": 0, "type": "sock"},
        "returnArgAction": "TrackSock",
        "args": [{"index": 0, "type": "int"}],
        "data": [{"type": "int", "source": "current_task", "resolve": "pid"}],
    }
    [texts] = enter({"kprobes": [hook]}).matches.values()

    assert texts.data == ((1, None, "int"),)
    assert (texts.return_slot, texts.return_action) == (2, "TRACKSOCK")


def test_place_holders_have_no_slot(enter):
    """What is not captured is not told: the others keep their texts."""
    nop = {"index": 0, "type": "nop"}
    argument = {"index": 1, "type": "int", "label": "what"}
    [texts] = enter({"kprobes": [kprobe(args=[nop, argument])]}).matches.values()

    assert texts.args == ((0, "what", "int"),)


def test_policies_share_a_hook(enter):
    """Each policy and each entry has its own texts at one hook."""
    spec = {"kprobes": [kprobe(message="one"), kprobe(message="two")]}
    found = enter(spec, {"kprobes": [kprobe(message="three")]})

    assert list(found.hooks) == [1]
    assert [(texts.policy_name, texts.message) for texts in found.matches.values()] == [
        ("p0", "one"),
        ("p0", "two"),
        ("p1", "three"),
    ]


POST, SIGNAL, OVERRIDE = c.ACTION_POST, c.ACTION_SIGNAL, c.ACTION_OVERRIDE


def texts_of(spec, entry, *selectors, point=None):
    """The texts of a match whose selectors are planned so: number, then changes."""
    found: Any = Names()
    names = PolicyNames(found)
    names.set_policies([load(spec, "p0")])
    plans = [SelectorPlan("p0", entry, number, 9, **one) for number, one in selectors]
    others = [replace(one, policy="p1") for one in plans]
    point = point or AttachPoint("syscall", "lseek", "x64")
    plan = HookPlan(point, (), (), (*others, *plans))
    names.name_match(1, 7, plan, plans[0])
    return found.hooks[1], found.matches[1, 7]


def test_enforcement():
    """By selector: what is only monitored, the error of a denial, the signal."""
    spec = {"kprobes": [{"call": "sys_lseek"}]}
    _, texts = texts_of(
        *(spec, "spec.kprobes[0]"),
        (0, {"actions": POST}),
        (1, {"actions": POST | SIGNAL, "signal": 18}),
        (2, {"actions": 0, "error": -1}),  # another part carries it out
        (2, {"actions": OVERRIDE, "error": -13, "failure_signal": 9}),
        (3, {"actions": POST | SIGNAL, "signal": 9, "monitored": SIGNAL}),
        (4, {"actions": c.ACTION_CLEANUP_ENFORCER}),
    )

    assert texts.enforcement == {
        1: Enforcement(0, 0, 18),
        2: Enforcement(0, 13, 9),
        3: Enforcement(SIGNAL, 0, 9),
        4: Enforcement(),
    }


@pytest.mark.parametrize("kind", ["guard", "call"])
def test_system_calls_that_are_denied(kind):
    """Wherever it is decided: the event is of the system call."""
    point = AttachPoint(kind, "lseek", "i386")
    spec = {"kprobes": [{"call": "sys_lseek"}]}
    selector = (0, {"actions": OVERRIDE})
    hook, _ = texts_of(spec, "spec.kprobes[0]", selector, point=point)

    assert hook == HookTexts("kprobe", "__ia32_sys_lseek")


@pytest.mark.parametrize(
    ("notes", "actions", "expected"),
    [
        ([{"argError": -13}], ("OVERRIDE",), Enforcement(0, 13, 0)),
        ([{"argError": -1, "argSig": 9}], ("SIGKILL", "OVERRIDE"), (0, 1, 9)),
        ([{"argSig": 10}, {"argError": -1}], ("SIGNAL", "OVERRIDE"), (0, 1, 10)),
        ([{"argError": -1}, {"argError": -2}], ("OVERRIDE",), (0, 0, 0)),
    ],
)
def test_enforcers(notes, actions, expected):
    """The event of a note that was carried out: what it said, if only one can be."""
    selectors = [
        {"matchActions": [{"action": "NotifyEnforcer", **note}]} for note in notes
    ]
    spec = {
        "enforcers": [{"calls": ["sys_lseek"]}],
        "tracepoints": [
            {"subsystem": "sched", "event": "sched_switch", "selectors": selectors}
        ],
    }
    selector = (0, {"actions": POST | c.ACTION_ENFORCE})
    hook, texts = texts_of(spec, "spec.enforcers[0]", selector)

    assert hook == HookTexts("kprobe", "__x64_sys_lseek")
    assert texts == PolicyTexts("p0", actions=(actions,), enforcement={0: expected})


def test_path_of_an_entry():
    """The text of a plan leads back to the part of the document."""
    assert entry_path("spec.lsmhooks[12]") == ("spec", "lsmhooks", 12)


# ---- numbers that are not used any more ----


MODULE = PolicyNames.__module__


class Ring:
    """So much was put in, and so much read."""

    def __init__(self):
        self.produced = self.committed = 0


class Retiring:
    """Names that one hook after the other is entered in."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(f"{MODULE}.time.monotonic", lambda: self.now)
        monkeypatch.setattr(f"{MODULE}.time.sleep", self.sleep)
        self.slept = 0
        self.rings = (Ring(), Ring())
        self.known = HookNames()
        self.names = PolicyNames(self.known, self.rings)
        policy = load({"kprobes": [kprobe()]}, "p")
        self.names.set_policies([policy])
        [self.plan] = compile_policies([policy], FakeTarget()).plan.hooks

    def sleep(self, seconds):
        self.slept += 1
        self.now += seconds
        if self.slept == 3:
            self.read()

    def enter(self, match):
        self.names.name_match(1, match, self.plan, self.plan.selectors[0])

    def read(self):
        for ring in self.rings:
            ring.committed = ring.produced

    @property
    def told(self):
        return [self.known.match(1, match).policy_name for match in (1, 2)]


@pytest.fixture
def retiring(monkeypatch):
    return Retiring(monkeypatch)


def test_old_numbers_are_forgotten_late(retiring):
    """After all records that may name them, and all that is told later."""
    retiring.enter(1)
    retiring.names.retire({(1, 1)})
    retiring.rings[1].produced = 100
    retiring.enter(2)
    retiring.names.retire({(1, 2)})
    retiring.now += 1000
    retiring.names.forget_retired()
    assert retiring.told == ["p", "p"]  # not read yet

    retiring.read()
    retiring.names.forget_retired()
    assert retiring.told == ["<unknown policy 1>", "p"]


def test_young_numbers_are_kept(retiring):
    """Repeats are told a while after the hits."""
    retiring.enter(1)
    retiring.names.retire(set())
    retiring.now += 10
    retiring.names.forget_retired()

    assert retiring.told[0] == "p"


def test_waiting_for_who_reads(retiring):
    """Until all is read that may have the old meaning; not for ever."""
    retiring.names.await_reading(5)
    assert retiring.slept == 0
    retiring.enter(1)
    retiring.rings[0].produced = 100
    retiring.names.retire(set())
    retiring.names.await_reading(5)
    assert retiring.slept == 3

    retiring.rings[0].produced = 200
    retiring.enter(2)
    retiring.names.retire(set())
    retiring.names.await_reading(0.01)
    assert 10 <= retiring.slept - 3 < 20
