# SPDX-License-Identifier: Apache-2.0
"""Filters on texts: which table they go to, and what the tables then say."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.compiler.evaluate import text_holds
from tests.unit.compiler.interpret import Hit, buffer, matches, path, sock
from tests.unit.compiler.policies import one_hook
from tests.unit.compiler.random_policies import compare, policies
from tetragon_py.abi import _generated as c
from tetragon_py.compiler.selectors.conditions import Lookup, Place
from tetragon_py.compiler.selectors.texts import text_condition
from tetragon_py.policy.diagnostic import PolicyValueError
from tetragon_py.policy.model.operators import Operator

PLACE = Place(c.SOURCE_ARGUMENT, offset=24)
TOO_LONG = b"x" * 248


def condition(operator, *values, nuls=False, longest=4096):
    return text_condition(operator, values, PLACE, may_hold_nuls=nuls, longest=longest)


@pytest.mark.parametrize(
    ("operator", "values", "nuls", "kind", "patterns"),
    [
        (Operator.EQUAL, (b"a",), False, c.DIMENSION_TEXT, (b"a\0",)),
        (Operator.EQUAL, (b"",), False, c.DIMENSION_TEXT, (b"\0",)),
        (Operator.EQUAL, (b"a",), True, c.DIMENSION_TEXT_WHOLE, (b"a",)),
        (Operator.NOT_EQUAL, (b"a", TOO_LONG), False, c.DIMENSION_TEXT_WHOLE, None),
        (Operator.PREFIX, (b"a",), True, c.DIMENSION_TEXT, (b"a",)),
        (Operator.NOT_POSTFIX, (b"ab",), False, c.DIMENSION_TEXT_END, (b"ba",)),
        (Operator.SUBSTRING, (b"ab",), False, c.DIMENSION_SUBSTRING, (b"ab",)),
    ],
)
def test_tables(operator, values, nuls, kind, patterns):
    """All values of a filter are in one table, so that one of them is enough."""
    found = condition(operator, *values, nuls=nuls)

    assert found.lookup == Lookup(PLACE, kind)
    assert found.test.patterns == (patterns or values)
    assert found.test.is_negative is operator.is_negative


def test_case():
    """Searching without case is a search of its own."""
    found = condition(Operator.SUBSTRING_IGNORE_CASE, b"ab")

    assert found.lookup == Lookup(PLACE, c.DIMENSION_SUBSTRING, ignores_case=True)


@pytest.mark.parametrize(
    ("operator", "values", "index"),
    [
        (Operator.EQUAL, (b"a", b"x" * 4097), 1),
        (Operator.PREFIX, (b"a", TOO_LONG + b"x"), 1),
        (Operator.NOT_POSTFIX, (TOO_LONG + b"x",), 0),
    ],
)
def test_too_long(operator, values, index):
    """The position of the value is told."""
    condition(operator, *(value[:248] for value in values))
    with pytest.raises(PolicyValueError, match="is longer than") as caught:
        condition(operator, *values)

    assert caught.value.index == index


LONG = "ab" * 124  # 248 bytes: as a whole too long for the table of prefixes
SHORT_TEXTS = st.text("ab/B", min_size=1, max_size=4)
PATTERNS = SHORT_TEXTS | st.sampled_from((LONG, LONG[:-1], LONG[1:], "é"))
EQUALS = PATTERNS | st.sampled_from((LONG + "a", LONG * 2))
VALUES = st.one_of(
    EQUALS,
    st.just(""),
    st.lists(SHORT_TEXTS, max_size=3).map("".join),
    st.sampled_from(("x" + LONG, LONG + "x")),
)
TEXT_ENTRY = st.one_of(
    st.fixed_dictionaries(
        {
            "operator": st.sampled_from(("Equal", "NotEqual")),
            "values": st.lists(EQUALS, min_size=1, max_size=3),
        }
    ),
    st.fixed_dictionaries(
        {
            "operator": st.sampled_from(
                ("Prefix", "NotPrefix", "Postfix", "NotPostfix", "SubString")
            ),
            "values": st.lists(PATTERNS, min_size=1, max_size=3),
        }
    ),
    st.fixed_dictionaries(
        {
            "operator": st.just("SubStringIgnCase"),
            "values": st.lists(PATTERNS, min_size=1, max_size=2),
        }
    ),
).map(lambda entry: {"index": 0} | entry)


@given(policies(TEXT_ENTRY), VALUES.map(str.encode) | st.none())
@example([[[{"index": 0, "operator": "NotEqual", "values": ["a"]}]]], b"")
def test_texts(specs, value):
    """Short and long patterns side by side; an empty text is a text."""
    slots = {0: None if value is None else path(value)}

    compare(
        specs,
        [{"index": 0, "type": "file"}],
        slots,
        lambda entry: text_holds(entry, value),
    )


NUL_PATTERNS = st.text("a\0", min_size=1, max_size=3).filter(
    lambda text: not text.endswith("\0")
)


@given(
    policies(
        st.fixed_dictionaries(
            {
                "index": st.just(0),
                "operator": st.sampled_from(
                    ("Equal", "NotEqual", "Prefix", "NotPrefix", "Postfix")
                ),
                "values": st.lists(NUL_PATTERNS, min_size=1, max_size=2),
            }
        )
    ),
    st.text("a\0", max_size=4).map(str.encode),
)
def test_buffers_may_hold_zero_bytes(specs, value):
    """A zero byte is none but a byte there."""
    arguments = [{"index": 0, "type": "char_buf", "sizeArgIndex": 2}]

    compare(
        specs, arguments, {0: buffer(value)}, lambda entry: text_holds(entry, value)
    )


@pytest.mark.parametrize(
    ("operator", "pattern", "name", "is_match"),
    [
        ("Equal", "@abs", b"\0abs", True),
        ("Equal", "@abs", b"@abs", False),
        ("Equal", "@abs", b"\0abs\0", False),
        ("Prefix", "@ab", b"\0abs\0", True),
        ("Equal", "/run/x", b"/run/x", True),
        ("NotPrefix", "/run", b"\0run", True),
    ],
)
def test_names_of_unix_sockets(operator, pattern, name, is_match):
    """Abstract ones are written with an @ and begin with a zero byte."""
    hook, classes = one_hook(
        {"matchArgs": [{"index": 1, "operator": operator, "values": [pattern]}]},
        call="security_socket_connect",
        args=[{"index": 1, "type": "sockaddr_un"}],
    )

    found = matches(hook, classes, Hit({0: sock(family=1, name=name)}))
    assert bool(found) is is_match
