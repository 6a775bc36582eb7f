# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.policy.loaded: places of a policy's parts after reading."""

from __future__ import annotations

import pytest

from tests.unit.policy.texts import policy_text
from tetragon_py.policy.diagnostic import Cause, Severity, error, warning
from tetragon_py.policy.documents import load_text
from tetragon_py.policy.loaded import LoadedPolicy, LoadResult, diagnose, diagnostic_at

SPEC = """
    selectorsMacros:
      shells:
        matchBinaries: [{operator: In, values: [/bin/sh]}]
    kprobes:
    - call: f
      selectors:
      - macros: [shells]
        matchPIDs:
        - {operator: In, values: [1]}
    """
SELECTOR = ("spec", "kprobes", 0, "selectors", 0)


def load_second() -> LoadedPolicy:
    text = policy_text("kprobes: [{call: f}]", name="first")
    result = load_text(f"{text}---\n{policy_text(SPEC)}".encode(), "f")
    assert result.diagnostics == ()
    return result.policies[1]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ((), (8, 1)),
        (("metadata", "name"), (11, 9)),
        (("spec", "kprobes", 0), (17, 5)),
        (("spec", "kprobes", 0, "call"), (17, 11)),
        (("spec", "kprobes", 0, "args", 3), (17, 5)),
        (("spec", "kprobes", 7), (17, 3)),
        ((*SELECTOR, "matchPIDs", 0, "values", 0), (21, 33)),
        ((*SELECTOR, "matchBinaries", 0, "operator"), (15, 34)),
    ],
)
def test_locate(path, expected):
    """The deepest part that exists is found, in macros too."""
    assert load_second().locate(path) == expected


def test_diagnostics():
    """Whoever knows the path can say where it is."""
    loaded = load_second()
    path = (*SELECTOR, "matchBinaries", 0, "values", 0)

    assert str(diagnostic_at(loaded, path, "is missing", "create it")) == (
        "f:15:47: error: spec.selectorsMacros.shells.matchBinaries[0].values[0]: "
        "is missing\n  hint: create it"
    )
    assert [
        str(each)
        for each in diagnose(loaded, [warning(("kind",), "a"), warning((), "b")])
    ] == ["f:9:7: warning: kind: a", "f:8:1: warning: b"]


@pytest.mark.parametrize("cause", Cause)
def test_causes(cause):
    """Whoever gets a diagnostic knows why the part cannot be had."""
    loaded = load_second()
    [found] = diagnose(loaded, [error(("kind",), "x", cause=cause)])

    assert found.cause is cause
    assert diagnostic_at(loaded, (), "x", cause=cause).cause is cause
    assert diagnostic_at(loaded, (), "x").cause is Cause.MISTAKE


def test_a_policy_without_its_text():
    """Where the text is gone, the file is named and nothing raises."""
    loaded = load_second()
    gone = LoadedPolicy(loaded.policy, "f", 5, "", "", b"a: 1")

    assert gone.locate(("spec",)) == (0, 0)
    assert str(diagnostic_at(gone, ("spec",), "is wrong")) == (
        "f: error: spec: is wrong"
    )


def test_errors():
    """A result knows whether something was refused."""
    loaded = load_second()
    mild = diagnostic_at(loaded, (), "x", severity=Severity.WARNING)

    assert not LoadResult(diagnostics=(mild,)).has_errors
    assert LoadResult(diagnostics=(mild, diagnostic_at(loaded, (), "x"))).has_errors
