# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.policy.yaml_nodes: values, and the way to a node."""

from __future__ import annotations

import pytest

from tetragon_py.policy.diagnostic import Finding
from tetragon_py.policy.yaml_nodes import Integer, Scalar, find_node, plain
from tetragon_py.policy.yaml_reader import read_documents


def test_integers_keep_their_text():
    """A number knows how it was written."""
    value = plain(Scalar("0x1_0", "int", 1, 1))

    assert isinstance(value, Integer)
    assert (value, value.text) == (16, "0x1_0")


@pytest.mark.parametrize("text", ["0x", "1.5", "", "0b2", "7" * 100])
def test_forced_integers(text):
    """An explicit tag does not make a number of what is none."""
    assert plain(Scalar(text, "int", 1, 1)) == text


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ((), (1, 0)),
        (("Spec",), (2, 1)),
        (("spec", "items", 1, "b"), (4, 4)),
        (("spec", "items", 1, "none"), (4, 3)),
        (("spec", "items", 9, "b"), (3, 2)),
        (("spec", 0), (2, 1)),
        (("none", "items"), (1, 0)),
        (("spec", "free", "A"), (7, 3)),
        (("spec", "free", "a"), (6, 3)),
    ],
)
def test_find_node(path, expected):
    """The deepest node on the path is found, by any case; the exact one first."""
    text = b"spec:\n  ITEMS:\n  - a: 1\n  - b: 2\n  free:\n    a: 1\n    A: 2\n"
    [root] = read_documents(text)
    assert not isinstance(root, Finding)
    node, count = find_node(root, path)

    assert (node.line, count) == expected
