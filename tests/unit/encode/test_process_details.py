# SPDX-License-Identifier: Apache-2.0
"""The optional parts of a process, each a complete JSON value or nothing."""

from __future__ import annotations

import json

import pytest

from tests.unit.records import HOST, NO_CREDENTIALS, exec_event, process_of
from tetragon_py.abi import _generated as c
from tetragon_py.encode.process_details import (
    binary_properties,
    capability_sets,
    credentials_object,
    environment_variables,
    extended_keys,
    namespaces_object,
)
from tetragon_py.events.process import CgroupInfo


def extended(process) -> dict[str, object]:
    text = extended_keys(process)
    assert text[:1] in {b"", b","}
    found: dict[str, object] = json.loads(b"{%b}" % text[1:])
    return found


def test_empty_capability_sets_are_left_out():
    """A set without members has no key."""
    some = NO_CREDENTIALS._replace(effective=1, bounding=2**41 - 1)

    assert capability_sets(NO_CREDENTIALS) == b"{}"
    assert capability_sets(some) == b'{"effective":["CAP_CHOWN"]}'


def test_ids_of_zero_are_told():
    """Root's ids are wrappers in the API, so 0 is printed."""
    told = json.loads(credentials_object(NO_CREDENTIALS))
    names = ["uid", "gid", "euid", "egid", "suid", "sgid", "fsuid", "fsgid"]

    assert list(told) == names
    assert set(told.values()) == {0}


def test_securebits_are_told_if_set():
    """Securebits are words."""
    told = json.loads(credentials_object(NO_CREDENTIALS._replace(securebits=1)))

    assert told["securebits"] == ["SecBitNoRoot"]


def test_namespaces_of_the_host_are_marked():
    """Each namespace by its inode; `is_host` only where it is true."""
    own = HOST._replace(net=7, time=0, time_for_children=0)
    told = json.loads(namespaces_object(own, HOST))

    assert list(told) == [
        *("uts", "ipc", "mnt", "pid", "pid_for_children", "net", "cgroup", "user")
    ]
    assert told["net"] == {"inum": 7}
    assert told["uts"] == {"inum": HOST.uts, "is_host": True}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({}, None),
        ({"links": 0, "inode": 0}, None),
        (
            {"flags": c.EXEC_SETUID},
            {
                "setuid": 5,
                "privileges_changed": ["PRIVILEGES_RAISED_EXEC_FILE_SETUID"],
            },
        ),
        (
            {"flags": c.EXEC_SETGID | c.EXEC_FILE_CAPS},
            {
                "setgid": 0,
                "privileges_changed": [
                    "PRIVILEGES_RAISED_EXEC_FILE_CAP",
                    "PRIVILEGES_RAISED_EXEC_FILE_SETGID",
                ],
            },
        ),
        (
            {"links": 0, "executable": b"/memfd:\xff"},
            {
                "file": {
                    "inode": {"number": "77", "links": 0},
                    "path": "/memfd:\ufffd",
                }
            },
        ),
    ],
)
def test_binary_properties(event, expected):
    """Raised privileges with the new id, and a file that has no name any more."""
    credentials = NO_CREDENTIALS._replace(euid=5)
    text = binary_properties(exec_event(credentials=credentials, **event))

    assert expected == (json.loads(text) if text else None)


def test_environment_variables():
    """Key and value at the first "="; nothing if nothing is asked for."""
    event = exec_event(environment=b"A=1=2\0B\0\xff=\x1b\0")

    assert environment_variables(exec_event(), frozenset()) == b""
    assert environment_variables(event, frozenset("C")) == b""
    assert json.loads(environment_variables(event, frozenset())) == [
        {"Key": "A", "Value": "1=2"},
        {"Key": "B", "Value": ""},
        {"Key": "\ufffd", "Value": "\x1b"},
    ]


def test_extended_keys_of_a_plain_process():
    """What is empty has no key."""
    process = process_of(exec_event(cgroup_path=b"", executable=b"", inode=0))

    assert extended(process) == {"argv": ["curl"]}


def test_extended_keys_of_nothing():
    """A process of which nothing is known adds no text."""
    event = exec_event(arguments=b"", cgroup_path=b"", executable=b"", inode=0)

    assert extended_keys(process_of(event)) == b""


def test_extended_keys():
    """argv whole, the executable resolved, where it runs, what is missing."""
    event = exec_event(
        arguments=b"a\0b c\0",
        executable=b"/bin/x",
        executable_flags=c.PATH_DELETED | c.PATH_CUT,
        interpreter=b"/bin/sh",
        tty=b"pts3",
        cgroup_path=b"/a/b",
        cwd_flags=c.PATH_CUT,
        flags=c.EXEC_ARGUMENTS_CUT | c.EXEC_ENVIRONMENT_CUT,
        errors={"cwd": 14},
        device=259 << 20 | 3,
        links=2,
    )
    cgroup = CgroupInfo("/a/b", "u.service", "", "a.slice", "4", "f" * 64, "podman")

    assert extended(process_of(event, cgroup=cgroup)) == {
        "argv": ["a", "b c"],
        "executable": "/bin/x (deleted)",
        "interpreter": "/bin/sh",
        "tty": "pts3",
        "cgroup": "/a/b",
        "unit": "u.service",
        "slice": "a.slice",
        "session": "4",
        "container_id": "f" * 64,
        "container_runtime": "podman",
        "truncated": ["arguments", "environment_variables", "cwd", "executable"],
        "errors": {"cwd": 14},
        "inode": {"number": "77", "links": 2},
        "device": "259:3",
    }


def test_errors_of_image_and_arguments_are_told_together():
    """Which texts could not be read, wherever in the event they belong."""
    errors = {"tty": 14, "arguments": 7}
    process = process_of(exec_event(errors=errors))

    assert process.exec.errors == {"arguments": 7}
    assert process.exec.image.errors == {"tty": 14}
    assert extended(process)["errors"] == errors


@pytest.mark.parametrize(
    ("inode", "links", "flags", "shown"),
    [
        (77, 1, 0, "/bin/x"),
        (77, 1, c.PATH_DELETED, "/bin/x (deleted)"),
        (77, 0, 0, "/bin/x (deleted)"),
        (77, 0, c.PATH_DELETED, "/bin/x (deleted)"),
        (0, 0, 0, "/bin/x"),
    ],
)
def test_executable_without_a_name_is_marked(inode, links, flags, shown):
    """A file that has no name any more, a memfd too, is marked as /proc marks it."""
    event = exec_event(
        executable=b"/bin/x", inode=inode, links=links, executable_flags=flags
    )

    assert extended(process_of(event))["executable"] == shown


@pytest.mark.parametrize(
    ("arguments_max", "argv"),
    [(None, ["a", "bcd", "e"]), (6, ["a", "bcd"]), (4, ["a", "bc"]), (0, None)],
)
def test_extended_keys_show_so_many_bytes_of_argv(arguments_max, argv):
    """Where arguments are cut, the list of them is cut at the same place."""
    process = process_of(exec_event(arguments=b"a\0bcd\0e\0"))
    text = extended_keys(process, arguments_max)

    assert json.loads(b"{%b}" % text[1:]).get("argv") == argv
