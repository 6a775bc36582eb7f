# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.policy.schema: nodes to data with canonical keys."""

from __future__ import annotations

import pytest
from pydantic import Field

from tetragon_py.policy.diagnostic import Finding, Severity, error
from tetragon_py.policy.schema import Findings, Flag, Model, Number, Text, read
from tetragon_py.policy.yaml_reader import read_documents


class Leaf(Model):
    short_name: Text
    pid_list: tuple[Number, ...] = Field((), alias="PIDs")


class Tree(Model):
    leaf: Leaf | None = None
    leaves: tuple[Leaf, ...] = ()
    by_name: dict[Text, Leaf] = Field(default_factory=dict)
    is_on: Flag = False
    anything: object = None


def read_tree(text: str) -> tuple[object, list[str]]:
    [root] = read_documents(text.encode())
    assert not isinstance(root, Finding)
    found = Findings()
    data = read(root, Tree, found)
    return data, [f"{f.line}:{f.column}: {f.message} ({f.hint})" for f in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("LEAF: {SHORTNAME: x}", {"leaf": {"shortName": "x"}}),
        ("leaves: [{shortname: x}]", {"leaves": [{"shortName": "x"}]}),
        ("byName: {A: {pids: [1]}}", {"byName": {"A": {"PIDs": [1]}}}),
        ("leaf: ~\nleaves:\nisOn: yes", {"isOn": True}),
        ("leaves: {x: 1}", {"leaves": {"x": 1}}),
        ("leaf: [1, ~]", {"leaf": [1, None]}),
        ("anything: {A: [b]}", {"anything": {"A": ["b"]}}),
        ("byName: {1: ~, no: ~}", {"byName": {"1": None, "no": None}}),
    ],
)
def test_keys(text, expected):
    """Keys of the schema come out as it spells them; names stay as they are."""
    assert read_tree(text) == (expected, [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("leef: 1", "1:1: unknown field (did you mean 'leaf'?)"),
        ("by_name: {}", "1:1: unknown field (did you mean 'byName'?)"),
        ("zzz: 1", "1:1: unknown field ()"),
        ("leaf:\n  ? [a]\n  : 1", "2:5: a key must be a name ()"),
        ("byName:\n  ? [a]\n  : 1", "2:5: a key must be a name ()"),
        (
            "isOn: true\nISON: true",
            "2:1: is given twice, first in line 1 as 'isOn' (remove one of them)",
        ),
        (
            "byName: {a: {}, a: {}}",
            "1:17: is given twice, first in line 1 (remove one of them)",
        ),
    ],
)
def test_findings(text, expected):
    """Keys that are unknown or repeated are findings with their place."""
    assert read_tree(text)[1] == [expected]


def test_the_first_of_two_counts():
    """A repeated key does not replace the first one."""
    assert read_tree("isOn: true\nison: false")[0] == {"isOn": True}


def test_findings_are_kept_once_and_counted():
    """The first hundred are kept; repeated ones do not count."""
    found = Findings()
    for number in (*range(150), 0, 1):
        found.add(error(("a", number), "is wrong"))

    assert (len(found), found.total, found.is_full) == (100, 150, True)
    assert found[0] == Finding(Severity.ERROR, ("a", 0), "is wrong")
