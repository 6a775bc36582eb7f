# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.policy.later: what does not run yet is said."""

from __future__ import annotations

import pytest

from tests.unit.policy.texts import DATA, read_policy
from tetragon_py.policy.diagnostic import Severity
from tetragon_py.policy.later import later_parts
from tetragon_py.policy.loaded import diagnose
from tetragon_py.policy.source import load_policies


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("kprobe_function", []),
        ("tracepoint", []),
        ("process_filters", []),
        ("sockets", []),
        ("fentry", []),
        ("lsm", ["matchActions[1].imaHash"]),
        ("numbers", ["matchArgs[7].operator"]),
        ("usdt", ["usdts[0]", "matchActions[0].action"]),
        ("host", ["hostSelector"]),
        ("enforcer", []),
        (
            "macros",
            [
                "matchActions[0].action",
                "matchActions[1].action",
                "matchActions[2].kernelStackTrace",
                "matchActions[2].userStackTrace",
            ],
        ),
        (
            "workloads",
            [
                "kind",
                "loader",
                "podSelector",
                "containerSelector",
                "nodeSelector",
                "matchWorkloads",
            ],
        ),
    ],
)
def test_notes(name, expected):
    """Each part that does not run yet has a note with its path."""
    [loaded] = load_policies([DATA / "accepted" / f"{name}.yaml"]).policies
    notes = diagnose(loaded, later_parts(loaded.policy))

    assert all(note.severity is Severity.NOTE for note in notes)
    assert [
        note.path.rpartition("selectors[0].")[2].removeprefix("spec.") for note in notes
    ] == expected


def test_return_actions():
    """Actions at the return count too."""
    policy = read_policy(
        """
        kprobes:
        - call: f
          return: true
          returnArg: {type: int}
          selectors:
          - matchReturnActions: [{action: Post, kernelStackTrace: true}]
        """
    )

    assert [note.message for note in later_parts(policy)] == [
        "stack traces are not collected yet"
    ]
