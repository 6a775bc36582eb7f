# SPDX-License-Identifier: Apache-2.0
"""The library's README says what there is and what the tests try."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.library.doors import EXEC_DOORS, PROGRAMS, VICTIMS
from tests.e2e.library.readme import README, render
from tests.e2e.library.table import CASES
from tetragon_py.policy.catalog import load_library


def test_readme_is_up_to_date():
    """`python -m tests.e2e.library.readme` would change nothing."""
    assert README.read_text() == render()


def test_numbers_are_right():
    """The product's README counts the policies."""
    text = (Path(__file__).parents[3] / "README.md").read_text()

    assert f"`tetragon_py/policy/library` has {len(load_library())} policies" in text


def test_every_policy_is_tried():
    """Each has triggers and a benign action; doors are of policies that there are."""
    assert sorted(case.policy for case in CASES) == sorted(load_library())
    assert all(case.triggers for case in CASES)
    assert set(VICTIMS) <= set(load_library())


def test_every_way_to_execute_is_tried():
    """The table's rows are those that some program is executed by."""
    assert {door for doors in PROGRAMS.values() for door in doors} == set(EXEC_DOORS)
