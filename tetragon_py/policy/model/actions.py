# SPDX-License-Identifier: Apache-2.0
"""What happens when a selector matches."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from tetragon_py.policy.diagnostic import PolicyValueError, quote
from tetragon_py.policy.model.names import spelled
from tetragon_py.policy.schema import Flag, Model, Number, Text

__all__ = [
    "ENFORCING",
    "NO_OPS",
    "Action",
    "ActionKind",
    "RateLimitScope",
    "ReturnAction",
]

_UINT32 = (1 << 32) - 1
_UINT64 = (1 << 64) - 1
#: A rate limit is kept in nanoseconds of 64 bits; a year is more than anyone means.
_RATE_LIMIT_SECONDS_MAX = 366 * 86400
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}


class ActionKind(StrEnum):
    """All actions in the spelling that messages and events use."""

    POST = "Post"
    NO_POST = "NoPost"
    SIGKILL = "Sigkill"
    SIGNAL = "Signal"
    OVERRIDE = "Override"
    NOTIFY_ENFORCER = "NotifyEnforcer"
    CLEANUP_ENFORCER_NOTIFICATION = "CleanupEnforcerNotification"
    TRACK_SOCK = "TrackSock"
    UNTRACK_SOCK = "UntrackSock"
    GET_URL = "GetUrl"
    DNS_LOOKUP = "DnsLookup"
    SET = "Set"
    FOLLOW_FD = "FollowFD"
    UNFOLLOW_FD = "UnfollowFD"
    COPY_FD = "CopyFD"


#: Those that change what a process can do.
ENFORCING = frozenset(
    (
        *(ActionKind.SIGKILL, ActionKind.SIGNAL, ActionKind.OVERRIDE),
        *(ActionKind.NOTIFY_ENFORCER, ActionKind.SET),
    )
)
#: Accepted and without effect: the argument type `fd` finds the path itself.
NO_OPS = frozenset((ActionKind.FOLLOW_FD, ActionKind.UNFOLLOW_FD, ActionKind.COPY_FD))


class RateLimitScope(StrEnum):
    """Who shares a rate limit."""

    THREAD = "thread"
    PROCESS = "process"
    GLOBAL = "global"


class ReturnAction(StrEnum):
    """What may be done with a returned socket."""

    TRACK_SOCK = "TrackSock"
    UNTRACK_SOCK = "UntrackSock"


# A model that is validated again holds seconds.
def _parse_rate_limit(value: object) -> int:
    match = re.fullmatch(r"(\d{1,10})([smh]?)", str(value).strip(), re.ASCII)
    if isinstance(value, (bool, float)) or not match:
        raise PolicyValueError(
            f"{quote(value)} is no rate limit", "write it like 30, 30s, 5m or 1h"
        )
    seconds = int(match[1]) * _SECONDS[match[2]]
    if not 0 < seconds <= _RATE_LIMIT_SECONDS_MAX:
        raise PolicyValueError(f"{quote(value)} is out of range", "1 second to 1 year")
    return seconds


def _check_signal(value: int) -> int:
    if not 1 <= value <= 64:
        raise PolicyValueError(f"{value} is no signal", "1 to 64")
    return value


def _check_url(value: str) -> str:
    if len(value) > 2048 or not re.fullmatch(r"https?://[!-~]+", value):
        raise PolicyValueError(
            f"{quote(value)} is no URL", "it begins with http:// or https://"
        )
    return value


def _check_domain(value: str) -> str:
    if len(value) > 253 or not re.fullmatch(r"[\w-]{1,63}(\.[\w-]{1,63})*\.?", value):
        raise PolicyValueError(f"{quote(value)} is no domain name")
    return value


_OPERAND = r"%\w+|-?\d*\(%\w+\)|-?\d+%\w+|-?(0x[0-9a-fA-F]+|\d+)"
_REGISTER = re.compile(rf"\w+=({_OPERAND})", re.ASCII)


def _check_register(value: str) -> str:
    if len(value) > 64 or not _REGISTER.fullmatch(value):
        raise PolicyValueError(
            f"{quote(value)} sets no register",
            "write it like rax=11, rdi=%rsi or rdx=8(%rsp)",
        )
    return value


_Register = Annotated[Text, AfterValidator(_check_register)]


class Action(Model):
    """One action; which parameters it takes is checked with its hook."""

    action: Annotated[ActionKind, spelled(ActionKind, "action")]
    arg_fd: Number | None = Field(None, ge=0, le=255)
    arg_name: Number | None = Field(None, ge=0, le=255)
    arg_url: Annotated[Text, AfterValidator(_check_url)] | None = None
    arg_fqdn: Annotated[Text, AfterValidator(_check_domain)] | None = None
    #: As it was written; see `errno`.
    arg_error: Number | None = Field(None, ge=-(1 << 31), le=(1 << 31) - 1)
    arg_sig: Annotated[Number, AfterValidator(_check_signal)] | None = None
    #: Absent means 0; names an argument as `index` of a filter does.
    arg_sock: Number | None = Field(None, ge=0, le=255)
    arg_index: Number | None = Field(None, ge=0, le=255)
    arg_value: Number | None = Field(None, ge=-(1 << 31), le=_UINT32)
    arg_regs: tuple[_Register, ...] = ()
    arg_new_symbol: Text | None = None
    arg_new_addr: Number | None = Field(None, ge=0, le=_UINT64)
    arg_new_offset: Number | None = Field(None, ge=0, le=_UINT64)
    #: In seconds: the same event comes once in this time.
    rate_limit: Annotated[int, BeforeValidator(_parse_rate_limit)] | None = None
    rate_limit_scope: Annotated[RateLimitScope, spelled(RateLimitScope, "scope")] = (
        RateLimitScope.THREAD
    )
    kernel_stack_trace: Flag = False
    user_stack_trace: Flag = False
    ima_hash: Flag = False

    @property
    def errno(self) -> int | None:
        """What Override and NotifyEnforcer return: -4095 to -1, or None.

        Where a policy wrote a positive number, -1 (EPERM) is meant and was warned of.
        """
        if self.arg_error is None:
            return None
        return self.arg_error if -4095 <= self.arg_error < 0 else -1
