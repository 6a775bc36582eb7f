# SPDX-License-Identifier: Apache-2.0
"""Long arguments are told once: by the exec itself, not by each child."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.records import HOST, exec_event, exit_event, process_of
from tetragon_py.encode.jsonl import JsonEncoder, JsonOptions
from tetragon_py.encode.timestamp import Timestamps
from tetragon_py.events.process import Process, ProcessKey

ALL = JsonOptions(
    extended=True,
    credentials=True,
    namespaces=True,
    ancestors=True,
    environment=True,
)
CONTROLS = frozenset(chr(code) for code in (*range(0x20), 0x7F, *range(0x80, 0xA0)))
#: A program that was started with a long list of names.
LONG_ARGV = b"gtar\0" + b"".join(b"name-%06d\0" % i for i in range(9_000))
KIB = 1024


def encoder(options: JsonOptions = JsonOptions()) -> JsonEncoder:  # noqa: B008 - frozen
    return JsonEncoder("vm", Timestamps(0), HOST, options)


def children_of(parent: Process, count: int = 5) -> list[Process]:
    return [
        process_of(
            exec_event(process=ProcessKey(6_000 + i, 100 + i)),
            parent=parent,
            parent_exec_id=parent.exec_id,
        )
        for i in range(count)
    ]


def body_of(line: bytes) -> dict[str, Any]:
    """What a line says of processes: the value of its first key."""
    body: dict[str, Any] = next(iter(json.loads(line).values()))
    return body


def joined(argv: bytes) -> str:
    return " ".join(argv.decode().removesuffix("\0").split("\0")[1:])


@pytest.mark.parametrize("options", [JsonOptions(), ALL])
def test_own_line_has_all_arguments(options):
    """What a process was started with is told as a whole, once by its exec."""
    assert len(LONG_ARGV) > 100 * KIB
    process = process_of(exec_event(arguments=LONG_ARGV))
    writer = encoder(options)
    for line in (writer.exec_line(process), writer.exit_line(process, exit_event())):
        told = body_of(line)["process"]

        assert told["arguments"] == joined(LONG_ARGV)
        assert "truncArgs" not in told["flags"]
        if options.extended:
            assert len(told["argv"]) == 9_001
            assert "truncated" not in told


@pytest.mark.parametrize("parent_first", [True, False])
@pytest.mark.parametrize("options", [JsonOptions(), ALL])
def test_children_show_the_first_arguments_of_their_parent(options, parent_first):
    """A process with long arguments and many children does not fill the disk."""
    parent = process_of(exec_event(arguments=LONG_ARGV))
    writer = encoder(options)
    if parent_first:
        writer.exec_line(parent)
    for child in children_of(parent):
        for line in (writer.exec_line(child), writer.exit_line(child, exit_event())):
            body = body_of(line)
            told = body["parent"]

            assert len(line) < 20 * KIB
            assert told["arguments"] == joined(LONG_ARGV[:4096])
            assert told["flags"] == "execve truncArgs clone"
            assert body["process"]["flags"] == "execve clone"
            if options.extended:
                assert len("\0".join(told["argv"])) == 4096
    own = json.loads(writer.exec_line(parent))["process_exec"]["process"]

    assert own["arguments"] == joined(LONG_ARGV)
    assert own["flags"] == "execve clone"


@pytest.mark.parametrize(("length", "cut"), [(4096, False), (4097, True)])
def test_short_arguments_of_a_parent_are_not_cut(length, cut):
    """Up to 4096 bytes children show their parent as it shows itself."""
    parent = process_of(exec_event(arguments=b"x\0" + b"a" * (length - 3) + b"\0"))
    own = json.loads(encoder().exec_line(parent))["process_exec"]["process"]
    (child,) = children_of(parent, 1)
    told = json.loads(encoder().exec_line(child))["process_exec"]["parent"]

    assert ("truncArgs" in told["flags"]) == cut
    assert (own == told) == (not cut)
    assert "truncArgs" not in own["flags"]


def fork_of(parent: Process) -> Process:
    return process_of(
        parent.exec,
        key=ProcessKey(6_000, 100),
        exec_id=b"Zm9yaw==",
        parent=parent,
        parent_exec_id=parent.exec_id,
        forked=True,
    )


@pytest.mark.parametrize("options", [JsonOptions(), ALL])
def test_forked_parents_show_their_first_arguments(options):
    """A fork has its parent's arguments; its own children show as many of them."""
    (child,) = children_of(fork_of(process_of(exec_event(arguments=LONG_ARGV))), 1)
    body = body_of(encoder(options).exec_line(child))
    for told in (body["parent"], *body.get("ancestors", [])):
        assert told["arguments"] == joined(LONG_ARGV[:4096])
        assert "truncArgs" in told["flags"]


@pytest.mark.parametrize("options", [JsonOptions(), ALL])
def test_forked_children_do_not_repeat_long_arguments(options):
    """A fork that exits without exec tells the arguments of its parent's exec, cut."""
    fork = fork_of(process_of(exec_event(arguments=LONG_ARGV)))
    line = encoder(options).exit_line(fork, exit_event())
    told = body_of(line)["process"]

    assert len(line) < 20 * KIB * (2 if options.extended else 1)
    assert told["arguments"] == joined(LONG_ARGV[:4096])
    assert "truncArgs" in told["flags"]


def chain_of(count: int, arguments: bytes) -> Process:
    """The last of so many processes, each the child of the one before."""
    process = process_of(exec_event(process=ProcessKey(10, 1), arguments=b"init\0"))
    for i in range(count):
        event = exec_event(process=ProcessKey(1_000 + i, 100 + i), arguments=arguments)
        process = process_of(event, parent=process, parent_exec_id=process.exec_id)
    return process


@pytest.mark.parametrize("argv", [b"x\0" + b"a" * 4093 + b"\0", LONG_ARGV])
def test_many_ancestors_with_long_arguments(argv):
    """A long chain of long command lines costs a bounded part of each line."""
    last = chain_of(201, argv)
    (child,) = children_of(last, 1)
    line = encoder(JsonOptions(ancestors=True)).exec_line(child)
    told = json.loads(line)["process_exec"]["ancestors"]

    assert len(line) < 150 * KIB
    assert len(told) >= 64 * KIB // (6 * KIB)
    # the nearest ones, in their order, each whole
    assert [ancestor["pid"] for ancestor in told] == list(
        range(299, 299 - len(told), -1)
    )
    assert all(len(ancestor["arguments"]) > 4000 for ancestor in told)


def test_many_ancestors_with_short_arguments_are_all_listed():
    """A chain that fits is told up to process 1."""
    last = chain_of(150, b"sh\0")
    (child,) = children_of(last, 1)
    line = encoder(JsonOptions(ancestors=True)).exec_line(child)
    told = json.loads(line)["process_exec"]["ancestors"]

    assert [ancestor["pid"] for ancestor in told] == [*range(248, 99, -1), 1]


@pytest.mark.parametrize("letter", [b"\x01", b"\xff", b"\xc3\xa4", b'"', b" "])
def test_cut_arguments_are_json_whatever_the_bytes(letter):
    """A cut within a character or an argument leaves one line of valid JSON."""
    parent = process_of(exec_event(arguments=b"x\0y\0" + letter * 5_000))
    (child,) = children_of(parent, 1)
    line = encoder(ALL).exec_line(child)

    assert not CONTROLS & set(line.decode()[:-1])
    assert "truncArgs" in json.loads(line)["process_exec"]["parent"]["flags"]
