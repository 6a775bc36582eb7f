# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.policy.check.macros: filters with a name."""

from __future__ import annotations

from tests.unit.policy.texts import check_refused, read_hook
from tetragon_py.policy.check.macros import origin
from tetragon_py.policy.diagnostic import Finding
from tetragon_py.policy.yaml_reader import read_documents


def test_refused():
    """The four mistakes, and those inside of a macro, are told where they are made."""
    check_refused("check-macros")


SPEC = """
    selectorsMacros:
      shells:
        matchBinaries: [{operator: In, values: [/bin/sh]}]
        matchWorkloads: {hostSelector: {}}
      quiet:
        matchActions: [{action: NoPost}]
    kprobes:
    - call: f
      selectors:
      - macros: [shells, quiet]
        matchPIDs: [{operator: In, values: [1]}]
      - matchPIDs: [{operator: In, values: [2]}]
    """


def test_merged():
    """A selector has the filters of all its macros beside its own."""
    first, second = read_hook(SPEC).selectors

    assert first.macros == ("shells", "quiet")
    assert first.match_binaries[0].values == ("/bin/sh",)
    assert first.match_workloads is not None
    assert [action.action for action in first.match_actions] == ["NoPost"]
    assert first.match_pids[0].values == (1,)
    assert second.match_binaries == ()


def test_origin():
    """A filter stands in its selector or in one of the macros."""
    [root] = read_documents(
        b"spec:\n  selectorsMacros: {m: {matchArgs: []}, n: 5}\n"
        b"  kprobes:\n  - selectors:\n    - {macros: [n, [], m], matchData: []}\n"
        b"    - {macros: m}\n    - 5\n"
    )

    assert not isinstance(root, Finding)

    def moved(selector: int, field: str) -> tuple[str | int, ...]:
        path = ("spec", "kprobes", 0, "selectors", selector, field, 0)
        return origin(root, path)[1:]

    assert moved(0, "matchArgs") == ("selectorsMacros", "m", "matchArgs", 0)
    assert moved(0, "matchData") == ("kprobes", 0, "selectors", 0, "matchData", 0)
    assert moved(0, "matchPIDs") == ("kprobes", 0, "selectors", 0, "matchPIDs", 0)
    assert moved(1, "matchArgs") == ("kprobes", 0, "selectors", 1, "matchArgs", 0)
    assert moved(2, "matchArgs") == ("kprobes", 0, "selectors", 2, "matchArgs", 0)
    assert moved(3, "matchArgs") == ("kprobes", 0, "selectors", 3, "matchArgs", 0)
