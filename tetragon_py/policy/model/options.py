# SPDX-License-Identifier: Apache-2.0
"""Options of a policy: names, allowed values, defaults."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from tetragon_py.policy.diagnostic import PolicyValueError, one_of, quote
from tetragon_py.policy.schema import Model, Text, ValueText

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "OnFailure",
    "OnReadError",
    "Option",
    "OverrideMethod",
    "PolicyMode",
    "PolicyOptions",
    "parse_option",
]

_TRUE = ("1", "t", "true")
_FALSE = ("0", "f", "false")
_PRELOAD_MAX = 1 << 20


class PolicyMode(StrEnum):
    """Whether enforcing actions are done or only reported."""

    ENFORCE = "enforce"
    MONITOR = "monitor"
    MONITOR_ONLY = "monitor_only"


class OverrideMethod(StrEnum):
    """How Override replaces what a function returns."""

    FMOD_RET = "fmod-ret"
    OVERRIDE_RETURN = "override-return"


class OnReadError(StrEnum):
    """What an enforcing selector does when a value cannot be read."""

    DENY = "deny"
    IGNORE = "ignore"


class OnFailure(StrEnum):
    """What is done with a process when its verdict could not be carried out."""

    KILL = "kill"
    IGNORE = "ignore"


def _flag(value: str) -> bool:
    if value.lower() not in (*_TRUE, *_FALSE):
        raise PolicyValueError(f"{quote(value)} is neither true nor false")
    return value.lower() in _TRUE


def _count(value: str) -> int:
    if not value.isdecimal() or not 0 < len(value) < 8 or int(value) > _PRELOAD_MAX:
        raise PolicyValueError(f"{quote(value)} is no number", f"0 to {_PRELOAD_MAX}")
    return int(value)


def _choice(kind: type[StrEnum]) -> Callable[[str], StrEnum]:
    def parse(value: str) -> StrEnum:
        folded = value.lower().replace("_", "-")
        for known in kind:
            if folded == known.value.replace("_", "-"):
                return known
        raise PolicyValueError(
            f"{quote(value)} is not allowed", lambda: one_of(value, kind)
        )

    return parse


_PARSERS: dict[str, Callable[[str], object]] = {
    "disable-kprobe-multi": _flag,
    "disable-uprobe-multi": _flag,
    "on-failure": _choice(OnFailure),
    "on-read-error": _choice(OnReadError),
    "override-method": _choice(OverrideMethod),
    "policy-mode": _choice(PolicyMode),
    "sleepable-preload-size": _count,
}


def _check_name(value: str) -> str:
    folded = value.lower()
    if folded not in _PARSERS:
        raise PolicyValueError(
            f"unknown option {quote(value)}", lambda: one_of(value, _PARSERS)
        )
    return folded


def parse_option(name: str, value: str) -> object:
    """Return the typed value of the option `name`, which is known.

    Raises:
        PolicyValueError: The value is not allowed.
    """
    return _PARSERS[name](value.strip())


class Option(Model):
    """One entry of `options`."""

    name: Annotated[Text, AfterValidator(_check_name)]
    value: ValueText = Field("", validate_default=True)

    @field_validator("value")
    @classmethod
    def _check_value(cls, value: str, info: ValidationInfo) -> str:
        # Without a name there is nothing to say about the value.
        if "name" in info.data:
            parse_option(info.data["name"], value)
        return value


@dataclass(frozen=True, slots=True)
class PolicyOptions:
    """All options of a policy; None: the loader chooses."""

    disable_kprobe_multi: bool = False
    disable_uprobe_multi: bool = False
    on_failure: OnFailure = OnFailure.IGNORE
    on_read_error: OnReadError = OnReadError.IGNORE
    override_method: OverrideMethod | None = None
    policy_mode: PolicyMode = PolicyMode.ENFORCE
    sleepable_preload_size: int | None = None

    @classmethod
    def of(cls, options: Iterable[Option]) -> Self:
        """Return the options that `options`, which were checked, give."""
        # The table above has the types.
        given: dict[str, Any] = {
            option.name.replace("-", "_"): parse_option(option.name, option.value)
            for option in options
        }
        return cls(**given)
