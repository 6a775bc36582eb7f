# SPDX-License-Identifier: Apache-2.0
"""Filters on texts: operator and patterns come in, a condition goes out.

All values of one filter are alternatives, so they must end up in one dimension.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.selectors.conditions import Condition, Lookup, Place
from tetragon_py.compiler.tables.automaton import STATES_MAX
from tetragon_py.compiler.tables.patterns import Alternatives
from tetragon_py.policy.diagnostic import Cause, PolicyValueError
from tetragon_py.policy.model.operators import Operator

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["text_condition"]

_NUL = b"\0"


def text_condition(
    operator: Operator,
    values: Sequence[bytes],
    place: Place,
    *,
    may_hold_nuls: bool,
    longest: int,
) -> Condition:
    """Return the condition of a filter on the text at `place`.

    Args:
        operator: One for texts.
        values: Its patterns.
        place: Where the text begins.
        may_hold_nuls: The text does not end at its first NUL.
        longest: Bytes of the longest text that this kernel can compare as a whole.

    Raises:
        PolicyValueError: Some value cannot be looked up; `index` is its position.
    """
    match operator.positive:
        case Operator.EQUAL:
            kind = c.DIMENSION_TEXT
            # A NUL inside would look like the end.
            if may_hold_nuls or any(len(v) >= c.TEXT_KEY_BYTES for v in values):
                kind = c.DIMENSION_TEXT_WHOLE
                why = "this kernel compares no longer texts"
                _check(values, longest, why, Cause.KERNEL)
            else:
                values = [value + _NUL for value in values]
        case Operator.PREFIX:
            kind = c.DIMENSION_TEXT
            _check(values, c.TEXT_KEY_BYTES, "tables of patterns hold no longer ones")
            if may_hold_nuls:
                _check_ends(values)
        case Operator.POSTFIX:
            kind = c.DIMENSION_TEXT_END
            _check(values, c.TEXT_KEY_BYTES, "tables of patterns hold no longer ones")
            values = [value[::-1] for value in values]
        case _:
            kind = c.DIMENSION_SUBSTRING
            _check_states(values)
    ignores_case = operator is Operator.SUBSTRING_IGNORE_CASE
    return Condition(
        Lookup(place, kind, ignores_case),
        Alternatives(tuple(values), operator.is_negative),
    )


def _check(
    values: Sequence[bytes], longest: int, why: str, cause: Cause = Cause.MISTAKE
) -> None:
    for index, value in enumerate(values):
        if len(value) > longest:
            text = f"is longer than {longest} bytes"
            raise PolicyValueError(text, why, index=index, cause=cause)


# The NUL that the kernel puts behind a text would count as one of the text.
def _check_ends(values: Sequence[bytes]) -> None:
    for index, value in enumerate(values):
        if value.endswith(_NUL):
            raise PolicyValueError(
                "a prefix cannot end with a zero byte", "use Equal", index=index
            )


def _check_states(values: Sequence[bytes]) -> None:
    if sum(map(len, values)) >= STATES_MAX:
        raise PolicyValueError(
            f"the texts have more than {STATES_MAX - 1} bytes together",
            "search for fewer or shorter ones",
        )
