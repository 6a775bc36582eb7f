# SPDX-License-Identifier: Apache-2.0
"""Lines as Tetragon writes them: keys, order, what is left out, whatever the bytes."""

from __future__ import annotations

import gc
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.records import HOST, exec_event, exec_record, exit_event, process_of
from tetragon_py.abi import _generated as c
from tetragon_py.decode.process import decode_exec
from tetragon_py.encode.jsonl import JsonEncoder, JsonOptions
from tetragon_py.encode.timestamp import Timestamps
from tetragon_py.events.agent import LossEvent, LossSource
from tetragon_py.events.process import (
    CgroupInfo,
    Credentials,
    Image,
    Process,
    ProcessKey,
)

ALL = JsonOptions(
    extended=True,
    credentials=True,
    namespaces=True,
    ancestors=True,
    environment=True,
)
CONTAINER = CgroupInfo(
    "/system.slice/docker-1.scope", "docker-1.scope", "", "system.slice", "", "", ""
)
#: The order of Tetragon's proto file, ours, and the part that is made per event.
PROCESS_KEYS = (
    *("exec_id", "pid", "uid", "cwd", "binary", "arguments", "flags", "start_time"),
    *("auid", "docker", "parent_exec_id", "cap", "ns", "tid", "process_credentials"),
    *("binary_properties", "user", "in_init_tree"),
    *("argv", "executable", "interpreter", "tty", "cgroup", "unit", "user_unit"),
    *("slice", "session", "container_id", "container_runtime", "truncated", "errors"),
    *("inode", "device", "environment_variables"),
)
CONTROLS = frozenset(chr(code) for code in (*range(0x20), 0x7F, *range(0x80, 0xA0)))


def encoder(options: JsonOptions = JsonOptions(), **more) -> JsonEncoder:  # noqa: B008 - frozen
    return JsonEncoder("vm", Timestamps(0), HOST, options, **more)


def family() -> Process:
    """curl, started by a shell, started by init, started by the kernel."""
    kernel = process_of(
        exec_event(
            process=ProcessKey(1, 0),
            filename=b"<kernel>",
            is_kernel=True,
            executable=b"",
            cwd=b"",
            arguments=b"",
            from_procfs=True,
        ),
        exec_id=b"a2VybmVs",
    )
    init = process_of(
        exec_event(process=ProcessKey(10, 1), filename=b"/sbin/init", cwd=b"/"),
        exec_id=b"aW5pdA==",
        parent=kernel,
        parent_exec_id=kernel.exec_id,
    )
    shell = process_of(
        exec_event(process=ProcessKey(100, 50), filename=b"/bin/sh"),
        exec_id=b"c2hlbGw=",
        parent=init,
        parent_exec_id=init.exec_id,
    )
    return process_of(
        exec_event(arguments=b"curl\0-s\0a b\0"),
        exec_id=b"Y3VybA==",
        parent=shell,
        parent_exec_id=shell.exec_id,
    )


SHELL_LINE = (
    b'{"exec_id":"c2hlbGw=","pid":50,"uid":0,"cwd":"/root","binary":"/bin/sh",'
    b'"flags":"execve clone","start_time":"1970-01-01T00:00:00.000000100Z",'
    b'"auid":0,"parent_exec_id":"aW5pdA==","tid":50,"in_init_tree":false}'
)
CURL_LINE = (
    b'{"exec_id":"Y3VybA==","pid":42,"uid":0,"cwd":"/root",'
    b'"binary":"/usr/bin/curl","arguments":"-s \\"a b\\"","flags":"execve clone",'
    b'"start_time":"1970-01-01T00:00:00.000005000Z","auid":0,'
    b'"parent_exec_id":"c2hlbGw=","tid":42,"in_init_tree":false}'
)


def test_exec_line():
    """The plain line of an exec, to the byte."""
    assert encoder().exec_line(family()) == (
        b'{"process_exec":{"process":%b,"parent":%b},"node_name":"vm",'
        b'"time":"1970-01-01T00:00:00.000005000Z"}\n' % (CURL_LINE, SHELL_LINE)
    )


def test_exit_line():
    """The plain line of an exit, to the byte: same process, the time twice."""
    assert encoder().exit_line(family(), exit_event(status=2 << 8)) == (
        b'{"process_exit":{"process":%b,"parent":%b,"status":2,'
        b'"time":"1970-01-01T00:00:00.000009000Z"},"node_name":"vm",'
        b'"time":"1970-01-01T00:00:00.000009000Z"}\n' % (CURL_LINE, SHELL_LINE)
    )


@pytest.mark.parametrize(
    ("status", "end"),
    [
        (0, {}),
        (1 << 8, {"status": 1}),
        (255 << 8, {"status": 255}),
        (9, {"signal": "SIGKILL"}),
        (11 | 0x80, {"signal": "SIGSEGV"}),
        (35, {"signal": "SIGRTMIN+1"}),
        (1 << 16, {}),
    ],
)
def test_exit_tells_signal_or_status(status, end):
    """How a process ended: nothing for 0, a signal by name, a status by number."""
    body = json.loads(encoder().exit_line(family(), exit_event(status=status)))
    told = body["process_exit"]

    assert end == {key: told[key] for key in ("signal", "status") if key in told}
    assert "core_dumped" not in told


def test_exit_tells_a_core_dump():
    """The extended fields keep the bit that Tetragon strips."""
    for status, dumped in ((11, False), (11 | 0x80, True)):
        line = encoder(ALL).exit_line(family(), exit_event(status=status))

        assert dumped is json.loads(line)["process_exit"].get("core_dumped", False)


def test_loss_line():
    """A loss tells lane, cause, how many of what, when and by whom."""
    event = LossEvent(
        *("lifecycle", "ring_full", {"fork": 2, "exec": 1}, 1_000, 3_000),
        [LossSource(42, 2, family()), LossSource(7, 1)],
    )

    assert encoder(ALL).loss_line(event) == (
        b'{"loss":{"lane":"lifecycle","cause":"ring_full","total":"3",'
        b'"counts":{"fork":"2","exec":"1"},"since":"1970-01-01T00:00:00.000001000Z",'
        b'"until":"1970-01-01T00:00:00.000003000Z","sources":[{"pid":42,'
        b'"exec_id":"Y3VybA==","binary":"/usr/bin/curl","count":"2"},'
        b'{"pid":7,"exec_id":"","binary":"","count":"1"}]},"node_name":"vm",'
        b'"time":"1970-01-01T00:00:00.000003000Z"}\n'
    )


def test_loss_without_sources():
    """Losses in user space have nobody behind them."""
    event = LossEvent("lifecycle", "sink", {"line": 5}, 0, 0)

    assert "sources" not in json.loads(encoder().loss_line(event))["loss"]


def test_everything_at_once_in_its_order():
    """Keys stand in the order of Tetragon's API, then ours, then those of execs."""
    credentials = Credentials._make([*range(1, 11), 1, 2, 4, 0, 0])
    event = exec_event(
        flags=c.EXEC_SETUID | c.EXEC_ARGUMENTS_CUT,
        credentials=credentials,
        interpreter=b"/bin/sh",
        tty=b"pts0",
        cgroup_path=b"/a",
        arguments=b"x\0y\0",
        environment=b"A=1\0B=2\0",
        errors={"executable": 14, "environment": 7},
    )
    process = process_of(
        event,
        parent=family(),
        parent_exec_id=b"cA==",
        cgroup=CgroupInfo(
            "/a", "a.service", "b.service", "a.slice", "1", "f" * 64, "docker"
        ),
    )
    line = encoder(ALL, user_name=lambda uid: f"user{uid}").exec_line(process)
    told = json.loads(line)
    shown = told["process_exec"]["process"]

    assert list(told) == ["process_exec", "node_name", "time", "cpu", "sequence"]
    assert list(told["process_exec"]) == ["process", "parent", "ancestors"]
    assert list(shown) == list(PROCESS_KEYS)
    assert (told["cpu"], told["sequence"]) == (3, "11")
    assert shown["uid"] == 3  # the effective one
    assert shown["auid"] == 10
    assert shown["user"] == {"name": "user3"}
    assert shown["docker"] == "f" * 31
    assert shown["cap"] == {
        "permitted": ["CAP_CHOWN"],
        "effective": ["DAC_OVERRIDE"],
        "inheritable": ["CAP_DAC_READ_SEARCH"],
    }
    assert shown["inode"] == {"number": "77", "links": 1}
    assert shown["truncated"] == ["arguments"]
    assert shown["errors"] == {"executable": 14, "environment": 7}
    assert shown["binary_properties"]["setuid"] == 3
    assert shown["environment_variables"] == [
        {"Key": "A", "Value": "1"},
        {"Key": "B", "Value": "2"},
    ]


def test_every_key_is_optional_but_the_least():
    """Empty texts and unset options leave no key behind; zeros of wrappers stay."""
    event = exec_event(filename=b"", executable=b"", cwd=b"", arguments=b"")
    shown = json.loads(encoder().exec_line(process_of(event)))["process_exec"]

    assert shown == {
        "process": {
            "exec_id": "42",
            "pid": 42,
            "uid": 0,
            "flags": "execve nocwd clone",
            "start_time": "1970-01-01T00:00:00.000005000Z",
            "auid": 0,
            "tid": 42,
            "in_init_tree": False,
        }
    }


def test_arguments_that_are_only_argv0_are_left_out():
    """argv[0] alone is no argument."""
    assert b"arguments" not in encoder().exec_line(process_of(exec_event()))


def test_unknown_process_has_only_its_key():
    """Nothing is made up about a process of which the agent has only the key."""
    line = encoder(ALL).exec_line(process_of(exec_event(), known=False))
    shown = json.loads(line)["process_exec"]["process"]

    assert set(shown) >= {"exec_id", "pid", "flags", "start_time", "tid"}
    assert shown["flags"] == "unknown"
    assert not {"uid", "binary", "cap", "ns", "process_credentials", "argv"} & set(
        shown
    )


def test_ancestors_end_with_process_1_or_2():
    """From the grand-parent up; the kernel (0) is never listed."""

    def listed(process):
        line = encoder(JsonOptions(ancestors=True)).exec_line(process)
        body = json.loads(line)["process_exec"]
        return [ancestor["pid"] for ancestor in body.get("ancestors", [])]

    curl = family()
    shell = curl.parent
    assert shell
    init = shell.parent
    assert init

    assert listed(curl) == [1]
    assert listed(shell) == []
    assert listed(init) == []


@pytest.mark.parametrize(("last", "listed"), [(1, [1]), (2, [2]), (3, [3, 9])])
def test_nothing_is_listed_above_process_1_and_2(last, listed):
    """Whatever their parent is said to be, the first processes are the end."""
    curl = family()
    assert curl.parent
    init = curl.parent.parent
    assert init
    init.key = ProcessKey(10, last)
    init.parent = process_of(exec_event(process=ProcessKey(1, 9)))
    line = encoder(JsonOptions(ancestors=True)).exec_line(curl)
    told = json.loads(line)["process_exec"]["ancestors"]

    assert listed == [ancestor["pid"] for ancestor in told]


def test_ancestors_end_where_the_chain_is_cut():
    """A chain that does not lead to process 1 is told as far as it goes."""
    for cut in (False, True):
        curl = family()
        assert curl.parent
        top = curl.parent.parent
        assert top
        top.key = ProcessKey(10, 3)
        if cut:
            top.parent = None
        line = encoder(JsonOptions(ancestors=True)).exec_line(curl)
        (told,) = json.loads(line)["process_exec"]["ancestors"]

        assert told["pid"] == 3


def test_user_names_only_on_the_host():
    """The host's user database says nothing about users of other namespaces."""

    def user(**namespaces):
        event = exec_event(namespaces=HOST._replace(**namespaces))
        line = encoder(user_name=lambda _: "root").exec_line(process_of(event))
        return json.loads(line)["process_exec"]["process"].get("user")

    assert user() == {"name": "root"}
    assert user(net=1) == {"name": "root"}
    assert user(mnt=1) is None
    assert user(user=1) is None
    nameless = encoder(user_name=lambda _: "").exec_line(process_of(exec_event()))
    assert b'"user"' not in nameless


def test_environment_is_filtered():
    """Only the variables that are asked for, and no key if there is none."""

    def variables(*names, environment=b"A=1\0B=\0C\0"):
        options = JsonOptions(environment=True, environment_names=frozenset(names))
        event = exec_event(environment=environment)
        line = encoder(options).exec_line(process_of(event))
        shown = json.loads(line)["process_exec"]["process"]
        return [
            (pair["Key"], pair["Value"])
            for pair in shown.get("environment_variables", [("", "")])
            if pair
        ]

    assert variables() == [("A", "1"), ("B", ""), ("C", "")]
    assert variables("B", "X") == [("B", "")]
    line = encoder(
        JsonOptions(environment=True, environment_names=frozenset("X"))
    ).exec_line(process_of(exec_event(environment=b"A=1\0")))
    assert b"environment_variables" not in line
    assert b"environment" not in encoder(ALL).exec_line(process_of(exec_event()))


def test_binary_properties_only_in_exec():
    """Raised privileges belong to the exec; the exit does not repeat them."""
    process = process_of(exec_event(flags=c.EXEC_FILE_CAPS))

    assert b"PRIVILEGES_RAISED_EXEC_FILE_CAP" in encoder(ALL).exec_line(process)
    assert b"binary_properties" not in encoder(ALL).exit_line(process, exit_event())
    assert b"binary_properties" not in encoder().exec_line(process)
    assert b"binary_properties" not in encoder(ALL).exec_line(process_of(exec_event()))


def test_fragment_is_made_once():
    """The constant part of a process is the same bytes in each of its lines."""
    process, writer = family(), encoder(ALL)
    first = writer.exec_line(process)
    fragment = process.fragment
    process.exec.image.cwd = b"/elsewhere"

    assert fragment
    assert first == writer.exec_line(process)
    assert fragment in writer.exit_line(process, exit_event())


def test_deleted_cwd_is_marked():
    """A directory that is gone says so."""
    event = exec_event(cwd=b"/tmp/x", cwd_flags=c.PATH_DELETED)

    assert b'"cwd":"/tmp/x (deleted)"' in encoder().exec_line(process_of(event))


@pytest.mark.parametrize("is_shared", [True, False])
def test_equal_images_differ_in_what_is_not_theirs(is_shared):
    """Parts that are made once per image never carry over what is a process's own."""
    writer = encoder(ALL)
    event = exec_event(arguments=b"a\0b\0", is_shared=is_shared)
    own = HOST._replace(net=7)
    cgroup = CONTAINER._replace(container_id="c" * 64)
    first = process_of(event)
    others = [
        process_of(event, namespaces=own),
        process_of(event, cgroup=cgroup),
        process_of(event._replace(arguments=b"a\0c\0")),
        process_of(event._replace(flags=0)),
        process_of(event, in_init_tree=True),
    ]
    lines = [writer.exec_line(process) for process in (first, *others)]

    assert lines == [encoder(ALL).exec_line(each) for each in (first, *others)]
    assert len(set(lines)) == len(lines)


@pytest.mark.parametrize("name", ["filename", "cwd", "executable", "cgroup"])
def test_long_images_are_not_kept(name):
    """A workload with ever other long paths cannot fill the memory."""

    def long_images() -> int:
        gc.collect()
        found = (each for each in gc.get_objects() if isinstance(each, Image))
        attribute = "cgroup_path" if name == "cgroup" else name
        return sum(len(getattr(image, attribute)) == 4_000 for image in found)

    writer = encoder(ALL)
    before = long_images()
    for i in range(100):
        path = (b"/%d" % i).ljust(4_000, b"a")
        text = path[1:] + b"\0" if name == "cgroup" else path
        process = process_of(decode_exec(exec_record({name: text}), 0))

        assert path in writer.exec_line(process)

    assert long_images() - before <= 2


HOSTILE = st.binary(max_size=60) | st.lists(
    st.sampled_from(
        [
            *(b"\x7f", b"\xc2\x9b", b"\x1b[2J", b"\n", b'"', b"\\", b"\0", b"\xff"),
            *("\u2028".encode(), b"\xed\xa0\x80", b"=", b"./", b"/", b"a b"),
        ]
    ),
    max_size=12,
).map(b"".join)
TEXT = HOSTILE.map(lambda raw: raw.decode("utf-8", "replace"))


@given(
    st.fixed_dictionaries(
        dict.fromkeys(
            (
                *("filename", "interpreter", "executable", "cwd", "tty"),
                *("cgroup_path", "arguments", "environment"),
            ),
            HOSTILE,
        )
    ),
    st.lists(TEXT, min_size=7, max_size=7),
    TEXT,
    st.sampled_from([0, c.PATH_DELETED]),
    st.integers(0, 1),
    st.booleans(),
)
def test_any_bytes_give_one_line_of_json(
    texts, cgroup, user, path_flags, links, is_shared
):
    """Whatever a workload says: one line, valid JSON, no control byte in it."""
    event = exec_event(
        **texts,
        cwd_flags=path_flags,
        executable_flags=path_flags,
        links=links,
        is_shared=is_shared,
        flags=c.EXEC_SETUID,
    )
    shown = process_of(event, cgroup=CgroupInfo(*cgroup))
    child = process_of(exec_event(), parent=shown, parent_exec_id=b"cA==")
    writer = encoder(ALL, user_name=lambda _: user)
    loss = LossEvent("lifecycle", "sink", {"line": 1}, 0, 0, [LossSource(1, 1, shown)])
    for line in (
        writer.exec_line(shown),
        writer.exec_line(child),
        writer.exit_line(shown, exit_event()),
        writer.loss_line(loss),
    ):
        decoded = line.decode()

        assert decoded[-1] == "\n"
        assert not CONTROLS & set(decoded[:-1])
        json.loads(decoded)
    body = json.loads(writer.exec_line(shown))["process_exec"]["process"]

    for key in ("interpreter", "tty"):
        assert body.get(key, "") == texts[key].decode("utf-8", "replace")


@given(st.text(st.characters(exclude_categories=[])))
def test_any_node_name_gives_json(node_name):
    """A host name from the environment may hold surrogates."""
    writer = JsonEncoder(node_name, Timestamps(0), HOST, JsonOptions())
    line = writer.exec_line(process_of(exec_event()))

    told = json.loads(line)["node_name"]
    assert told == node_name.encode("utf-8", "replace").decode()
