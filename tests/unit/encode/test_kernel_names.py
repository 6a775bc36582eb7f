# SPDX-License-Identifier: Apache-2.0
"""The names are those of the system's headers; what has none stays a number."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest

from tetragon_py.encode.kernel_names import (
    BPF_COMMANDS,
    FAMILIES,
    MAP_TYPES,
    NAMESPACE_TYPES,
    PERF_TYPES,
    PROGRAM_TYPES,
    PROTOCOLS,
    SOCKET_TYPES,
    TCP_STATES,
    capability_name,
    error_name,
    name_of,
    open_flag_names,
    taint_names,
)

HEADERS = Path("/usr/include/linux")


def enumerators(header: str, name: str) -> dict[int, str]:
    """Number -> name, of an enum of an installed header."""
    text = (HEADERS / header).read_text()
    body = re.search(rf"^enum {name} {{\n(.*?)^}};", text, re.MULTILINE | re.DOTALL)
    assert body
    code = re.sub(r"/\*.*?\*/", "", body[1], flags=re.DOTALL)
    found: dict[int, str] = {}
    for word, value in re.findall(r"(\w+)(?:\s*=\s*(\w+))?,", code):
        known = {name: number for number, name in found.items()}
        number = len(found)
        if value:
            number = known[value] if value in known else int(value, 0)
        found.setdefault(number, word)
    return found


@pytest.mark.parametrize(
    ("header", "enum", "names", "count"),
    [
        ("bpf.h", "bpf_map_type", MAP_TYPES, 35),
        ("bpf.h", "bpf_prog_type", PROGRAM_TYPES, 33),
        ("bpf.h", "bpf_cmd", BPF_COMMANDS, 37),
        ("perf_event.h", "perf_type_id", PERF_TYPES, 6),
    ],
)
def test_names_of_enums(header, enum, names, count):
    """Each enumerator of the installed headers; newer kernels have more."""
    found = {
        number: word
        for number, word in enumerators(header, enum).items()
        if number < count and "MAX" not in word
    }

    assert len(found) > count // 2
    assert found.items() <= names.items()
    assert len(names) == count


@pytest.mark.parametrize(
    ("prefix", "names"),
    [("AF_", FAMILIES), ("SOCK_", SOCKET_TYPES), ("IPPROTO_", PROTOCOLS)],
)
def test_names_of_sockets(prefix, names):
    """What the C library has a name for, with that name."""
    aliases = {"AF_LOCAL", "AF_ROUTE", "IPPROTO_HOPOPTS"}
    for word in dir(socket):
        number = getattr(socket, word)
        if word.startswith(prefix) and word not in aliases and number in names:
            assert names[number].upper() == word.upper()


def test_states_of_sockets():
    """From 1 on."""
    assert TCP_STATES[1] == "TCP_ESTABLISHED"
    assert TCP_STATES[10] == "TCP_LISTEN"
    assert {getattr(socket, name, number) for number, name in TCP_STATES.items()} == {
        *range(1, 14)
    }


def test_commands_and_namespaces():
    """The ends of the tables, where a gap would show."""
    assert BPF_COMMANDS[5] == "BPF_PROG_LOAD"
    assert BPF_COMMANDS[36] == "BPF_TOKEN_CREATE"
    assert len(BPF_COMMANDS) == 37
    assert NAMESPACE_TYPES[0x40000000] == "net"


def test_numbers_without_a_name():
    """They stay numbers, however large."""
    assert name_of(1, FAMILIES) == "AF_UNIX"
    assert name_of(99999, FAMILIES) == "99999"
    assert capability_name(21) == "CAP_SYS_ADMIN"
    assert capability_name(63) == "63"
    assert capability_name(1 << 62) == str(1 << 62)
    assert capability_name(-1) == "-1"
    assert error_name(1) == "EPERM"
    assert error_name(512) == "512"


def test_taints():
    """By bit; those that are not about modules as their value."""
    assert taint_names(0) == []
    assert taint_names(1 << 18 | 1 << 9 | 1) == [
        *("TAINT_PROPRIETARY_MODULE", 1 << 9, "TAINT_TEST_MODULE")
    ]
    assert taint_names(1 << 63) == [1 << 63]


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        (os.O_RDONLY, ["O_RDONLY"]),
        (os.O_WRONLY | os.O_CREAT | os.O_TRUNC, ["O_WRONLY", "O_CREAT", "O_TRUNC"]),
        (os.O_RDWR | os.O_SYNC, ["O_RDWR", "O_SYNC"]),
        (os.O_RDWR | os.O_DSYNC, ["O_RDWR", "O_DSYNC"]),
        (os.O_WRONLY | os.O_TMPFILE, ["O_WRONLY", "O_TMPFILE"]),
        (os.O_DIRECTORY | os.O_CLOEXEC, ["O_RDONLY", "O_DIRECTORY", "O_CLOEXEC"]),
        (1 << 31, ["O_RDONLY"]),
    ],
)
def test_open_flags(flags, names):
    """How it is accessed, then each flag; one that contains another stands alone."""
    assert open_flag_names(flags) == names
