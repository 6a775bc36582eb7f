# SPDX-License-Identifier: Apache-2.0
"""What pydantic says about a document, in our words and with hints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tetragon_py.policy.diagnostic import (
    Finding,
    Path,
    PolicyValueError,
    error,
    one_of,
    quote,
    refusal,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import ValidationError

__all__ = ["explain"]

#: Pydantic's kind of error -> what would have been right.
_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


def explain(problem: ValidationError, path: Path = ()) -> Iterator[Finding]:
    """Yield a finding for each error of the validation of what stands at `path`."""
    for detail in problem.errors(include_url=False):
        # Entries that are wrong themselves do not count there; that is told already.
        if detail["type"] != "too_short" or not detail.get("input"):
            yield _finding(detail, (*path, *detail["loc"]))


def _finding(detail: Any, path: Path) -> Finding:  # noqa: ANN401 - pydantic's details have no common type
    kind, value = detail["type"], detail.get("input")
    context = detail.get("ctx", {})
    # A key of a mapping is wrong: the last step says only that.
    if path and path[-1] == "[key]":
        path = path[:-1]
    if kind == "missing":
        return error(path, "is required")
    if kind in _WANTED:
        return error(path, *_wrong_type(_WANTED[kind], value))
    if kind == "value_error" and isinstance(context.get("error"), PolicyValueError):
        cause = context["error"]
        return refusal(path, cause)
    if kind in {"enum", "literal_error"}:
        names = [name.strip("'") for name in _names(context["expected"])]
        text = f"{quote(value)} is not allowed"
        return error(path, text, lambda: one_of(str(value), names))
    return error(path, *_wrong_size(kind, context, detail["msg"], value))


def _wrong_type(wanted: str, value: object) -> tuple[str, str]:
    hint = ""
    if wanted == "text" and isinstance(value, (bool, int, float)):
        hint = "put it in quotes"
    elif wanted == "a list" and not isinstance(value, dict):
        hint = "write each value on its own line after '- '"
    elif wanted == "a list" and isinstance(value, dict):
        hint = "begin the entry with '- '"
    elif wanted == "a whole number" and isinstance(value, str):
        hint = "write it without quotes" if value.isdecimal() else ""
    return f"must be {wanted}, got {_describe(value)}", hint


def _describe(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"the truth value {str(value).lower()}"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, (list, tuple)) else quote(value)


def _wrong_size(
    kind: str, context: dict[str, Any], message: str, value: object
) -> tuple[str, str]:
    if kind == "greater_than_equal":
        return f"{value} is too small", f"at least {context['ge']}"
    if kind == "less_than_equal":
        return f"{value} is too large", f"at most {context['le']}"
    if kind == "too_short":
        return "is empty", f"give at least {context['min_length']}"
    if kind == "too_long":
        return (
            f"has {context['actual_length']} entries",
            f"at most {context['max_length']} are allowed",
        )
    return message[:1].lower() + message[1:], ""


def _names(expected: str) -> list[str]:
    return expected.replace(" or ", ", ").split(", ")
