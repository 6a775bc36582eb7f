# SPDX-License-Identifier: Apache-2.0
"""Hits as Tetragon writes them: whole lines, whatever was kept from those before."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.records import (
    HOST,
    argument,
    exec_event,
    hook_event,
    match_bytes,
    number,
    path_argument,
    process_of,
)
from tetragon_py.abi import _generated as c
from tetragon_py.encode import hook_json
from tetragon_py.encode.jsonl import JsonEncoder, JsonOptions
from tetragon_py.encode.timestamp import Timestamps
from tetragon_py.events.hook import (
    Enforcement,
    HookNames,
    HookTexts,
    Match,
    PolicyTexts,
)
from tetragon_py.events.process import Process, ProcessKey
from tetragon_py.events.repeat import RepeatEvent

ALL = JsonOptions(
    extended=True, credentials=True, namespaces=True, ancestors=True, environment=True
)
CONTROLS = frozenset(chr(code) for code in (*range(0x20), 0x7F, *range(0x80, 0xA0)))
SEEK = (
    number(c.ARGUMENT_UINT32, 3),
    number(c.ARGUMENT_INT64, -7, slot=1),
    number(c.ARGUMENT_UINT32, 2, slot=2),
)
SEEK_ARGS = ((0, None, "uint32"), (1, "offset", "long"), (2, None, "uint32"))


def encoder(options: JsonOptions = JsonOptions()) -> JsonEncoder:  # noqa: B008 - frozen
    return JsonEncoder("vm", Timestamps(0), HOST, options)


def names() -> HookNames:
    made = HookNames()
    made.add_hook(9, HookTexts("kprobe", "__x64_sys_lseek"))
    made.add_match(9, 5, PolicyTexts("seek", args=SEEK_ARGS))
    return made


def family() -> Process:
    """curl, started by a shell, started by init."""
    init = process_of(exec_event(process=ProcessKey(10, 1)))
    shell = process_of(exec_event(process=ProcessKey(100, 50)), parent=init)
    return process_of(exec_event(arguments=b"curl\x00100%d\0"), parent=shell)


PROCESS = (
    b'{"exec_id":"42","pid":42,"uid":0,"cwd":"/root","binary":"/usr/bin/curl",'
    b'"arguments":"100%d","flags":"execve clone",'
    b'"start_time":"1970-01-01T00:00:00.000005000Z","auid":0,"tid":43,'
    b'"in_init_tree":false}'
)
PARENT = (
    b'{"exec_id":"50","pid":50,"uid":0,"cwd":"/root","binary":"/usr/bin/curl",'
    b'"flags":"execve clone","start_time":"1970-01-01T00:00:00.000000100Z","auid":0,'
    b'"tid":50,"in_init_tree":false}'
)


def test_line():
    """The plain line of a hit, to the byte; the thread is the one that hit."""
    writer = encoder()
    lines = [writer.hook_lines(family(), hook_event(SEEK), names()) for _ in range(2)]

    assert lines[0] == lines[1]
    assert lines[0] == [
        b'{"process_kprobe":{"process":%b,"parent":%b,'
        b'"function_name":"__x64_sys_lseek","args":[{"uint_arg":3},'
        b'{"long_arg":"-7","label":"offset"},{"uint_arg":2}],'
        b'"action":"KPROBE_ACTION_POST","policy_name":"seek",'
        b'"return_action":"KPROBE_ACTION_POST"},"node_name":"vm",'
        b'"time":"1970-01-01T00:00:00.000006000Z"}\n' % (PROCESS, PARENT)
    ]


def test_process_is_that_of_other_events():
    """But for the thread, it is told in the words of exec and exit."""
    process, writer = family(), encoder()
    exec_line = json.loads(writer.exec_line(process))["process_exec"]
    (line,) = writer.hook_lines(process, hook_event(SEEK), names())
    body = json.loads(line)["process_kprobe"]

    assert body["process"] == exec_line["process"] | {"tid": 43}
    assert list(body["process"]) == list(exec_line["process"])
    assert body["parent"] == exec_line["parent"]


def test_one_line_per_policy():
    """Each policy shows its own arguments; time and sequence are the same."""
    known = names()
    known.add_match(9, 6, PolicyTexts("other", args=((2, None, "uint32"),)))
    event = hook_event(SEEK, [match_bytes(5), match_bytes(6), match_bytes(7)])
    lines = encoder(ALL).hook_lines(family(), event, known)
    told = [json.loads(line) for line in lines]
    bodies = [line["process_kprobe"] for line in told]

    assert [body["policy_name"] for body in bodies] == [
        *("seek", "other", "<unknown policy 7>")
    ]
    assert [len(body["args"]) for body in bodies] == [3, 1, 3]
    assert {line["sequence"] for line in told} == {"11"}
    assert len({line["time"] for line in told}) == 1


def test_everything_at_once():
    """All options: ancestors, who saw it, where, when it was entered."""
    event = hook_event(SEEK, flags=c.HOOK_RETURNED, entry_ns=5_500)
    (line,) = encoder(ALL).hook_lines(family(), event, names())
    told = json.loads(line)
    body = told["process_kprobe"]

    assert list(told) == [
        *("process_kprobe", "node_name", "time", "cpu", "sequence", "lane")
    ]
    assert (told["cpu"], told["sequence"], told["lane"]) == (3, "11", "policy")
    assert told["time"] == "1970-01-01T00:00:00.000006000Z"
    assert [ancestor["pid"] for ancestor in body["ancestors"]] == [1]
    assert body["hit"]["entry_time"] == "1970-01-01T00:00:00.000005500Z"
    assert body["hit"]["effect"] == "observed"
    assert "cap" in body["process"]
    assert "argv" in body["process"]


def test_lanes_have_names():
    """One that this version does not know is a number; no time of entry is the time."""
    event = hook_event(SEEK, flags=c.HOOK_RETURNED)
    for lane, name in ((c.LANE_VERDICT, "verdict"), (7, "7")):
        (line,) = encoder(ALL).hook_lines(family(), event._replace(lane=lane), names())
        told = json.loads(line)

        assert told["lane"] == name
        assert told["process_kprobe"]["hit"]["entry_time"] == told["time"]


@pytest.mark.parametrize("options", [JsonOptions(), ALL])
def test_unknown_process(options):
    """A process of which only the key is known has its thread too."""
    process = process_of(exec_event(), known=False)
    (line,) = encoder(options).hook_lines(process, hook_event(SEEK), names())
    body = json.loads(line)["process_kprobe"]

    assert body["process"]["flags"] == "unknown"
    assert body["process"]["tid"] == 43
    assert "parent" not in body


def test_unknown_processes_are_not_kept():
    """They are made for each event, and would push out those that come again."""
    writer = encoder()
    hooks = writer.hook_lines.__self__  # type: ignore[attr-defined] # a bound method
    writer.hook_lines(family(), hook_event(SEEK), names())
    for _ in range(3):
        stranger = process_of(exec_event(), known=False)
        writer.hook_lines(stranger, hook_event(SEEK), names())

    assert len(hooks._processes) == 1


def test_new_texts_are_told_at_once():
    """What was kept of a policy goes when the names change, also to another object."""
    writer, process, event = encoder(), family(), hook_event(SEEK)
    known = HookNames()

    def policy(registry):
        (line,) = writer.hook_lines(process, event, registry)
        return json.loads(line)["process_kprobe"]["policy_name"]

    assert policy(known) == "<unknown policy 5>"
    known.add_match(9, 5, PolicyTexts("a"))
    assert policy(known) == "a"
    known.add_match(9, 5, PolicyTexts("b"))
    assert policy(known) == "b"
    other = HookNames()
    other.add_match(9, 5, PolicyTexts("c"))
    other.version = known.version
    assert policy(other) == "c"
    known.forget(9, 5)
    assert policy(known) == "<unknown policy 5>"


FORMS = [
    hook_event(SEEK),
    hook_event([SEEK[0], *SEEK[2:]]),
    hook_event(SEEK, flags=c.HOOK_ARGUMENTS_CUT),
    hook_event(SEEK, hook=8),
    hook_event(SEEK, [match_bytes(6)]),
    hook_event(SEEK, [match_bytes(5, 1, 0x10), match_bytes(5)]),
    hook_event([path_argument(), argument(c.ARGUMENT_STRING, b"a", slot=1)]),
    hook_event([argument(c.ARGUMENT_INT32, error=14)]),
    hook_event([argument(c.ARGUMENT_INT32, depth=1, error=14)]),
]


def repeated(options: JsonOptions, **changes) -> bytes:
    """The line of 4,900 denied hits of a child of a shell."""
    told = names()
    known = {0: Enforcement(0, 13, 0)}
    texts = PolicyTexts("seek", "100%d", ("a",), SEEK_ARGS)
    texts = replace(texts, actions=(("OVERRIDE",),), enforcement=known)
    told.add_match(9, 5, texts)
    match = Match(5, 0, 0x21, 0x21, c.MECHANISM_LSM, 0)
    event = RepeatEvent(9, match, 4900, 1_000_000_000, 2_000_000_000)
    process = replace(family(), **changes)
    return encoder(options).repeat_line(process, event, told)


def test_repeats():
    """The event of a hit, of which there were many; no arguments."""
    line = json.loads(repeated(JsonOptions()))
    body = line["process_kprobe"]

    assert list(line) == ["process_kprobe", "node_name", "time", "aggregation_info"]
    assert line["aggregation_info"] == {"count": "4900"}
    assert line["time"] == "1970-01-01T00:00:02.000000000Z"
    assert list(body) == [
        *("process", "parent", "function_name", "action", "policy_name"),
        *("return_action", "message", "tags"),
    ]
    assert body["action"] == "KPROBE_ACTION_OVERRIDE"
    assert body["message"] == "100%d"
    assert (body["process"]["pid"], body["process"]["tid"]) == (42, 42)


@pytest.mark.parametrize("known", [False, True])
def test_repeats_with_everything(known):
    """How it was enforced, since when, and all that is said of the process."""
    line = json.loads(repeated(ALL, known=known))
    body = line["process_kprobe"]

    assert (line["lane"], line["aggregation_info"]) == ("verdict", {"count": "4900"})
    assert not {"cpu", "sequence"} & line.keys()
    assert body["ancestors"][0]["pid"] == 1
    assert body["hit"] == {
        "selector": 0,
        "asked": ["OVERRIDE"],
        "done": ["POST", "OVERRIDE"],
        "mode": "enforce",
        "effect": "denied",
        "mechanism": "lsm",
        "errno": "EACCES",
        "since": "1970-01-01T00:00:01.000000000Z",
    }


@given(st.lists(st.sampled_from(FORMS), min_size=1, max_size=6))
def test_forms_do_not_mix(events):
    """A line is the same whatever other hits came before it."""
    known, process, writer = names(), family(), encoder()
    for event in events:
        fresh = encoder().hook_lines(process, event, known)

        assert writer.hook_lines(process, event, known) == fresh


def test_processes_do_not_mix():
    """Each hit has its own process and thread, kept or not."""
    writer, known = encoder(), names()
    processes = [process_of(exec_event(process=ProcessKey(1, i))) for i in range(1, 5)]
    for process in processes * 2:
        for tid in (process.key.tgid, 1_000):
            event = hook_event(SEEK, process=process.key, tid=tid)
            (line,) = writer.hook_lines(process, event, known)
            shown = json.loads(line)["process_kprobe"]["process"]

            assert (shown["pid"], shown["tid"]) == (process.key.tgid, tid)


def test_what_is_kept_is_bounded(monkeypatch):
    """Neither ever other processes nor ever other policies fill the memory."""
    monkeypatch.setattr(hook_json, "_PROCESSES_MAX", 4)
    monkeypatch.setattr(hook_json, "_FORMS_MAX", 4)
    monkeypatch.setattr(hook_json, "_PROCESS_BYTES", 1_000)
    writer = encoder()
    hooks = writer.hook_lines.__self__  # type: ignore[attr-defined] # a bound method
    for i in range(20):
        event = hook_event(SEEK, [match_bytes(i), match_bytes(i + 100)])
        process = process_of(exec_event(arguments=b"x\0" + b"a" * i * 100 + b"\0"))
        lines = writer.hook_lines(process, event, names())

        assert len(lines) == 2
        assert sum(map(len, hooks._forms.values())) <= 4
        assert len(hooks._processes) <= 4
    assert hooks._processes
    assert all(sum(map(len, texts)) <= 1_000 for texts in hooks._processes.values())


HOSTILE = st.binary(max_size=40) | st.sampled_from(
    [b'","tid":1,"x":"', b'","ancestors":["', b"%d%b%", b"\x7f\xc2\x9b\x1b[2J\n\0"]
)


@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE, st.booleans())
def test_any_bytes_give_one_line_of_json(filename, arguments, path, text, is_extended):
    """A text of the workload is never taken for a key, a conversion or an end."""
    process = process_of(
        exec_event(filename=filename, arguments=b"\0" + arguments, cwd=text),
        parent=process_of(exec_event(filename=arguments, cwd=filename)),
    )
    event = hook_event(
        [path_argument(path), argument(c.ARGUMENT_STRING, text, slot=1), SEEK[2]]
    )
    known = names()
    (line,) = encoder(ALL if is_extended else JsonOptions()).hook_lines(
        process, event, known
    )
    decoded = line.decode()
    body = json.loads(decoded)["process_kprobe"]

    assert decoded[-1] == "\n"
    assert not CONTROLS & set(decoded[:-1])
    assert body["process"]["tid"] == 43
    assert body["args"][1]["string_arg"] == text.decode("utf-8", "replace")
    assert body["policy_name"] == "seek"
