# SPDX-License-Identifier: Apache-2.0
"""Filters on numbers: single sets, and the tables of whole selectors."""

from __future__ import annotations

import stat

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.compiler.evaluate import number_holds
from tests.unit.compiler.interpret import number
from tests.unit.compiler.random_policies import compare, policies
from tetragon_py.compiler.selectors.numbers import file_types, numbers
from tetragon_py.compiler.tables.intervals import EVERYTHING, LAST
from tetragon_py.policy.model.operators import Operator
from tetragon_py.policy.values.integers import IntRange

SIGN = 1 << 63
RANGES = {
    "int8": (-128, 127),
    "uint8": (0, 255),
    "int16": (-(1 << 15), (1 << 15) - 1),
    "int": (-(1 << 31), (1 << 31) - 1),
    "uint32": (0, (1 << 32) - 1),
    "int64": (-(1 << 63), (1 << 63) - 1),
    "uint64": (0, (1 << 64) - 1),
}


def test_bounds_at_the_ends():
    """Nothing is above the largest number, nothing below the smallest."""
    assert numbers(Operator.GT, [LAST]) == ()
    assert numbers(Operator.LT, [0]) == ()
    assert numbers(Operator.GT, [0]) == ((1, LAST),)
    assert numbers(Operator.LT, [-SIGN], is_signed=True) == ()
    assert numbers(Operator.LT, [0], is_signed=True) == ((0, SIGN - 1),)


def test_values_are_alternatives():
    """Of bounds the weakest counts; negatives exclude all."""
    assert numbers(Operator.GT, [7, 3]) == ((4, LAST),)
    assert numbers(Operator.NOT_EQUAL, [0, 1, LAST]) == ((2, LAST - 1),)
    assert numbers(Operator.IN_RANGE, [IntRange(0, 4), IntRange(3, LAST)]) == EVERYTHING


def test_privileged_ports():
    """Below 1024; they take no values."""
    assert numbers(Operator.DPORT_PRIV, []) == ((0, 1023),)
    assert numbers(Operator.NOT_SPORT_PRIV, []) == ((1024, LAST),)


def test_types_of_files():
    """All permissions of a type, and nothing of the next one."""
    assert file_types(Operator.FILE_TYPE, [stat.S_IFSOCK, stat.S_IFLNK]) == (
        (0o120000, 0o127777),
        (0o140000, 0o147777),
    )


@st.composite
def numeric(draw):
    kind = draw(st.sampled_from(sorted(RANGES)))
    low, high = RANGES[kind]
    near = st.sampled_from([low, low + 1, -1, 0, 1, 2, 5, high - 1, high])
    values = near.filter(lambda value: low <= value <= high)
    texts = st.lists(values.map(str), min_size=1, max_size=3)
    pairs = st.tuples(values, values).map(lambda pair: "{}:{}".format(*sorted(pair)))
    entry = st.one_of(
        st.fixed_dictionaries(
            {
                "operator": st.sampled_from(
                    ("Equal", "NotEqual", "GT", "LT", "InMap", "NotInMap", "Mask")
                ),
                "values": texts,
            }
        ),
        st.fixed_dictionaries(
            {
                "operator": st.sampled_from(("InRange", "NotInRange")),
                "values": st.lists(pairs, min_size=1, max_size=3),
            }
        ),
    ).map(lambda entry: {"index": 1} | entry)
    return kind, draw(policies(entry)), draw(values | st.none())


@given(numeric())
def test_numbers(drawn):
    """All operators on numbers of all widths, at their edges, and unreadable ones."""
    kind, specs, value = drawn
    bits = (RANGES[kind][1] - RANGES[kind][0]).bit_length()
    slots = {0: None if value is None else number(value)}

    compare(
        specs,
        [{"index": 1, "type": kind}],
        slots,
        lambda entry: number_holds(entry, value, bits),
    )
