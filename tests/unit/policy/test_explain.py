# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.policy.explain: what pydantic says, in our words."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from tests.unit.policy.texts import check_refused
from tetragon_py.policy.diagnostic import Finding, Severity
from tetragon_py.policy.explain import explain
from tetragon_py.policy.schema import Flag, Model, Number, Text


def findings(kind: Any, value: object) -> list[Finding]:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    return list(explain(caught.value, ("top",)))


def test_refused():
    """Whole documents with fields of wrong types draw what one can act on."""
    check_refused("schema")


class Inner(Model):
    word: Text
    numbers: tuple[Number, ...] = Field((), min_length=1, max_length=2)


@pytest.mark.parametrize(
    ("kind", "value", "message", "hint"),
    [
        (Text, None, "must be text, got nothing", ""),
        (Text, True, "must be text, got the truth value true", "put it in quotes"),
        (Text, 1.5, "must be text, got the number 1.5", "put it in quotes"),
        (Text, {}, "must be text, got a mapping", ""),
        (Number, "5", "must be a whole number, got '5'", "write it without quotes"),
        (Number, "x", "must be a whole number, got 'x'", ""),
        (Number, True, "must be a whole number, got the truth value true", ""),
        (Flag, "no", "must be true or false, got 'no'", ""),
        (tuple[Text, ...], "x", "must be a list, got 'x'", "write each value on its"),
        (tuple[Text, ...], {}, "must be a list, got a mapping", "begin the entry with"),
        (Inner, [], "must be a mapping, got a list", ""),
        (dict[Text, Text], 5, "must be a mapping, got the number 5", ""),
        (Annotated[Number, Field(ge=1)], 0, "0 is too small", "at least 1"),
        (Annotated[Number, Field(le=1)], 2, "2 is too large", "at most 1"),
        (Annotated[Text, Field(pattern="x")], "y", "string should match pattern", ""),
    ],
)
def test_types(kind, value, message, hint):
    """A wrong type is told by what was wanted and what came."""
    [finding] = findings(kind, value)

    assert (finding.severity, finding.path) == (Severity.ERROR, ("top",))
    assert finding.message.startswith(message)
    assert finding.hint_text.startswith(hint)
    assert bool(finding.hint_text) is bool(hint)


def test_paths():
    """The path leads to the field, or to the entry that is wrong."""
    found = findings(tuple[Inner, ...], [{}, {"word": "x", "numbers": [1, "x"]}])

    assert [(each.path, each.message) for each in found] == [
        (("top", 0, "word"), "is required"),
        (("top", 1, "numbers", 1), "must be a whole number, got 'x'"),
    ]


@pytest.mark.parametrize(
    ("numbers", "message", "hint"),
    [
        ([], "is empty", "give at least 1"),
        ([1, 2, 3], "has 3 entries", "at most 2 are allowed"),
    ],
)
def test_sizes(numbers, message, hint):
    """Lists that are too short or long say what is allowed."""
    [finding] = findings(Inner, {"word": "x", "numbers": numbers})

    assert (finding.message, finding.hint) == (message, hint)


def test_entries_that_are_wrong_are_told_once():
    """A list whose only entry is wrong is not said to be empty as well."""
    [finding] = findings(Inner, {"word": "x", "numbers": ["x"]})

    assert finding.path == ("top", "numbers", 0)
