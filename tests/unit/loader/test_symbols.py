# SPDX-License-Identifier: Apache-2.0
"""The kernel's functions out of /proc/kallsyms."""

from __future__ import annotations

import pytest

from tetragon_py.loader.symbols import Symbol, Symbols

KALLSYMS = """\
ffffffff81000000 T _stext
ffffffff81000010 T __pfx_vfs_read
ffffffff81000020 T vfs_read
ffffffff81000030 t vfs_read.cold
ffffffff81000040 t helper
ffffffff81000050 t helper
ffffffff81000060 W __x64_sys_kexec_load
ffffffff81000070 D jiffies
ffffffffc0000000 t helper\t[nf_tables]
ffffffffc0000010 t nf_only\t[nf_tables]
ffffffffc0000020 t bpf_prog_6deef7357e7b4530_x\t[bpf]
ffffffffc0000030 t ftrace_trampoline\t[__builtin__ftrace]
ffffffffc0000040 d nf_data\t[nf_tables]
"""


@pytest.fixture
def symbols(tmp_path) -> Symbols:
    path = tmp_path / "kallsyms"
    path.write_text(KALLSYMS)
    return Symbols(path)


def test_functions_are_found(symbols):
    """Whose they are, and how many have the name; the kernel's own come first."""
    assert Symbol("", 1) == symbols.find("vfs_read")
    assert Symbol("", 1) == symbols.find("__x64_sys_kexec_load")
    assert Symbol("", 3) == symbols.find("helper")
    assert Symbol("nf_tables", 1) == symbols.find("nf_only")
    assert Symbol("", 1) == symbols.find("vfs_read.cold")
    assert symbols.problem == ""


@pytest.mark.parametrize(
    "name",
    [
        *("vfs", "read", "jiffies", "nf_data", "nothing", "T vfs_read", "[bpf]"),
        *("bpf_prog_6deef7357e7b4530_x", "ftrace_trampoline", ""),
    ],
)
def test_what_is_no_function(symbols, name):
    """Data, parts of names, and what BPF and ftrace made are none."""
    assert symbols.find(name) is None


def test_all_functions(symbols):
    """Without padding and parts of other functions."""
    expected = {"_stext", "vfs_read", "helper", "__x64_sys_kexec_load", "nf_only"}

    assert expected == symbols.functions


def test_functions_by_prefix(symbols):
    """Of the kernel and its modules alike."""
    assert {"__x64_sys_kexec_load"} == symbols.beginning_with("__x64_sys_")
    assert {"nf_only"} == symbols.beginning_with("nf_")
    assert frozenset() == symbols.beginning_with("zz")


def test_the_file_is_read_once(symbols, tmp_path):
    """Answers do not change while a policy set is compiled."""
    assert symbols.find("vfs_read")
    (tmp_path / "kallsyms").write_text("")

    assert symbols.find("vfs_read")
    assert symbols.find("nf_only")


@pytest.mark.parametrize("text", [None, ""])
def test_without_symbols(tmp_path, text):
    """Nothing is found, and the reason is told."""
    path = tmp_path / "kallsyms"
    if text is not None:
        path.write_text(text)
    symbols = Symbols(path)

    assert symbols.find("vfs_read") is None
    assert frozenset() == symbols.functions
    assert str(path) in symbols.problem


def test_a_damaged_file(tmp_path):
    """Whatever stands there, it is no crash."""
    path = tmp_path / "kallsyms"
    path.write_bytes(b" T a\nT\n\xff t \xff\xfe\n t c\t[\n t \td")
    symbols = Symbols(path)

    assert symbols.find("a")
    assert symbols.find("c")
    assert {"a", "c"} <= symbols.functions
    assert symbols.beginning_with("c") == {"c"}
    assert symbols.beginning_with("d") == frozenset()


def test_addresses_of_any_kind(symbols):
    """Of variables too; not those of modules, nor of what only ends so."""
    assert symbols.address("jiffies") == 0xFFFFFFFF81000070
    assert symbols.address("_stext") == 0xFFFFFFFF81000000
    assert symbols.address("nf_data") is None
    assert symbols.address("iffies") is None
