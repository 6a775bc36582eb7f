# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.daemon.policy_names: numbers of the kernel get their texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.compiler.fake_target import FakeTarget
from tests.unit.compiler.policies import kprobe, load
from tetragon_py.compiler.compilation import compile_policies
from tetragon_py.daemon.policy_names import PolicyNames, entry_path
from tetragon_py.events.hook import HookTexts, PolicyTexts

if TYPE_CHECKING:
    from tetragon_py.compiler.plan import SelectorPlan


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


def test_path_of_an_entry():
    """The text of a plan leads back to the part of the document."""
    assert entry_path("spec.lsmhooks[12]") == ("spec", "lsmhooks", 12)
