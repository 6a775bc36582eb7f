# SPDX-License-Identifier: Apache-2.0
"""What one policy wants of one attach point; it knows nothing of other policies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tetragon_py.policy.diagnostic import Path, format_path

if TYPE_CHECKING:
    from tetragon_py.compiler.plan import ArgumentPlan, AttachPoint
    from tetragon_py.compiler.selectors.actions import ActionPlan
    from tetragon_py.compiler.selectors.conditions import Conditions

__all__ = ["HookEntry", "SelectorEntry"]


@dataclass(frozen=True, slots=True)
class SelectorEntry:
    """One selector.

    Attributes:
        denies: It matches what cannot be read.
        needs_return: It is decided, or acts, when the function returns.
    """

    number: int
    label: str
    conditions: Conditions
    actions: ActionPlan
    denies: bool
    needs_return: bool = False


@dataclass(frozen=True, slots=True)
class HookEntry:
    """A hook of a policy at one attach point.

    Attributes:
        policy: The policy's name.
        path: Of the hook in the policy.
        point: Where it attaches.
        args: What its event shows, in the order of the policy.
        data: The same of `data`.
        returned: Of `returnArg`.
        tells_return: The event comes when the function returns.
        selectors: At least one.
        compared: What is captured besides, for conditions only.
        prefers_fmod: Denials are to be made by fmod_ret (option override-method).
    """

    policy: str
    path: Path
    point: AttachPoint
    args: tuple[ArgumentPlan, ...]
    data: tuple[ArgumentPlan, ...]
    returned: ArgumentPlan | None
    tells_return: bool
    selectors: tuple[SelectorEntry, ...]
    compared: tuple[ArgumentPlan, ...] = ()
    prefers_fmod: bool = False

    @property
    def arguments(self) -> list[ArgumentPlan]:
        """All that is captured for it, each once."""
        returned = () if self.returned is None else (self.returned,)
        return list(dict.fromkeys((*self.args, *self.data, *returned, *self.compared)))

    @property
    def place(self) -> str:
        """The path as text."""
        return format_path(self.path)
