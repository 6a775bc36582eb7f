# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.policy.values.integers: numbers by width and sign."""

from __future__ import annotations

import pytest

from tetragon_py.policy.diagnostic import PolicyValueError
from tetragon_py.policy.model.arguments import ArgumentType
from tetragon_py.policy.model.operators import Operator
from tetragon_py.policy.values.integers import (
    IntRange,
    ListReference,
    number_parser,
    parse_integer,
    split_range,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("-1", -1),
        ("+7", 7),
        (" 12 ", 12),
        ("0x1F", 31),
        ("-0x10", -16),
        ("0b101", 5),
        ("0o17", 15),
        ("017", 15),
        ("00", 0),
        ("18446744073709551615", 2**64 - 1),
    ],
)
def test_bases(text, expected):
    """The prefix says the base, as in Go and C."""
    assert parse_integer(text) == expected


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", ""),
        ("x", ""),
        ("1.0", ""),
        ("0x", ""),
        ("1_000", ""),
        ("1\u0663", ""),
        ("- 1", ""),
        ("9" * 81, ""),
        ("09", "a number that begins with 0 is octal"),
    ],
)
def test_not_a_number(text, hint):
    """What is no number is refused; an octal trap is explained."""
    with pytest.raises(PolicyValueError, match="is no whole number") as caught:
        parse_integer(text)

    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("int", "-1", -1),
        ("int", "0xffffffff", -1),
        ("int32", "2147483648", -(2**31)),
        ("uint32", "-1", 2**32 - 1),
        ("int8", "255", -1),
        ("uint16", "-32768", 32768),
        ("int64", "18446744073709551615", -1),
        ("uint64", "-1", 2**64 - 1),
        ("size_t", "4294967296", 2**32),
        ("bpf_cmd", "5", 5),
        ("capability", "CAP_SYS_ADMIN", 21),
        ("capability", "21", 21),
        ("cap_effective", "cap_chown, DAC_OVERRIDE", 3),
        ("kernel_cap_t", "0x1ffffffffff", 2**41 - 1),
    ],
)
def test_equal(kind, text, expected):
    """Both notations of the same bits are the same value of the type."""
    assert number_parser(Operator.EQUAL, ArgumentType(kind))(text) == expected


@pytest.mark.parametrize(
    ("operator", "kind", "text", "message", "hint"),
    [
        ("Equal", "int", "4294967296", "'4294967296' does not fit into 32 bits", ""),
        ("Mask", "uint8", "-129", "'-129' does not fit into 8 bits", ""),
        ("GT", "uint32", "-1", "'-1' is out of the range of uint32", "0 to 4294967295"),
        ("LT", "int8", "128", "'128' is out of the range of int8", "-128 to 127"),
        ("InRange", "int", "5", "'5' is no range", "write it as low:high"),
        ("InRange", "int", "5:1", "'5:1' is empty", "write 1:5"),
        ("InRange", "int", "5:", "'' is no whole number", ""),
        ("InRange", "uint8", "256:300", "'256:300' is out of the range of uint8", "0"),
        ("InMap", "int", "list:a", "'list:a' needs an argument of 64 bits", "use type"),
        ("Equal", "cap_effective", "CAP_SYS_ADMN", "'CAP_SYS_ADMN' is no", "did you"),
    ],
)
def test_refused(operator, kind, text, message, hint):
    """Values that cannot be meant are refused with what is allowed."""
    parse = number_parser(Operator(operator), ArgumentType(kind))
    with pytest.raises(PolicyValueError) as caught:
        parse(text)

    assert caught.value.message.startswith(message)
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize(
    ("operator", "kind", "text", "expected"),
    [
        ("InRange", "int", "-5:0x10", IntRange(-5, 16)),
        ("InRange", "int", "0:4294967295", IntRange(0, 2**31 - 1)),
        ("InRange", "uint32", "-9223372036854775808:7", IntRange(0, 7)),
        ("InMap", "uint16", "80", 80),
        ("InMap", "uint16", "80:90", IntRange(80, 90)),
        ("InMap", "syscall64", "list:dups", ListReference("dups")),
        ("GT", "int64", "-9223372036854775808", -(2**63)),
    ],
)
def test_ranges(operator, kind, text, expected):
    """Ranges are cut to what the type can hold; bounds are exact numbers."""
    assert number_parser(Operator(operator), ArgumentType(kind))(text) == expected


def test_split_range():
    """The first colon parts low from high."""
    assert split_range("1:2:3") == ("1", "2:3")
