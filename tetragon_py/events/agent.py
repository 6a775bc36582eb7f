# SPDX-License-Identifier: Apache-2.0
"""What the agent tells about itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tetragon_py.events.process import Process

__all__ = [
    "HeartbeatEvent",
    "LossEvent",
    "LossSource",
    "PolicyChangeEvent",
    "PolicyProblem",
    "StartEvent",
]


@dataclass(slots=True)
class StartEvent:
    """The first line of a file or stream: whose it is, and which one.

    `run` names the numbering of the records: with lane, CPU and sequence it is unique.
    It stays as long as the ring buffers do. `file` counts the files of one path from 1
    on; 0: no file.
    """

    boot_id: str
    run: str
    version: str
    file: int
    boottime_ns: int


@dataclass(slots=True)
class LossSource:
    """Whose doing a loss was: `process` is None if the agent no longer knows it."""

    tgid: int
    count: int
    process: Process | None = None


@dataclass(slots=True)
class LossEvent:
    """Records that did not arrive, between two looks at the counters.

    `cause` is one of ring_full, table_full, no_scratch, not_run (kernel side), decode,
    sink (user space); `counts` maps a kind (fork, exec, exit,
    record, line) to how many.
    """

    lane: str
    cause: str
    counts: dict[str, int]
    since_boottime_ns: int
    until_boottime_ns: int
    sources: list[LossSource] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All kinds together."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class PolicyProblem:
    """Why a policy file, or the whole set, was refused.

    `line` and `column` count from 1; 0 and empty texts stand for what is not known.
    """

    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    field: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class PolicyChangeEvent:
    """The policy set was loaded, or should have been.

    Attributes:
        result: Another set is in force; the files say what they said; the set before
            stays in force, as there is something wrong.
        trigger: Who wanted it: start, sighup, watch.
        boottime_ns: When it was done.
        generation: In force afterwards.
        digest: Of the set in force, SHA-256 in hex.
        policies: In force.
        hooks: Attach points in force.
        added, removed, changed: Names of policies.
        attached, detached, rebuilt: Hooks, as texts.
        seconds: From the first look at the files to the switch.
        problems: Why it is refused; at the start also of files that were left out.
    """

    result: Literal["applied", "unchanged", "refused"]
    trigger: str
    boottime_ns: int
    generation: int
    digest: str
    policies: int
    hooks: int
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    attached: tuple[str, ...] = ()
    detached: tuple[str, ...] = ()
    rebuilt: tuple[str, ...] = ()
    seconds: float = 0.0
    problems: tuple[PolicyProblem, ...] = ()


@dataclass(frozen=True, slots=True)
class HeartbeatEvent:
    """The agent lives, and how it does: `state` is what its status file says too."""

    boottime_ns: int
    state: Mapping[str, Any]
