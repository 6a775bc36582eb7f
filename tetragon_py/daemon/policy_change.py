# SPDX-License-Identifier: Apache-2.0
"""What one policy set is against another: digest, names, and what the log says."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tetragon_py.compiler.plan import AttachPoint
    from tetragon_py.policy.diagnostic import Diagnostic
    from tetragon_py.policy.loaded import LoadedPolicy

__all__ = [
    "PolicyDifference",
    "SetChange",
    "compare_policies",
    "digest_policies",
    "log_errors",
]

log = structlog.get_logger("policies")
#: Names that one line of the log lists.
_SHOWN_NAMES = 20
#: Lines of errors.
_SHOWN_ERRORS = 50


@dataclass(frozen=True, slots=True)
class PolicyDifference:
    """Names of policies, in the order of loading."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@dataclass(frozen=True, slots=True)
class SetChange:
    """What loading a policy set has changed.

    Attributes:
        generation: That is in force; 0 before the first policy.
        digest: Of the set in force, see `digest_policies`.
        policies: How many are in force.
        hooks: How many attach points they have.
        difference: To the set before.
        attached: Hooks that only this set has.
        detached: Hooks that only the set before had.
        rebuilt: Hooks that both have, for which something is different.
        left_out: Errors of files that are not in force.
        is_switch: Whether a generation came into force.
        seconds: From the first look at the files to the switch.
    """

    generation: int
    digest: str
    policies: int
    hooks: int
    difference: PolicyDifference = PolicyDifference()
    attached: tuple[AttachPoint, ...] = ()
    detached: tuple[AttachPoint, ...] = ()
    rebuilt: tuple[AttachPoint, ...] = ()
    left_out: tuple[Diagnostic, ...] = ()
    is_switch: bool = False
    seconds: float = 0.0

    def log(self, *, is_first: bool) -> None:
        """Say it in one line; of the first set that is in force no names."""
        fields: dict[str, object] = {
            "policies": self.policies,
            "hooks": self.hooks,
            "generation": self.generation,
            "digest": self.digest[:12],
        }
        if not self.is_switch:
            log.info("policies are unchanged", **fields, seconds=round(self.seconds, 3))
            return
        if not is_first:
            found = self.difference
            for word in ("added", "removed", "changed"):
                if names := getattr(found, word):
                    fields[word] = _shown(names)
            for word in ("attached", "detached", "rebuilt"):
                if points := getattr(self, word):
                    fields[f"hooks_{word}"] = len(points)
        log.info("policies in force", **fields, seconds=round(self.seconds, 3))


def digest_policies(policies: Iterable[LoadedPolicy]) -> str:
    """SHA-256 of what a set says, in hex: names, documents, modes.

    It is the same on each host with the same policies, in whatever files and order;
    comments and layout do not count.
    """
    lines = sorted(
        f"{one.policy.namespace}/{one.policy.name} {one.digest} "
        f"{one.policy.options.policy_mode.value}\n"
        for one in policies
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def compare_policies(
    before: Iterable[LoadedPolicy], after: Iterable[LoadedPolicy]
) -> PolicyDifference:
    """What became of the policies of one set in the next; a policy is its name."""
    old = {one.policy.name: one.digest for one in before}
    new = {one.policy.name: one.digest for one in after}
    return PolicyDifference(
        tuple(name for name in new if name not in old),
        tuple(name for name in old if name not in new),
        tuple(name for name in new if name in old and old[name] != new[name]),
    )


def log_errors(event: str, errors: Sequence[Diagnostic]) -> None:
    """Say what is wrong with files, a line for each error."""
    for error in errors[:_SHOWN_ERRORS]:
        fields = {
            "file": error.file,
            "line": error.line,
            "field": error.path,
            "hint": error.hint,
        }
        said = {key: value for key, value in fields.items() if value}
        log.error(event, error=error.message, **said)
    if len(errors) > _SHOWN_ERRORS:
        log.error(event, more_errors=len(errors) - _SHOWN_ERRORS)


def _shown(names: Sequence[str]) -> list[str]:
    shown = list(names[:_SHOWN_NAMES])
    if len(names) > len(shown):
        shown.append(f"and {len(names) - len(shown)} more")
    return shown
