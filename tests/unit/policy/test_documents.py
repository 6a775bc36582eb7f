# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.policy.documents: any bytes in, policies and diagnostics out."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.policy.texts import DATA, policy_text, said
from tetragon_py.policy.documents import load_text

if TYPE_CHECKING:
    from random import Random

HEAD = "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\n"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "f: error: holds no policy\n  hint: it has no YAML document"),
        (
            b"# x\n---\n---\n",
            "f: error: holds no policy\n  hint: it has no YAML document",
        ),
        (b"a: \xff\n", "f:1:4: error: is not UTF-8 text"),
        ("a:\n \u00e9: ".encode() + b"\xc3", "f:2:5: error: is not UTF-8 text"),
        (b"a: 1\nb: \0", r"f:2:4: error: has the control character '\x00'"),
        ("\u00e9\x1b".encode(), r"f:1:2: error: has the control character '\x1b'"),
        ("a: 1".encode("utf-16"), "f:1:1: error: is not UTF-8 text"),
        (b"a: [", "f:2:1: error: is not YAML: did not find expected node content"),
        (b"- a", "f:1:1: error: a document must be a mapping with apiVersion, kind,"),
        (b"word", "f:1:1: error: a document must be a mapping with apiVersion, kind,"),
        (b"{}", "f:1:1: error: apiVersion: is required"),
    ],
)
def test_no_policy(data, expected):
    """What is no policy is told with the place where that shows."""
    result = load_text(data, "f")

    assert result.policies == ()
    assert str(result.diagnostics[0]).startswith(expected)


def test_byte_order_mark():
    """Editors put it there; it means nothing."""
    data = policy_text("kprobes: [{call: f}]").encode()

    assert load_text(b"\xef\xbb\xbf" + data, "f").diagnostics == ()


def test_all_mistakes_at_once():
    """Wrong fields do not hide wrong values of other hooks, lists or documents."""
    wrong = policy_text(
        """
        kprobes:
        - {call: f, sycall: true}
        - {call: g, args: [{index: 0, type: int}], selectors: [{matchArgs: [{index: 0, operator: Equal, values: [x]}]}]}
        - {cal: h}
        - {call: i, selectors: [{macros: [m]}, {macros: [n]}]}
        selectorsMacros: {m: {matchPIDs: 5}, n: {matchPIDs: [{operator: In, values: [1]}]}}
        lists: [{name: a, type: syscalls}, {}]
        """  # noqa: E501 - lines of YAML
    )

    assert [line.partition("\n")[0] for line in said(f"{wrong}---\n- x\n")] == [
        "7:15: error: spec.kprobes[0].sycall: unknown field",
        "8:108: error: spec.kprobes[1].selectors[0].matchArgs[0].values[0]: "
        "'x' is no whole number",
        "9:5: error: spec.kprobes[2].call: is required",
        "9:6: error: spec.kprobes[2].cal: unknown field",
        "10:37: error: spec.kprobes[3].selectors[0].macros[0]: unknown macro 'm'",
        "11:36: error: spec.selectorsMacros.m.matchPIDs: must be a list, "
        "got the number 5",
        "12:11: error: spec.lists[0].values: is required for this type of list",
        "12:38: error: spec.lists[1].name: is required",
        "14:1: error: a document must be a mapping with apiVersion, kind, metadata "
        "and spec",
    ]


def test_documents_do_not_share_mistakes():
    """A document with errors gives no policy, the others of the file do."""
    texts = [policy_text("kprobes: [{call: f}]", name=name) for name in ("a", "B", "c")]
    result = load_text("---\n".join(texts).encode(), "f")

    assert [(p.policy.name, p.document) for p in result.policies] == [
        ("a", 0),
        ("c", 2),
    ]
    assert [(d.line, d.path) for d in result.diagnostics] == [(11, "metadata.name")]


def test_what_follows_broken_yaml_is_lost():
    """The parser cannot go on; what came before it counts."""
    text = policy_text("kprobes: [{call: f}]") + "---\na: [\n"
    result = load_text(text.encode(), "f")

    assert len(result.policies) == 1
    assert len(result.diagnostics) == 1


def test_other_objects_are_skipped():
    """Objects of other groups are no mistake; misspelled policies are."""
    assert said("apiVersion: v1\nkind: Pod\n") == [
        "2:7: warning: kind: 'Pod' is no policy: it is not read"
    ]
    assert said("apiVersion: v1\nkind: TracingPolicy\n")[0].startswith("1:1: error: ")
    assert said("apiVersion: [v1]\nkind: Pod\n")[0].startswith("1:1: error: ")


def test_digests():
    """Comments and layout do not change what a document says."""
    first = policy_text("kprobes: [{call: one, syscall: true}]")
    second = "# new\n" + first.replace("call: one", "call: 'one' ")
    third = first.replace("call: one", "call: two")
    a, b, c = (
        load_text(text.encode(), "f").policies[0] for text in (first, second, third)
    )

    assert a.digest == b.digest != c.digest
    assert a.file_digest == hashlib.sha256(first.encode()).hexdigest() != b.file_digest


def test_many_mistakes_are_counted():
    """A file that was not meant for us does not fill the screen, nor take long."""
    lines = "".join(f"  wrong{i}: x\n" for i in range(50_000))
    result = load_text(f"{HEAD}spec:\n{lines}".encode(), "f")

    assert len(result.diagnostics) == 101
    assert str(result.diagnostics[-1]) == "f: error: and 49901 more in this document"


def test_many_wrong_documents():
    """A file of thousands of wrong documents is left at some point."""
    result = load_text(b"---\na: 1\n" * 1000, "f")

    assert len(result.diagnostics) == 1006
    assert result.diagnostics[-1].message == "the rest of the file is not read"


@pytest.mark.parametrize(
    "lines",
    [
        "  - {call: f, args: [{index: 0, type: strng%d}]}\n",
        "  - {call: f, selectors: [{macros: [mcro%d]}]}\n",
        "  - {call: 'list:lst%d'}\n",
    ],
)
def test_hints_are_not_sought_in_vain(lines):
    """Only what is shown costs the search for the nearest name."""
    macros = ", ".join(f"macro{i}: {{}}" for i in range(5000))
    hooks = "".join(lines % i for i in range(5000))
    text = policy_text(f"selectorsMacros: {{{macros}}}") + "  kprobes:\n" + hooks

    assert len(load_text(text.encode(), "f").diagnostics) == 101


SEEDS = sorted(DATA.glob("*/*.yaml"))


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(data):
    """No bytes whatever make it raise."""
    load_text(data, "f")


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(SEEDS), st.randoms(use_true_random=False))
def test_damaged_policies(path, chance: Random):
    """Policies with bytes cut out, doubled and changed do not make it raise."""
    data = bytearray(path.read_bytes())
    for _ in range(chance.randint(1, 8)):
        start = chance.randrange(len(data))
        end = min(start + chance.randint(1, 40), len(data))
        piece = data[start:end]
        data[start:end] = chance.choice(
            (b"", piece * 2, b"~", b"[", b"{", b": ", b"- ", b"'", b"&a ", b"*a", b"5")
        )
        data = data or bytearray(b"x")

    for each in load_text(bytes(data), "f").diagnostics:
        assert "\n" not in str(each).replace("\n  hint: ", "")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["call", "args", "index", "type", "operator", "values", "x"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(["kprobes", "lsmhooks", "uprobes", "lists", "options", "loader"]),
    st.sampled_from(["selectorsMacros", "podSelector", "enforcers", "fentries"]),
    VALUES,
    VALUES,
)
def test_any_values(first, second, one, other):
    """Values of any type in any place do not make it raise."""
    import yaml  # noqa: PLC0415 - only this test writes YAML

    spec = yaml.safe_dump({first: one, second: other}, allow_unicode=False)
    load_text(policy_text(spec).encode(errors="surrogatepass"), "f")
