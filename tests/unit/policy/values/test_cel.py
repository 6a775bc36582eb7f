# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.policy.values.cel: the form of expressions."""

from __future__ import annotations

import pytest

from tetragon_py.policy.diagnostic import PolicyValueError
from tetragon_py.policy.values.cel import parse_expression


@pytest.mark.parametrize(
    ("text", "positions"),
    [
        ("arg0 == 5", (0,)),
        ("arg2 >= 0x10u && !(arg0 < -3 || arg2 != 1U)", (0, 2)),
        ("and(arg1, 0x80) != 0", (1,)),
        ("not(xor(arg0, or(1, 2))) == uint32(arg3)", (0, 3)),
        ("true || false", ()),
        ("arg0+1-2<int32(7)", (0,)),
    ],
)
def test_accepted(text, positions):
    """An expression says which arguments it uses."""
    assert parse_expression(text) == (text, positions)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "the expression is wrong at the end, character 1", ""),
        ("arg0 ==", "the expression is wrong at the end, character 8", ""),
        ("(arg0 == 1", "the expression is wrong at the end, character 11", ""),
        ("arg0 arg1", "the expression is wrong at 'arg1', character 6", ""),
        ("and(arg0)", "the expression is wrong at ')', character 9", ""),
        ("arg0 == 'x'", "\"'x'\" is no part of an expression", ""),
        ("arg0 in [1]", "the expression is wrong at 'in', character 6", ""),
        ("arg0 == 5x", "'5x' is no part of an expression", ""),
        ("uint23(arg0)", "unknown name 'uint23'", "did you mean 'uint32'?"),
        ("(" * 100, "is nested deeper than 32 levels", ""),
        ("!" * 100 + "arg0", "is nested deeper than 32 levels", ""),
        ("1" * 1025, "is longer than 1024 characters", ""),
    ],
)
def test_refused(text, message, hint):
    """What CelExpr does not support is refused with its place."""
    with pytest.raises(PolicyValueError) as caught:
        parse_expression(text)

    assert caught.value.message.startswith(message)
    assert caught.value.hint == hint
