# SPDX-License-Identifier: Apache-2.0
"""Each error is a few lines that an operator can act on."""

from __future__ import annotations

import errno
import inspect

import pytest

from tetragon_py import errors
from tetragon_py.errors import (
    DecodeError,
    KernelError,
    SettingsError,
    SinkError,
    TetragonError,
    UnsupportedError,
    VerifierError,
)


@pytest.mark.parametrize(
    ("error", "text", "exit_status"),
    [
        (SettingsError("bad value"), "bad value", 2),
        (SettingsError("bad", source="a.yaml:3", key="x"), "a.yaml:3: bad", 2),
        (
            KernelError("bpf_map_create", errno.EPERM),
            "bpf_map_create: Operation not permitted (EPERM)",
            1,
        ),
        (
            KernelError("load", errno.EINVAL, "map x"),
            "load: Invalid argument (EINVAL): map x",
            1,
        ),
        (KernelError("load", 524), "load: Unknown error 524 (524)", 1),
        (
            UnsupportedError("pin", "5.18"),
            "use pin: Operation not supported (ENOTSUP): pin needs Linux 5.18 or newer",
            1,
        ),
        (
            UnsupportedError("x", "6.1", "off"),
            "use x: Operation not supported (ENOTSUP): x needs Linux 6.1 or newer: off",
            1,
        ),
        (
            DecodeError("exec is cut", type=2, size=40),
            "exec is cut (record type 2, 40 bytes)",
            1,
        ),
        (SinkError("file x", "full"), "file x: full", 2),
    ],
)
def test_text_and_exit_status(error, text, exit_status):
    """The text says what, why and where; the command line exits with the status."""
    assert text == str(error)
    assert exit_status == error.exit_status


def test_verifier_error_shows_the_end_of_the_log():
    """The last lines hold the reason; the whole log is kept."""
    log = "".join(f"{i}: (b7) r0 = {i}\n\n" for i in range(40)) + "R1 invalid\n"
    error = VerifierError("process_exec", errno.EACCES, log)
    lines = str(error).splitlines()

    assert lines[0] == (
        "load program process_exec: Permission denied (EACCES): the verifier says:"
    )
    assert lines[1:] == [
        *(f"  {i}: (b7) r0 = {i}" for i in range(29, 40)),
        "  R1 invalid",
    ]
    assert (error.program, error.errno, error.log) == (
        "process_exec",
        errno.EACCES,
        log,
    )


def test_data_for_handlers():
    """What a handler needs is in attributes, not only in the text."""
    settings = SettingsError("bad", source="--x", key="x")
    unsupported = UnsupportedError("x", "6.1")
    decode = DecodeError("cut", type=3, size=9)

    assert (settings.source, settings.key) == ("--x", "x")
    assert (unsupported.feature, unsupported.since) == ("x", "6.1")
    assert unsupported.errno == errno.EOPNOTSUPP
    assert (decode.type, decode.size) == (3, 9)
    assert SinkError("file", "full").sink == "file"
    assert KernelError("load", 1).operation == "load"


def test_tree_in_the_docstring_is_the_tree():
    """Every exception stands in the module's docstring, below its parent."""
    classes = {
        name: found
        for name, found in vars(errors).items()
        if inspect.isclass(found) and issubclass(found, Exception)
    }
    drawn: dict[str, int] = {}
    for line in (errors.__doc__ or "").splitlines():
        mark = line.lstrip()
        if mark.startswith("* "):
            drawn[mark.split()[1]] = (len(line) - len(mark)) // 2

    assert set(classes) == set(drawn) == set(errors.__all__)
    for name, depth in drawn.items():
        assert depth == classes[name].__mro__.index(TetragonError)
