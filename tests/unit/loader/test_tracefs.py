# SPDX-License-Identifier: Apache-2.0
"""Format files of tracepoints, and where tracefs is found."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from tetragon_py.compiler.target import TracepointField
from tetragon_py.loader.tracefs import Tracefs, parse_format

COMMON = """\
name: sched_process_exec
ID: 311
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:__data_loc char[] filename;\toffset:8;\tsize:4;\tsigned:0;
\tfield:pid_t pid;\toffset:12;\tsize:4;\tsigned:1;

print fmt: "field:int fake;\toffset:0;\tsize:4;\tsigned:1;", REC->pid
\tfield:int after;\toffset:0;\tsize:4;\tsigned:1;
"""


def one(declaration: str, rest: str = "offset:8; size:16; signed:0;"):
    """The field of a line."""
    (field,) = parse_format(f"\tfield:{declaration};\t{rest}")
    return field


def test_fields_are_in_order():
    """Those that all tracepoints have come first; text for printing is not read."""
    assert parse_format(COMMON) == (
        TracepointField("common_type", "unsigned short", 0, 2),
        TracepointField("common_pid", "int", 4, 4, is_signed=True),
        TracepointField("filename", "__data_loc char[]", 8, 4, is_data_loc=True),
        TracepointField("pid", "pid_t", 12, 4, is_signed=True),
    )
    assert parse_format("") == ()


@pytest.mark.parametrize(
    ("declaration", "name", "kind"),
    [
        ("unsigned long args[6]", "args", "unsigned long[6]"),
        ("char comm[TASK_COMM_LEN]", "comm", "char[TASK_COMM_LEN]"),
        ("u8 grid[4][2]", "grid", "u8[4][2]"),
        ("const char * filename", "filename", "const char *"),
        ("const char *filename", "filename", "const char *"),
        ("struct  sock *\tsk", "sk", "struct sock *"),
        ("enum tick_dep_bits x", "x", "enum tick_dep_bits"),
        ("__u8 saddr[sizeof(struct sockaddr_in6)]", "saddr", None),
        ("__rel_loc char[] name", "name", "__rel_loc char[]"),
        ("__data_loc unsigned long[] mask", "mask", "__data_loc unsigned long[]"),
    ],
)
def test_declarations(declaration, name, kind):
    """The name leaves the declaration, its brackets stay with the type."""
    field = one(declaration)

    assert name == field.name
    assert (kind or "__u8[sizeof(struct sockaddr_in6)]") == field.type
    assert declaration.startswith("__data_loc") is field.is_data_loc
    assert (field.offset, field.size) == (8, 16)


@pytest.mark.parametrize(
    "line",
    [
        "\tfield:",
        "\tfield:int x;",
        "\tfield:int x;\toffset:minus;\tsize:4;\tsigned:1;",
        "\tfield:int x;\toffset:99999999999999999999;\tsize:4;\tsigned:1;",
        "\tfield:int x\toffset:8\tsize:4",
    ],
)
def test_odd_lines_keep_their_number(line):
    """Arguments are counted by line: one without sense is a field without name."""
    after = "\tfield:int y;\toffset:8;\tsize:4;\tsigned:1;"
    odd, y = parse_format(f"{line}\n{after}\n")

    assert (odd.name, odd.offset, odd.size) == ("", 0, 0)
    assert TracepointField("y", "int", 8, 4, is_signed=True) == y


@pytest.mark.parametrize("declaration", ["", "int", "int x:3", "\x00", "[6]", "* *"])
def test_odd_declarations_keep_their_place(declaration):
    """The kernel's own macros may write what is no declaration."""
    field = one(declaration)

    assert (field.name, field.offset, field.size) == ("", 8, 16)


def test_lines_without_sign():
    """Kernels have told the sign since 2.6.34: without it a field has none."""
    assert one("long x", "offset:8; size:8;").is_signed is False
    assert one("long x", "offset:8; size:8; signed:1;").is_signed is True


@pytest.fixture
def mounted(tmp_path: Path) -> Path:
    """A tracefs with one event."""
    event = tmp_path / "events" / "sched" / "sched_process_exec"
    event.mkdir(parents=True)
    (event / "format").write_text(COMMON)
    (tmp_path / "available_events").write_text("sched:sched_process_exec\nodd\n\n")
    (tmp_path / "available_filter_functions").write_text(
        "vfs_read\nnf_hook [nf_tables]\n__ftrace_invalid_address___64\n\n"
    )
    return tmp_path


def test_tracefs_is_read(mounted):
    """Fields, events and functions come from its files."""
    tracefs = Tracefs([mounted / "missing", mounted])

    assert tracefs.problem == ""
    assert parse_format(COMMON) == tracefs.fields("sched", "sched_process_exec")
    assert tracefs.events == ("sched/sched_process_exec",)
    assert {"vfs_read", "nf_hook"} == tracefs.functions


@pytest.mark.parametrize(
    ("subsystem", "event"),
    [
        ("sched", "nothing"),
        ("..", "sched_process_exec"),
        ("sched", "../sched/sched_process_exec"),
        ("", ""),
        ("sched\0", "x"),
    ],
)
def test_names_are_no_paths(mounted, subsystem, event):
    """What is not the name of an event is not found, wherever it would lead."""
    assert Tracefs([mounted]).fields(subsystem, event) is None


def test_without_tracefs(tmp_path):
    """Nothing is found, and the operator learns what to do."""
    tracefs = Tracefs([tmp_path])

    assert "mount -t tracefs" in tracefs.problem
    assert tracefs.fields("sched", "sched_switch") is None
    assert tracefs.events == ()
    assert frozenset() == tracefs.functions


def test_without_root(tmp_path, monkeypatch):
    """A tracefs that may not be read is not called missing."""

    def refuse(path: Path, **_options: bool) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(Path, "stat", refuse)

    assert "root only" in Tracefs([tmp_path]).problem
