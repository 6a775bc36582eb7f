# SPDX-License-Identifier: Apache-2.0
"""Hits that the kernel side has only counted: too many to be told one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tetragon_py.events.hook import Match

__all__ = ["RepeatEvent"]


class RepeatEvent(NamedTuple):
    """Further enforced hits of one process, hook and policy."""

    hook: int
    match: Match  # of the last of them
    hits: int
    since_boottime_ns: int
    until_boottime_ns: int  # when the last of them was
