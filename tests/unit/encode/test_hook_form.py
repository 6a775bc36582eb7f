# SPDX-License-Identifier: Apache-2.0
"""Keys in the order of Tetragon's proto file, constants safe from conversions."""

from __future__ import annotations

import json

import pytest

from tests.unit.records import (
    argument,
    hook_event,
    match_bytes,
    number,
    path_argument,
)
from tetragon_py.abi import _generated as c
from tetragon_py.encode.argument_json import ArgumentJson
from tetragon_py.encode.hook_form import TIME, FormMaker
from tetragon_py.encode.jsonl import JsonOptions
from tetragon_py.events.hook import HookNames, HookTexts, PolicyTexts

POLICY = PolicyTexts(
    "p%d",
    message="100% %b",
    tags=("%s", "b\udcff"),
    args=((0, None, "int"), (1, "l%", "string")),
    data=((2, None, "uint64"),),
    return_slot=3,
    actions=(("POST",), ("SIGKILL", "POST")),
)
ARGUMENTS = (
    number(c.ARGUMENT_INT32, 1),
    argument(c.ARGUMENT_STRING, b"x", slot=1),
    number(c.ARGUMENT_UINT64, 2, slot=2),
    number(c.ARGUMENT_INT32, -1, slot=3),
)
HEAD = ["process", "parent"]


def maker(**options: bool | str) -> FormMaker:
    shown = JsonOptions(**options)  # type: ignore[arg-type] # bool or text
    arguments = ArgumentJson(7, extended=shown.extended)
    return FormMaker(arguments, shown, b',"node_name":"100%","time":"')


def told(kind, name="f", policy=POLICY, arguments=ARGUMENTS, options=None, **changes):
    """A line with small values for all fields."""
    event = hook_event(arguments, **changes)
    form = maker(**(options or {})).make(
        event, event.matches[0], HookTexts(kind, name), policy
    )
    extra = [b',"ancestors":[]', b"entry", 3, 11, b"policy", b"now"]
    values = [*event.values, *extra]
    fields = form.fields
    if fields is None:
        fields = tuple((i, None) for i in [*range(len(event.values)), TIME])
    shown = [write(values[i]) if write else values[i] for i, write in fields]
    line = form.text % (b'{"tid":', 43, b'},"parent":{}', *shown)
    assert line.endswith(b"}\n")
    return json.loads(line)


def test_kprobes():
    """Arguments, what was returned, the policy, its data last."""
    line = told("kprobe")
    body = line["process_kprobe"]

    assert list(line) == ["process_kprobe", "node_name", "time"]
    assert line["node_name"] == "100%"
    assert line["time"] == "now"
    assert list(body) == [
        *(*HEAD, "function_name", "args", "return", "action", "policy_name"),
        *("return_action", "message", "tags", "data"),
    ]
    assert body["process"] == {"tid": 43}
    assert body["function_name"] == "f"
    assert body["args"] == [{"int_arg": 1}, {"string_arg": "x", "label": "l%"}]
    assert body["return"] == {"int_arg": -1}
    assert body["action"] == body["return_action"] == "KPROBE_ACTION_POST"
    assert body["policy_name"] == "p%d"
    assert body["message"] == "100% %b"
    assert body["tags"] == ["%s", "b?"]
    assert body["data"] == [{"size_arg": "2"}]


def test_tracepoints():
    """Subsystem and event apart; no data, nothing is returned."""
    body = told("tracepoint", "sched/sched_process_exec")["process_tracepoint"]

    assert list(body) == [
        *(*HEAD, "subsys", "event", "args", "policy_name", "action", "message", "tags")
    ]
    assert (body["subsys"], body["event"]) == ("sched", "sched_process_exec")
    assert "subsys" not in told("tracepoint", "alone")["process_tracepoint"]


def test_lsm():
    """The policy comes before the arguments."""
    body = told("lsm", "file_open")["process_lsm"]

    assert list(body) == [
        *(*HEAD, "function_name", "policy_name", "message", "args", "action", "tags")
    ]
    assert body["function_name"] == "file_open"


@pytest.mark.parametrize("kind", ["kprobe", "tracepoint", "lsm"])
def test_empty_members_are_left_out(kind):
    """No arguments, no message, no tags: no keys."""
    body = told(kind, policy=PolicyTexts("p"))[f"process_{kind}"]

    assert not {"args", "message", "tags", "data", "return"} & body.keys()
    assert {"policy_name", "action"} <= body.keys()


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("kprobe", "tags", ["ancestors", "data", "hit"]),
        ("tracepoint", "tags", ["ancestors", "hit"]),
        ("lsm", "tags", ["ancestors", "hit"]),
    ],
)
def test_options(kind, before, after):
    """Ancestors where the proto file has them, ours behind all others."""
    line = told(kind, options={"ancestors": True, "extended": True})
    keys = list(line[f"process_{kind}"])

    assert keys[keys.index(before) + 1 :] == after
    assert list(line)[1:] == ["node_name", "time", "cpu", "sequence", "lane"]
    assert (line["cpu"], line["sequence"], line["lane"]) == (3, "11", "policy")


def test_run():
    """Whose numbering it is stands behind the number."""
    line = told("kprobe", options={"run": "cafe", "extended": True})

    assert list(line)[3:] == ["cpu", "sequence", "run", "lane"]
    assert line["run"] == "cafe"
    assert "run" not in told("kprobe", options={"run": "cafe"})


def test_hit():
    """What was asked for, what was done; when it was entered, what is missing."""
    changes = {
        "matches": [match_bytes(5, 1, 0x11, 0x1, -3)],
        "flags": c.HOOK_RETURNED | c.HOOK_ARGUMENTS_CUT,
    }
    body = told("kprobe", options={"extended": True}, **changes)["process_kprobe"]

    assert body["hit"] == {
        "selector": 1,
        "asked": ["SIGKILL", "POST"],
        "done": ["POST"],
        "effect": "failed",
        "error": "ESRCH",
        "reason": "in interrupt context: the current process is not the culprit",
        "entry_time": "entry",
        "truncated": True,
    }


@pytest.mark.parametrize(
    ("selector", "done", "action"),
    [
        (0, 0x1, "POST"),
        (1, 0x10, "SIGKILL"),
        (1, 0x0, "POST"),
        (9, 0x10, "SIGNAL"),
        (65535, 0x1, "POST"),
    ],
)
def test_action_is_the_selectors(selector, done, action):
    """Each selector has its own actions; one that is not known goes by the bits."""
    matches = [match_bytes(5, selector, 0x11, done)]
    body = told("kprobe", matches=matches)["process_kprobe"]

    assert body["action"] == body["return_action"] == f"KPROBE_ACTION_{action}"


def test_arguments_are_the_policys():
    """Its own slots in its own order, also one twice; what was not captured is not."""
    slots = ((3, None, "int"), (9, None, "int"), (0, "again", "int"), (0, None, "int"))
    policy = PolicyTexts("p", args=slots)

    assert told("lsm", policy=policy)["process_lsm"]["args"] == [
        {"int_arg": -1},
        {"int_arg": 1, "label": "again"},
        {"int_arg": 1},
    ]
    policy = PolicyTexts("p", args=((9, None, "int"),), return_slot=9)
    assert (
        not {"args", "return"} & told("kprobe", policy=policy)["process_kprobe"].keys()
    )


def test_text_that_came_as_a_file():
    """The kernel's own file instead of the text that a thread could change."""
    arguments = [path_argument(b"/etc/a"), path_argument(b"/etc/b", slot=1)]
    policy = PolicyTexts("p", args=((0, "path", "string"), (1, None, "file")))
    body = told("kprobe", policy=policy, arguments=arguments)["process_kprobe"]

    assert body["args"] == [
        {"string_arg": "/etc/a", "label": "path"},
        {"file_arg": {"path": "/etc/b", "permission": "-rw-r--r--"}},
    ]


def test_arguments_without_room_keep_their_place():
    """Where the record was full, later arguments do not move forward."""
    policy = PolicyTexts("p", args=((9, None, "string"), (0, None, "int")))
    body = told("kprobe", policy=policy, flags=c.HOOK_ARGUMENTS_CUT)["process_kprobe"]

    assert body["args"] == [
        {"error_arg": {"Message": "No room in the event"}},
        {"int_arg": 1},
    ]


def test_place_holders_are_not_shown():
    """A nop is in no list, and a list of nops is none."""
    arguments = [argument(c.ARGUMENT_NOP), number(c.ARGUMENT_INT32, 1, slot=1)]
    both = PolicyTexts("p", args=((0, None, "nop"), (1, None, "int")))
    one = PolicyTexts("p", args=((0, None, "nop"),))

    assert told("lsm", policy=both, arguments=arguments)["process_lsm"]["args"] == [
        {"int_arg": 1}
    ]
    assert "args" not in told("lsm", policy=one, arguments=arguments)["process_lsm"]


def test_unknown_numbers_are_told():
    """A hook and a policy that nobody entered show all that there is."""
    names = HookNames()
    event = hook_event(ARGUMENTS)
    form = maker().make(event, event.matches[0], names.hook(9), names.match(9, 5))

    assert b'"function_name":"<unknown hook 9>"' in form.text
    assert b'"policy_name":"<unknown policy 5>"' in form.text
    assert form.text.count(b"_arg") == 3  # the text of the fourth comes with its value
    assert b'"return":' not in form.text


def test_plain_forms_need_no_fields():
    """Where all values are shown as they are, nothing is picked."""
    numbers = [number(c.ARGUMENT_INT32, 1), number(c.ARGUMENT_INT32, 2, slot=1)]
    event = hook_event(numbers)
    slots = ((0, None, "int"), (1, None, "int"))

    def fields(args):
        policy = PolicyTexts("p", args=args)
        return (
            maker().make(event, event.matches[0], HookTexts("lsm", "f"), policy).fields
        )

    assert fields(slots) is None
    assert fields(slots[::-1]) == ((1, None), (0, None), (TIME, None))
    assert fields(slots[:1]) == ((0, None), (TIME, None))
