# SPDX-License-Identifier: Apache-2.0
"""The automaton finds what `in` finds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.compiler.interpret import search
from tetragon_py.compiler.tables.automaton import build_automaton

PATTERNS = st.lists(
    st.binary(min_size=1, max_size=4) | st.text("abA", min_size=1).map(str.encode),
    max_size=8,
    unique=True,
)
VALUES = st.text("abAB", max_size=12).map(str.encode) | st.binary(max_size=12)


@given(PATTERNS, VALUES)
def test_finds_all_patterns(patterns, value):
    """Also those that overlap, and those inside of others."""
    rows = build_automaton({p: 1 << n for n, p in enumerate(patterns)})

    expected = sum((p in value) << n for n, p in enumerate(patterns))
    assert search(rows, value) == expected
    assert len(rows) <= 1 + sum(map(len, patterns))


@given(PATTERNS, VALUES)
def test_case_of_ascii_letters_is_ignored(patterns, value):
    """Other bytes are compared as they are."""
    lower = sorted({pattern.lower() for pattern in patterns})
    rows = build_automaton({p: 1 << n for n, p in enumerate(lower)}, ignore_case=True)

    expected = sum((p in value.lower()) << n for n, p in enumerate(lower))
    assert search(rows, value) == expected
