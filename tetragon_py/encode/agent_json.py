# SPDX-License-Identifier: Apache-2.0
"""What the agent tells about itself as JSON objects: Tetragon has no such events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tetragon_py.encode.arguments import binary_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tetragon_py.events.agent import (
        LossEvent,
        LossSource,
        PolicyChangeEvent,
        PolicyProblem,
    )

__all__ = ["loss_object", "policy_change_object"]

#: Of a list, so many entries are shown; the counts are exact.
_NAMES_MAX: Final = 200
_PROBLEMS_MAX: Final = 50
_LISTS: Final = ("added", "removed", "changed")
_HOOK_LISTS: Final = ("attached", "detached", "rebuilt")


def loss_object(event: LossEvent, time: Callable[[int], bytes]) -> dict[str, Any]:
    """The value of "loss"."""
    body: dict[str, Any] = {
        "lane": event.lane,
        "cause": event.cause,
        "total": str(event.total),
        "counts": {kind: str(count) for kind, count in event.counts.items()},
        "since": time(event.since_boottime_ns).decode(),
        "until": time(event.until_boottime_ns).decode(),
    }
    if event.sources:
        body["sources"] = list(map(_source, event.sources))
    return body


def policy_change_object(event: PolicyChangeEvent) -> dict[str, Any]:
    """The value of "policy_change"; empty lists are left out."""
    body: dict[str, Any] = {
        "result": event.result,
        "trigger": event.trigger,
        "generation": event.generation,
        "digest": event.digest,
        "policies": event.policies,
        "hooks": event.hooks,
        "seconds": round(event.seconds, 3),
    }
    counts = {name: len(getattr(event, name)) for name in _LISTS}
    counts |= {f"hooks_{name}": len(getattr(event, name)) for name in _HOOK_LISTS}
    counts["errors"] = len(event.problems)
    if counts := {name: count for name, count in counts.items() if count}:
        body["counts"] = counts
    for name in _LISTS:
        if names := getattr(event, name):
            body[name] = list(names[:_NAMES_MAX])
    for name in _HOOK_LISTS:
        if names := getattr(event, name):
            body[f"hooks_{name}"] = list(names[:_NAMES_MAX])
    if event.problems:
        body["errors"] = list(map(_problem, event.problems[:_PROBLEMS_MAX]))
    return body


def _source(source: LossSource) -> dict[str, Any]:
    process = source.process
    binary = binary_of(process.exec.image) if process else b""
    return {
        "pid": source.tgid,
        "exec_id": process.exec_id.decode() if process else "",
        "binary": binary.decode("utf-8", "replace"),
        "count": str(source.count),
    }


def _problem(problem: PolicyProblem) -> dict[str, Any]:
    said = {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "field": problem.field,
        "message": problem.message,
        "hint": problem.hint,
    }
    return {key: value for key, value in said.items() if value}
