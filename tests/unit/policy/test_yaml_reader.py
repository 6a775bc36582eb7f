# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.policy.yaml_reader: nodes with places; hostile text."""

from __future__ import annotations

import pytest

from tetragon_py.policy.diagnostic import Finding
from tetragon_py.policy.yaml_nodes import Mapping, Node, Scalar, Sequence, plain
from tetragon_py.policy.yaml_reader import DEPTH_MAX, NODES_MAX, read_documents


def read_one(text: str) -> Node:
    [root] = read_documents(text.encode())
    assert not isinstance(root, Finding), root
    return root


def problem(text: str) -> str:
    *_, last = read_documents(text.encode())
    assert isinstance(last, Finding)
    hint = f" ({last.hint})" if last.hint else ""
    return f"{last.line}:{last.column}: {last.message}{hint}"


def test_places():
    """Every node knows the line and column of its first character."""
    root = read_one("a: 1\nb:\n- x\n-  {c: y}\n")

    assert isinstance(root, Mapping)
    (a, one), (b, items) = root.pairs
    assert isinstance(items, Sequence)
    assert isinstance(items.items[1], Mapping)
    [(_, y)] = items.items[1].pairs
    assert [(node.line, node.column) for node in (root, a, one, b, items, y)] == [
        (1, 1),
        (1, 1),
        (1, 4),
        (2, 1),
        (3, 1),
        (4, 8),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("80", ("int", 80)),
        ("0x50", ("int", 80)),
        ("010", ("int", 8)),
        ("-1_000", ("int", -1000)),
        ("'80'", ("str", "80")),
        ("!!str 80", ("str", "80")),
        ("! 80", ("str", "80")),
        ("!!int '80'", ("int", 80)),
        ("!!int word", ("int", "word")),
        ("08", ("str", "08")),
        ("9" * 65, ("str", "9" * 65)),
        ("1:30", ("str", "1:30")),
        ("1.5", ("float", 1.5)),
        ("no", ("bool", False)),
        ("On", ("bool", True)),
        ("~", ("null", None)),
        ("2024-01-01", ("str", "2024-01-01")),
        ("=", ("str", "=")),
    ],
)
def test_kinds_of_scalars(text, expected):
    """Scalars mean what YAML 1.1 says, but 1:30 is a range and dates are text."""
    root = read_one(f"[{text}]")

    assert isinstance(root, Sequence)
    [node] = root.items
    assert isinstance(node, Scalar)
    assert (node.kind, plain(node)) == expected


def test_documents():
    """Documents come one by one; empty ones do not count."""
    roots = list(read_documents(b"---\n---\na: 1\n---\n# nothing\n---\nb: 2\n"))

    assert [plain(root) for root in roots if not isinstance(root, Finding)] == [
        {"a": 1},
        {"b": 2},
    ]


def test_aliases_and_merges():
    """An alias stands for its anchor; merged keys are overridden by own ones."""
    text = (
        "a: &a {x: &x 1, y: 2}\nb: *a\ne: *x\n"
        "c: {<<: *a, y: 3}\nd: {<<: [{z: 4}, *a]}\n"
    )

    assert plain(read_one(text)) == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 2},
        "c": {"x": 1, "y": 3},
        "e": 1,
        "d": {"z": 4, "x": 1, "y": 2},
    }


def test_anchors_end_with_their_document():
    """A later document does not see the anchors of an earlier one."""
    expected = "2:4: the alias names nothing that is complete before it"

    assert problem("a: &a 1\n---\nb: *a\n").endswith(expected[1:])


def laughs(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]"
        for level in range(1, levels)
    ]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: &a [*a]", "1:8: the alias names nothing that is complete before it"),
        ("a: *none", "1:4: the alias names nothing that is complete before it"),
        ("a: !!python/name:os.system x", "1:4: tags are not allowed (remove the tag)"),
        ("a: !!set {x}", "1:4: tags are not allowed"),
        ("{<<: 1}", "1:7: << takes mappings only"),
        ("[" * 2_000_000, f"1:65: nested deeper than {DEPTH_MAX} levels"),
        ("- " * 200_000, f"1:129: nested deeper than {DEPTH_MAX} levels"),
        ("? " * 100_000, f"1:129: nested deeper than {DEPTH_MAX} levels"),
        (
            laughs(9),
            f"6:10: more than {NODES_MAX} values in one file, aliases expanded"
            " (split the file)",
        ),
        (
            "- a\n" * (NODES_MAX + 10),
            f"{NODES_MAX}:3: more than {NODES_MAX} values in one file, aliases expanded"
            " (split the file)",
        ),
        ("a: [1", "2:1: is not YAML: did not find expected ',' or ']'"),
        ("a: 'b", "1:6: is not YAML: found unexpected end of stream"),
        ("a: b: c", "1:5: is not YAML: mapping values are not allowed in this context"),
        ("\t- x", "1:1: is not YAML: found character that cannot start any token"),
        ("a: \ufffe", "0:0: is not YAML: control characters are not allowed"),
        (
            "%YAML 9999999999.1\n--- a",
            "1:16: is not YAML: found extremely long version number",
        ),
        ("%YAML 9.9\n---\na: 1", "1:1: is not YAML: found incompatible YAML document"),
    ],
    ids=lambda text: text[:20],
)
def test_refused(text, expected):
    """What is not YAML or too large ends in one finding with its place."""
    assert problem(text) == expected


def test_deep_aliases():
    """Depth counts through aliases: short text cannot nest without end."""
    lines = ["a0: &a0 [[[[[[[[[x]]]]]]]]]"]
    lines += [f"a{i}: &a{i} [[[[[[[[*a{i - 1}]]]]]]]]" for i in range(1, 20)]

    assert problem("\n".join(lines)) == (f"8:17: nested deeper than {DEPTH_MAX} levels")
