# SPDX-License-Identifier: Apache-2.0
"""The words of a process: Tetragon's, in Tetragon's order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.records import exec_event, process_of
from tetragon_py.abi import _generated as c
from tetragon_py.encode.flags import flag_words

#: All words of the API, in its order (tetragon's DecodeCommonFlags).
ORDER = (
    *("execve", "procFS", "errorEnvs", "truncArgs", "miss", "errorFilename"),
    *("errorArgs", "nocwd", "rootcwd", "errorCWD", "clone", "errorCgroupName"),
    *("errorCgroupID", "errorCgroupSubsysCgrp", "errorCgroupSubsys", "errorCgroups"),
    *("errorPathResolutionCwd", "dataFilename", "dataArgs", "inInitTree", "unknown"),
)


def words(
    *, in_init_tree=False, forked=False, known=True, arguments_cut=False, **event
) -> str:
    process = process_of(
        exec_event(**event), in_init_tree=in_init_tree, forked=forked, known=known
    )
    return flag_words(process, arguments_cut=arguments_cut).decode()


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({}, "execve clone"),
        ({"flags": 0}, "execve"),
        ({"flags": c.EXEC_AFTER_FORK | c.EXEC_SETUID}, "execve clone"),
        ({"flags": c.EXEC_FILE_CAPS}, "execve"),
        ({"cwd": b"/"}, "execve rootcwd clone"),
        ({"cwd": b""}, "execve nocwd clone"),
        ({"cwd": b"", "errors": {"cwd": 14}}, "execve nocwd errorCWD clone"),
        ({"flags": c.EXEC_ARGUMENTS_CUT}, "execve truncArgs"),
        ({"flags": c.EXEC_ENVIRONMENT_CUT}, "execve"),
        ({"flags": c.EXEC_PARENT_UNKNOWN}, "execve miss"),
        ({"errors": {"environment": 14}}, "execve errorEnvs clone"),
        ({"errors": {"filename": 14}}, "execve errorFilename clone"),
        ({"errors": {"arguments": 14}}, "execve errorArgs clone"),
        ({"errors": {"tty": 14}}, "execve clone"),
        ({"cwd_flags": c.PATH_DELETED}, "execve clone"),
        ({"cwd_flags": c.PATH_CUT}, "execve clone errorPathResolutionCwd"),
        ({"cwd_flags": c.PATH_UNREACHABLE}, "execve clone errorPathResolutionCwd"),
        ({"in_init_tree": True}, "execve clone inInitTree"),
        ({"from_procfs": True}, "procFS"),
        ({"from_procfs": True, "cwd": b""}, "procFS"),
        ({"from_procfs": True, "cwd": b"/"}, "procFS rootcwd"),
        ({"forked": True, "cwd": b""}, "execve"),
        ({"known": False}, "unknown"),
        ({"arguments_cut": True}, "execve truncArgs clone"),
        ({"arguments_cut": True, "flags": c.EXEC_ARGUMENTS_CUT}, "execve truncArgs"),
        ({"arguments_cut": True, "from_procfs": True}, "procFS truncArgs"),
        ({"arguments_cut": True, "forked": True}, "execve truncArgs"),
        ({"arguments_cut": True, "known": False}, "unknown"),
    ],
)
def test_words(event, expected):
    """Each condition is told by its word, and by no other."""
    assert expected == words(**event)


FIELDS = st.sampled_from(["filename", "cwd", "arguments", "environment", "tty"])


@given(
    flags=st.integers(0, 127),
    cwd=st.sampled_from([b"", b"/", b"/tmp"]),
    cwd_flags=st.integers(0, 15),
    errors=st.none() | st.dictionaries(FIELDS, st.just(14)),
    from_procfs=st.booleans(),
    in_init_tree=st.booleans(),
    forked=st.booleans(),
    known=st.booleans(),
    arguments_cut=st.booleans(),
)
def test_words_stand_in_their_order(**event):
    """In any combination: only words of the API, each once, in its order."""
    told = words(**event).split(" ")

    assert told == sorted(set(told), key=ORDER.index)
    assert told[0] in {"execve", "procFS", "unknown"}
