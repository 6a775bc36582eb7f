# SPDX-License-Identifier: Apache-2.0
"""The library of ready policies: the files of library/ in, what each is about out.

A policy there has an annotation `description`, a tag for each tactic and each technique
of MITRE ATT&CK ("mitre.persistence", "mitre.T1053.003"), and the annotation `kernel` if
one of its hooks is younger than Linux 5.10.
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tetragon_py.policy.model.actions import ENFORCING
from tetragon_py.policy.source import load_policies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tetragon_py.policy.model.options import PolicyMode
    from tetragon_py.policy.model.policy import Policy

__all__ = ["LIBRARY", "TACTICS", "Effect", "LibraryPolicy", "load_library", "set_mode"]

LIBRARY = Path(__file__).with_name("library")
#: Of ATT&CK for enterprises, in its order.
TACTICS = (
    *("reconnaissance", "resource-development", "initial-access", "execution"),
    *("persistence", "privilege-escalation", "defense-evasion", "credential-access"),
    *("discovery", "lateral-movement", "collection", "command-and-control"),
    *("exfiltration", "impact"),
)
_TAG = "mitre."
_SPEC = re.compile(r"^spec:\n", re.MULTILINE)


class Effect(StrEnum):
    """What a policy does in enforce mode."""

    BLOCKS = "blocks"
    DETECTS = "detects"


class LibraryPolicy(NamedTuple):
    """A ready policy; `text` is its file, `kernel` the oldest that can run it."""

    name: str
    description: str
    tactics: tuple[str, ...]
    techniques: tuple[str, ...]
    effect: Effect
    kernel: str
    text: str


def load_library(folder: Path = LIBRARY) -> Mapping[str, LibraryPolicy]:
    """Return the policies of the library by name, in its order.

    Raises:
        ValueError: A file is no policy: a mistake in the library.
    """
    result = load_policies(sorted(folder.glob("*.yaml")))
    if result.has_errors:
        raise ValueError("\n".join(map(str, result.diagnostics)))
    found = [_describe(each.policy, each.text) for each in result.policies]
    return {each.name: each for each in found}


def _describe(policy: Policy, text: bytes) -> LibraryPolicy:
    hooks = [hook for _, _, hook in policy.hooks()]
    tags = dict.fromkeys(tag for hook in hooks for tag in hook.tags)
    ours = [tag.removeprefix(_TAG) for tag in tags if tag.startswith(_TAG)]
    actions = {
        action.action
        for hook in hooks
        for selector in hook.selectors
        for action in selector.match_actions
    }
    return LibraryPolicy(
        policy.name,
        policy.metadata.annotations.get("description", ""),
        tuple(tag for tag in ours if tag in TACTICS),
        tuple(tag for tag in ours if tag not in TACTICS),
        Effect.BLOCKS if actions & ENFORCING else Effect.DETECTS,
        policy.metadata.annotations.get("kernel", ""),
        text.decode(),
    )


def set_mode(policy: LibraryPolicy, mode: PolicyMode) -> str:
    """Return the policy's text with this mode; one that only detects has none."""
    if policy.effect is Effect.DETECTS:
        return policy.text
    option = f"  options:\n  - {{name: policy-mode, value: {mode}}}\n"
    return _SPEC.sub(lambda found: found[0] + option, policy.text, count=1)
