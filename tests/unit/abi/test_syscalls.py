# SPDX-License-Identifier: Apache-2.0
"""The tables of system calls are those of the kernel's headers."""

from __future__ import annotations

import platform
import re
import subprocess
from pathlib import Path

import pytest

from tetragon_py.abi.syscalls import SYSCALL_ABIS, syscall_names, syscall_numbers

HEADERS = {
    "x64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
    "i386": "/usr/include/x86_64-linux-gnu/asm/unistd_32.h",
}
#: Newer than the headers of Debian 12.
LATER = range(451, 472)


def calls_of_headers(source: str, *options: str) -> dict[str, int]:
    """What the preprocessor makes of a header."""
    command = ["cc", "-E", "-dM", *options, "-x", "c", "-"]
    done = subprocess.run(
        command, input=source, capture_output=True, text=True, check=True
    )
    defined = re.findall(r"^#define (__NR\w+) (\w+)$", done.stdout, re.MULTILINE)
    macros: dict[str, str] = dict(defined)
    found = {}
    for name, value in macros.items():
        number = macros.get(value, value)
        if name.startswith("__NR_") and number.isdecimal():
            found[name.removeprefix("__NR_")] = int(number)
    found.pop("syscalls", None)
    return found


@pytest.mark.skipif(platform.machine() != "x86_64", reason="headers of x86")
@pytest.mark.parametrize("abi", HEADERS)
def test_x86(abi):
    """Every call of the header has its number here, and there is no other."""
    expected = calls_of_headers(f'#include "{HEADERS[abi]}"\n')
    known = dict(syscall_numbers(abi))
    later = {name for name, number in known.items() if number in LATER}
    later |= {"uretprobe", "uprobe"}

    assert set(expected) - set(known) == set()
    assert set(known) - set(expected) <= later
    assert {name: known[name] for name in expected} == expected


def test_arm64():
    """arm64 has the generic table, as its header chooses from it."""
    if not Path("/usr/include/asm-generic/unistd.h").exists():
        pytest.fail("linux-libc-dev is missing")
    wants = ("RENAMEAT", "NEW_STAT", "SET_GET_RLIMIT", "TIME32_SYSCALLS")
    more = ("SYS_CLONE3", "MEMFD_SECRET")
    defined = "".join(f"#define __ARCH_WANT_{name}\n" for name in wants + more)
    expected = calls_of_headers(f"{defined}#include <asm-generic/unistd.h>\n", "-m64")
    expected.pop("arch_specific_syscall", None)
    known = dict(syscall_numbers("arm64"))

    assert {n: v for n, v in known.items() if v not in LATER} == {
        n: v for n, v in expected.items() if v not in LATER
    }


@pytest.mark.parametrize("abi", SYSCALL_ABIS)
def test_both_ways(abi):
    """A number has one name, a name one number, in ascending order."""
    numbers = syscall_numbers(abi)
    names = syscall_names(abi)

    assert len(numbers) == len(names)
    assert list(names) == sorted(names)
    assert all(numbers[name] == number for number, name in names.items())


@pytest.mark.parametrize(
    ("abi", "name", "number"),
    [
        *(("x64", "openat", 257), ("i386", "openat", 295), ("arm64", "openat", 56)),
        *(("arm32", "openat", 322), ("i386", "time", 13), ("arm32", "stat", 106)),
        *(("x64", "uprobe", 336), ("arm32", "io_pgetevents", 399)),
        *(("i386", "clock_gettime64", 403), ("arm32", "pidfd_open", 434)),
        *(("arm64", "memfd_secret", 447), ("x64", "listns", 470)),
    ],
)
def test_some_numbers(abi, name, number):
    """Spot checks, also of the tables whose headers are not installed."""
    assert syscall_numbers(abi)[name] == number


def test_what_an_abi_leaves_out():
    """Numbers that are common to all are not in all."""
    assert "memfd_secret" not in syscall_numbers("arm32")
    assert syscall_numbers("arm32")["process_mrelease"] == 448
    assert "clock_gettime64" not in syscall_numbers("x64")
    assert "open" not in syscall_numbers("arm64")
