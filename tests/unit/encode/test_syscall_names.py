# SPDX-License-Identifier: Apache-2.0
"""System calls have the names of the system's headers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tetragon_py.encode import syscall_names
from tetragon_py.encode.syscall_names import SYSCALLS, split_syscall, syscall_name

HEADERS = {
    "x64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "i386": Path("/usr/include/x86_64-linux-gnu/asm/unistd_32.h"),
}


@pytest.mark.parametrize("abi", HEADERS)
def test_names_are_the_headers(abi):
    """Each number that the installed headers define; newer ones may follow."""
    if not HEADERS[abi].exists():
        pytest.skip("headers of another machine")
    text = HEADERS[abi].read_text()
    defined = {
        int(number): name
        for name, number in re.findall(
            r"^#define __NR_(\w+) (\d+)$", text, re.MULTILINE
        )
    }

    table = SYSCALLS[abi]
    known = {number: name for number, name in defined.items() if number <= max(table)}

    assert len(known) > 300
    assert known.items() <= table.items()


def test_new_calls_have_one_number():
    """Since Linux 5.1 all tables grow together."""
    tables = [
        {number: name for number, name in table.items() if number >= 424}
        for table in SYSCALLS.values()
    ]

    assert tables[0] == tables[1] == tables[2]
    assert tables[0][424] == "pidfd_send_signal"
    assert tables[0][462] == "mseal"


@pytest.mark.parametrize(
    ("number", "abi", "name"),
    [
        (257, "x64", "openat"),
        (1 << 30 | 257, "x64", "openat"),
        (295, "i386", "openat"),
        (56, "arm64", "openat"),
        (25, "arm64", "fcntl"),
        (0, "x64", "read"),
        (9999, "x64", "syscall 9999"),
        (5, "arm32", "syscall 5"),
    ],
)
def test_names(number, abi, name):
    """By ABI; a call of x32 has the number of x64 with a bit."""
    assert syscall_name(number, abi) == name


def test_tables_of_this_machine(monkeypatch):
    """Bit 31 tells the 32-bit table apart."""
    monkeypatch.setattr(syscall_names, "_NATIVE", "x64")
    monkeypatch.setattr(syscall_names, "_COMPAT", "i386")

    assert split_syscall(257) == (257, "x64")
    assert split_syscall(1 << 31 | 295) == (295, "i386")
