# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.policy.diagnostic: paths, places and hints as text."""

from __future__ import annotations

import pytest

from tetragon_py.errors import TetragonError
from tetragon_py.policy.diagnostic import (
    Cause,
    Diagnostic,
    PolicyValueError,
    Severity,
    format_path,
    nearest,
    one_of,
    quote,
    refusal,
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ((), ""),
        (("spec", "kprobes", 0, "call"), "spec.kprobes[0].call"),
        (("metadata", "labels", "a.b/c"), "metadata.labels['a.b/c']"),
        (("spec", "x\ny"), r"spec['x\ny']"),
    ],
)
def test_paths(path, expected):
    """A path is written as one would write it in code; odd keys are quoted."""
    assert format_path(path) == expected


@pytest.mark.parametrize(
    ("line", "path", "hint", "expected"),
    [
        (3, "spec.a", None, "f.yaml:3:5: error: spec.a: is wrong"),
        (3, "", "do that", "f.yaml:3:5: error: is wrong\n  hint: do that"),
        (0, "", None, "f.yaml: error: is wrong"),
    ],
)
def test_text(line, path, hint, expected):
    """One line has the place, the next one the hint."""
    diagnostic = Diagnostic(Severity.ERROR, "f.yaml", line, 5, path, "is wrong", hint)

    assert str(diagnostic) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "'plain'"),
        ("\x1b[31m\n", r"'\x1b[31m\n'"),
        ("\u202e", r"'\u202e'"),
        ("x" * 100, "'" + "x" * 60 + "'..."),
    ],
)
def test_quote(value, expected):
    """What a policy says cannot move the cursor, and does not fill the screen."""
    assert quote(value) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cal", "did you mean 'call'?"),
        ("SYSCALL", "did you mean 'syscall'?"),
        ("x" * 100_000, ""),
        ("", ""),
    ],
)
def test_nearest(name, expected):
    """The nearest name is offered if it is near, in any case."""
    assert nearest(name, ["call", "syscall", "args"]) == expected


def test_one_of():
    """Few names are listed where none is near; many are not."""
    assert one_of("zzz", ["enforce", "monitor"]) == "allowed: enforce, monitor"
    assert one_of("zzz", [f"name{i}" for i in range(20)]) == ""


def test_value_error():
    """It is ours, and one that pydantic gathers."""
    problem = PolicyValueError("is wrong", "do that", index=2)

    assert isinstance(problem, TetragonError)
    assert isinstance(problem, ValueError)
    assert (str(problem), problem.hint, problem.index) == ("is wrong", "do that", 2)
    assert problem.exit_status == 2
    assert problem.cause is Cause.MISTAKE


@pytest.mark.parametrize("cause", Cause)
def test_refusal(cause):
    """A finding says all that the error says."""
    found = refusal(("spec",), PolicyValueError("is wrong", "do that", cause=cause))

    assert (found.severity, found.path, found.message) == (
        Severity.ERROR,
        ("spec",),
        "is wrong",
    )
    assert (found.hint_text, found.cause) == ("do that", cause)
