# SPDX-License-Identifier: Apache-2.0
"""Tables of patterns: a row answers for all selectors and all of their conditions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.compiler.interpret import prefix_match
from tetragon_py.compiler.tables.patterns import (
    Alternatives,
    PatternTable,
    longest_prefixes,
)

TEXTS = st.text("ab", max_size=4).map(str.encode)
CONDITION = st.builds(
    Alternatives, st.lists(TEXTS, min_size=1, max_size=3).map(tuple), st.booleans()
)
SELECTORS = st.lists(st.lists(CONDITION, min_size=1, max_size=3), max_size=5)


def vector_of(selectors, holds):
    """The selectors whose every condition holds; the last one wants nothing."""
    vector = 1 << len(selectors)
    for number, conditions in enumerate(selectors):
        content = all(
            any(holds(p) for p in condition.patterns) is not condition.is_negative
            for condition in conditions
        )
        vector |= content << number
    return vector


def table_of(selectors):
    everyone = (2 << len(selectors)) - 1
    bits = [(1 << n, conditions) for n, conditions in enumerate(selectors)]
    return PatternTable(bits, everyone)


@given(SELECTORS.filter(bool), st.lists(TEXTS, max_size=3), TEXTS)
def test_longest_pattern_answers_for_all(selectors, others, value):
    """Also with rows that only other tables need (classes of processes)."""
    table = table_of(selectors)
    patterns = sorted({*table.patterns, *others})
    rows = table.prefix_rows(patterns, longest_prefixes(patterns))

    found = prefix_match(rows, value)
    vector = table.miss if found is None else found

    assert vector == vector_of(selectors, value.startswith)


@given(SELECTORS.filter(bool), TEXTS)
def test_whole_texts(selectors, value):
    """A row is for values that equal its text; all others miss."""
    table = table_of(selectors)

    vector = dict(table.whole_rows()).get(value, table.miss)

    assert vector == vector_of(selectors, lambda pattern: pattern == value)


@given(st.sets(TEXTS))
def test_longest_prefix_of_each(patterns):
    """-1 for those that begin with no other one."""
    ordered = sorted(patterns)

    for pattern, found in zip(ordered, longest_prefixes(ordered), strict=True):
        shorter = [p for p in ordered if p != pattern and pattern.startswith(p)]
        expected = max(shorter, key=len, default=None)
        assert (ordered[found] if found >= 0 else None) == expected
