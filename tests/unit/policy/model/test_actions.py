# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.policy.model.actions: spellings and parameters."""

from __future__ import annotations

import pytest

from tests.unit.policy.texts import check_refused
from tetragon_py.policy.model.actions import ENFORCING, NO_OPS, Action, ActionKind


def test_refused():
    """Each wrong parameter is told with its place and a hint."""
    check_refused("model-actions")


@pytest.mark.parametrize("text", ["Sigkill", "sigkill", " SIGKILL "])
def test_spellings(text):
    """Case does not count."""
    assert Action.model_validate({"action": text}).action is ActionKind.SIGKILL


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("5", 5), (5, 5), ("5s", 5), ("2m", 120), ("1h", 3600), ("366m", 21960)],
)
def test_rate_limits(value, seconds):
    """A rate limit comes out in seconds, whatever its unit."""
    action = Action.model_validate({"action": "Post", "rateLimit": value})

    assert action.rate_limit == seconds


@pytest.mark.parametrize(
    ("written", "expected"), [(-1, -1), (-4095, -4095), (1, -1), (None, None)]
)
def test_errno(written, expected):
    """A positive number stands for EPERM."""
    data = {"action": "Override"} | ({} if written is None else {"argError": written})

    assert Action.model_validate(data).errno == expected


def test_a_validated_action_validates_again():
    """A model's own data are valid: they can be stored and read back."""
    action = Action.model_validate({"action": "Post", "rateLimit": "5m"})

    assert Action.model_validate(action.model_dump(by_alias=True)) == action


def test_kinds():
    """What enforces is not without effect."""
    assert not ENFORCING & NO_OPS
