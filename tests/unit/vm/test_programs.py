# SPDX-License-Identifier: Apache-2.0
"""Tests of tests.vm.programs: growth and loss of BPF programs are told."""

from __future__ import annotations

import pytest

from tests.vm.programs import (
    PROGRAMS_FILE,
    compare_sizes,
    load_table,
    merge_sizes,
    render_table,
)

TABLE = {"p/exec": {"5.10": 1000, "6.1": 0}, "p/fork": {"5.10": 10, "6.1": 10}}
GOOD = {"p/exec": 1000, "p/fork": 10}


@pytest.mark.parametrize("size", [1, 1000, 1100])
def test_no_problem(size):
    """Smaller, equal and 10 % larger are fine."""
    assert compare_sizes(TABLE, "5.10", {**GOOD, "p/exec": size}, {}) == []


@pytest.mark.parametrize(
    ("kernel", "measured", "problem"),
    [
        (
            "5.10",
            {**GOOD, "p/exec": 1101},
            "p/exec on 5.10: 1101 instructions verified, +10% from 1000",
        ),
        (
            "5.10",
            {**GOOD, "p/exec": 0},
            "p/exec does not load on 5.10 any more: too large",
        ),
        ("6.1", GOOD, "p/exec loads on 6.1, the table says that not"),
        ("5.10", {"p/exec": 1000}, "p/fork is in the table but in no object"),
        ("5.10", {**GOOD, "p/new": 5}, "p/new is not in the table for 5.10"),
    ],
)
def test_problem(kernel, measured, problem):
    """Each problem names the program and the kernel."""
    errors = {"p/exec": "too large"}

    assert compare_sizes(TABLE, kernel, measured, errors) == [problem]


def test_merge():
    """Measured columns are replaced, the others stay, lost programs go."""
    merged = merge_sizes(TABLE, {"6.1": {"p/exec": 7, "p/new": 8}})

    assert merged == {"p/exec": {"5.10": 1000, "6.1": 7}, "p/new": {"6.1": 8}}


def test_file_form():
    """What is written is what is read; kernels are in the order of their numbers."""
    text = render_table({"p/exec": {"6.12": 1, "5.10": 2, "6.1": 3}})

    assert load_table(text) == {"p/exec": {"5.10": 2, "6.1": 3, "6.12": 1}}
    assert list(load_table(text)["p/exec"]) == ["5.10", "6.1", "6.12"]


def test_committed_file_is_generated():
    """Nobody edits the table."""
    text = PROGRAMS_FILE.read_text()

    assert render_table(load_table(text)) == text
