# SPDX-License-Identifier: Apache-2.0
"""Fields of tracepoints: what can be read from a record as what."""

from __future__ import annotations

import pytest

from tests.unit.compiler.policies import compiled, problem
from tetragon_py.abi import _generated as c
from tetragon_py.compiler.plan import ArgumentPlan

OPENAT = ("syscalls", "sys_enter_openat")
EXEC = ("sched", "sched_process_exec")
SKB = ("skb", "kfree_skb")


def spec_of(name, argument):
    subsystem, event = name
    return {
        "tracepoints": [{"subsystem": subsystem, "event": event, "args": [argument]}]
    }


@pytest.mark.parametrize(
    ("name", "argument", "expected"),
    [
        (OPENAT, {"index": 6}, (c.ARGUMENT_STRING, c.FROM_FIELD, c.FORM_USER, 24, 8)),
        (OPENAT, {"index": 5}, (c.ARGUMENT_UINT64, c.FROM_FIELD, 0, 16, 8)),
        (OPENAT, {"index": 8}, (c.ARGUMENT_UINT64, c.FROM_FIELD, 0, 40, 8)),
        (
            OPENAT,
            {"index": 5, "type": "fd"},
            (c.ARGUMENT_FILE, c.FROM_FIELD, c.FORM_FD, 16, 4),
        ),
        (
            OPENAT,
            {"index": 4, "type": "int64"},
            (c.ARGUMENT_INT32, c.FROM_FIELD, 0, 8, 4),
        ),
        (
            OPENAT,
            {"index": 4, "type": "uint64"},
            (c.ARGUMENT_UINT64, c.FROM_FIELD, 0, 8, 4),
        ),
        (OPENAT, {"index": 3}, (c.ARGUMENT_INT32, c.FROM_FIELD, 0, 4, 4)),
        (
            EXEC,
            {"index": 4},
            (c.ARGUMENT_STRING, c.FROM_DATA_LOC, c.FORM_INLINE, 8, 4),
        ),
        (EXEC, {"index": 6}, (c.ARGUMENT_STRING, c.FROM_FIELD, c.FORM_INLINE, 20, 16)),
        (
            EXEC,
            {"index": 6, "type": "char_buf"},
            (c.ARGUMENT_CHAR_BUF, c.FROM_FIELD, c.FORM_INLINE, 20, 16),
        ),
        (SKB, {"index": 4, "type": "skb"}, (c.ARGUMENT_SKB, c.FROM_FIELD, 0, 8, 8)),
        (SKB, {"index": 7}, (c.ARGUMENT_CHAR_BUF, c.FROM_FIELD, c.FORM_INLINE, 40, 4)),
        (SKB, {"index": 8}, (c.ARGUMENT_SOCK, c.FROM_FIELD, 0, 48, 8)),
        (SKB, {"index": 5}, (c.ARGUMENT_UINT64, c.FROM_FIELD, 0, 16, 8)),
    ],
)
def test_fields(name, argument, expected):
    """Numbers have the shorter of their two widths, texts are where they are."""
    kind, source, form, offset, size = expected
    [hook] = compiled(spec_of(name, argument)).hooks

    assert hook.arguments == (
        ArgumentPlan(kind, source, form, offset=offset, size=size),
    )


@pytest.mark.parametrize(
    ("name", "argument", "message", "hint"),
    [
        (
            EXEC,
            {"index": 7},
            "'sched/sched_process_exec' has no field 7",
            "fields: 4 filename, 5 pid, 6 comm",
        ),
        (
            EXEC,
            {"index": 4, "type": "int"},
            "the field 'filename', __data_loc char[], cannot be read as int",
            "it holds text or bytes",
        ),
        (
            EXEC,
            {"index": 6, "type": "uint64"},
            "the field 'comm', char[16], cannot be read as uint64",
            "use string, char_buf or const_buf",
        ),
        (
            EXEC,
            {"index": 5, "type": "file"},
            "the field 'pid', pid_t, cannot be read as file",
            "it is no pointer",
        ),
        (
            EXEC,
            {"index": 5, "type": "data_loc"},
            "the field 'pid', pid_t, cannot be read as data_loc",
            "the record holds no bytes there",
        ),
        (
            OPENAT,
            {"index": 8, "type": "file"},
            "the field 'how', struct file *, cannot be read as file",
            "the kernel's structs are not passed here",
        ),
        (
            OPENAT,
            {"index": 6, "type": "char_buf", "sizeArgIndex": 8},
            "'filename' is a buffer behind a pointer",
            "hook the system call or the function in kprobes to get its bytes",
        ),
        (
            SKB,
            {"index": 9},
            "the field 'old', __rel_loc char[], cannot be read as string",
            "places relative to the field are not supported",
        ),
        (
            SKB,
            {"index": 10, "type": "uint64"},
            "the field 'blob', struct thing, cannot be read as uint64",
            "it has 24 bytes",
        ),
        (
            SKB,
            {"index": 10},
            "the field 'blob', struct thing, cannot be read as char_buf",
            "the record holds no bytes there",
        ),
    ],
)
def test_wrong_fields(name, argument, message, hint):
    """The field and its C type are in the message."""
    found = problem(spec_of(name, argument))

    assert found == ("spec.tracepoints[0].args[0]", message, hint)
