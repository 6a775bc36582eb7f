# SPDX-License-Identifier: Apache-2.0
"""A row of the table: a published policy, what becomes of it, how it fires."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.corpus.patterns import Pattern
    from tests.corpus.told import Told
    from tests.corpus.triggers.system import Place

__all__ = ["Example", "Expect", "Trigger"]

Trigger: TypeAlias = "Callable[[Place], Told]"
Expect: TypeAlias = "Callable[[Told], list[Pattern]]"


@dataclass(frozen=True, slots=True)
class Example:
    """A file of the corpus.

    Attributes:
        file: Its path there.
        trigger: Runs in a process of its own. None: nothing can be shown.
        expect: What the trigger told -> events; each has to come, and without
            `has_others` no other one may come from the trigger's processes.
        only_on: The only kernel where the trigger works.
        silent: Why there is no trigger, or not for other kernels.
        refused: Kernel, or "*" for all, -> how the reason begins. A policy that is
            refused somewhere has to load everywhere else.
        unattachable: The same for what only the attempt to attach it tells.
        native: It needs neither kprobes nor trampolines.
        on_host: It is refused as a namespaced policy; what it says is tried as one for
            the host.
        has_others: The trigger causes more events than those that are expected.
        by_anyone: The kernel may do it in another process's name, or none's.
    """

    file: str
    trigger: Trigger | None = None
    expect: Expect | None = None
    only_on: str = ""
    silent: str = ""
    refused: Mapping[str, str] = field(default_factory=dict)
    unattachable: Mapping[str, str] = field(default_factory=dict)
    native: bool = False
    on_host: bool = False
    has_others: bool = False
    by_anyone: bool = False

    def refusal(self, kernel: str) -> str:
        """How the reason of a refusal begins; empty if it loads."""
        return self.refused.get(kernel) or self.refused.get("*", "")

    def fires(self, kernel: str) -> bool:
        """Whether its trigger proves its events, if it is in force."""
        is_in_force = self.on_host or not self.refusal(kernel)
        is_here = self.only_on in {"", kernel}
        is_attached = kernel not in self.unattachable
        return is_in_force and is_here and is_attached and self.trigger is not None
