# SPDX-License-Identifier: Apache-2.0
"""How names in a policy are recognised: known ones in any case, others by pattern."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BeforeValidator

from tetragon_py.policy.diagnostic import PolicyValueError, one_of, quote
from tetragon_py.policy.schema import Text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import StrEnum

__all__ = ["AbsolutePath", "Call", "Function", "ListName", "matches", "spelled"]

_PATH_MAX = 4095


def spelled(
    kind: type[StrEnum], what: str, aliases: Mapping[str, str] | None = None
) -> BeforeValidator:
    """Return a validator that reads one of the names in `kind`, in any case.

    Args:
        kind: The names.
        what: What a message calls them: "unknown WHAT 'text'".
        aliases: Further spellings in lower case -> the name.
    """
    known: dict[str, StrEnum] = {name.value.casefold(): name for name in kind}
    known |= {alias: kind(name) for alias, name in (aliases or {}).items()}
    allowed = [name.value for name in kind if name]

    def parse(value: object) -> StrEnum:
        found = known.get(str(value).strip().casefold())
        if found is None:
            raise PolicyValueError(
                f"unknown {what} {quote(value)}",
                lambda: one_of(str(value), allowed),
            )
        return found

    return BeforeValidator(parse)


def matches(pattern: str, what: str, hint: str = "") -> AfterValidator:
    """Return a validator that lets through what `pattern` matches as a whole."""
    compiled = re.compile(pattern, re.ASCII)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise PolicyValueError(f"{quote(value)} is no {what}", hint)
        return value

    return AfterValidator(check)


def _check_path(value: str) -> str:
    if not value.startswith("/") or "\0" in value or len(value) > _PATH_MAX:
        raise PolicyValueError(f"{quote(value)} is no absolute path")
    return value


_SYMBOL = r"[A-Za-z_][\w.$]{0,511}"

AbsolutePath = Annotated[Text, AfterValidator(_check_path)]
#: A function of the kernel, or list:NAME.
Call = Annotated[Text, matches(rf"list:\S{{1,256}}|{_SYMBOL}", "function")]
#: The same with the ABI of a system call before it: i386/sys_dup.
Function = Annotated[Text, matches(rf"list:\S{{1,256}}|(\w+/)?{_SYMBOL}", "function")]
ListName = Annotated[Text, matches(r"\S{1,256}", "name of a list")]
