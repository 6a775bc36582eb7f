# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.policy.model.names: known names and patterns."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter, ValidationError

from tetragon_py.policy.model.names import (
    AbsolutePath,
    Call,
    Function,
    matches,
    spelled,
)


class Size(StrEnum):
    SMALL = "Small"
    LARGE = "Large"
    NONE = ""


SIZE = TypeAdapter(Annotated[Size, spelled(Size, "size", {"big": "Large"})])


def refusal(adapter: TypeAdapter[Any], value: object) -> tuple[str, str]:
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python(value)
    [detail] = caught.value.errors()
    problem = detail["ctx"]["error"]
    return problem.message, problem.hint


@pytest.mark.parametrize("text", ["Large", "LARGE", " big ", Size.LARGE])
def test_spelled(text):
    """A known name is found in any case and by its aliases."""
    assert SIZE.validate_python(text) is Size.LARGE


def test_not_spelled():
    """An unknown name is told with the nearest one."""
    assert refusal(SIZE, "Larg") == ("unknown size 'Larg'", "did you mean 'Large'?")
    assert refusal(SIZE, 5) == ("unknown size '5'", "allowed: Small, Large")


def test_matches():
    """A pattern must match the whole text."""
    adapter = TypeAdapter(Annotated[str, matches("[a-z]+", "word", "use letters")])

    assert adapter.validate_python("abc") == "abc"
    assert refusal(adapter, "abc\n") == (r"'abc\n' is no word", "use letters")


@pytest.mark.parametrize(
    ("kind", "text", "is_right"),
    [
        (Call, "__x64_sys_open", True),
        (Call, "foo.isra.0", True),
        (Call, "list:names", True),
        (Call, "x64/sys_open", False),
        (Call, "list:a b", False),
        (Call, "1f", False),
        (Function, "x64/sys_open", True),
        (Function, "../x", False),
        (AbsolutePath, "/", True),
        (AbsolutePath, "x", False),
        (AbsolutePath, "/a\0", False),
        (AbsolutePath, "/" + "x" * 4095, False),
    ],
)
def test_kinds(kind, text, is_right):
    """Functions look like symbols, paths are absolute."""
    try:
        TypeAdapter(kind).validate_python(text)
    except ValidationError:
        assert not is_right
    else:
        assert is_right
