# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.policy.model.operators: spellings and what goes with what."""

from __future__ import annotations

import pytest

from tetragon_py.policy.diagnostic import PolicyValueError
from tetragon_py.policy.model.operators import (
    OPERATORS,
    Operator,
    TypeKind,
    parse_operator,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Equal", Operator.EQUAL),
        ("equal", Operator.EQUAL),
        ("eq", Operator.EQUAL),
        ("neq", Operator.NOT_EQUAL),
        ("GreaterThan", Operator.GT),
        ("gt", Operator.GT),
        ("LessThan", Operator.LT),
        ("NotSPortPriv", Operator.NOT_SPORT_PRIV),
        ("NotSportPriv", Operator.NOT_SPORT_PRIV),
        ("SubStringIgnoreCase", Operator.SUBSTRING_IGNORE_CASE),
        ("SubStringIgnCase", Operator.SUBSTRING_IGNORE_CASE),
        (" saddr ", Operator.SADDR),
        ("NOTIN", Operator.NOT_IN),
    ],
)
def test_spellings(text, expected):
    """Case does not count, and both spellings of documentation and schema work."""
    assert parse_operator(text) is expected


@pytest.mark.parametrize(
    ("value", "message", "hint"),
    [
        ("Equals", "unknown operator 'Equals'", "did you mean 'Equal'?"),
        ("Instring", "unknown operator 'Instring'", "use SubString"),
        ("x", "unknown operator 'x'", ""),
        (5, "must be the name of an operator", "put it in quotes"),
    ],
)
def test_unknown(value, message, hint):
    """An unknown operator is told with the nearest one."""
    with pytest.raises(PolicyValueError) as caught:
        parse_operator(value)

    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_not_here():
    """In belongs to filters on processes; arguments have Equal and InMap."""
    with pytest.raises(PolicyValueError) as caught:
        parse_operator("in", OPERATORS[TypeKind.AUTO])

    assert caught.value.message == "operator In cannot be used here"
    assert caught.value.hint == "use Equal or InMap; NotEqual or NotInMap"


def test_forms():
    """Each negative operator has a positive form that is not negative."""
    for operator in Operator:
        assert not operator.positive.is_negative
        assert operator.is_negative is (operator.positive is not operator)


def test_negative_operators_go_where_their_positive_forms_go():
    """No kind of argument has one form without the other."""
    negative = {o.positive: o for o in Operator if o.is_negative}
    for operators in OPERATORS.values():
        for positive, not_positive in negative.items():
            assert (positive in operators) is (not_positive in operators)


def test_every_operator_is_used():
    """Each operator works on some argument, but for the two of processes."""
    used = frozenset().union(*(OPERATORS[k] for k in TypeKind if k != TypeKind.AUTO))

    assert set(Operator) - used == {Operator.IN, Operator.NOT_IN}
