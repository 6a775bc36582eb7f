# SPDX-License-Identifier: Apache-2.0
"""What the evaluator judges: hooks of policies at one attach point."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tetragon_py.policy.model.actions import ActionKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tetragon_py.policy.model.hooks import KprobeHook, TracepointHook
    from tetragon_py.policy.model.kernel_names import Namespace
    from tetragon_py.policy.model.policy import Policy
    from tetragon_py.policy.model.selectors import Selector

__all__ = ["Entry", "World", "entries_of", "is_told"]


class World(NamedTuple):
    """What the meaning of a policy depends on besides the policy and the hit."""

    host_namespaces: Mapping[Namespace, int]
    syscalls: Mapping[str, Mapping[str, int]]  #: ABI -> name -> number

    def syscall(self, text: str) -> int:
        """Return the number of "read" or "i386/read"; bit 31: of the 32-bit table."""
        abi, _, name = text.rpartition("/")
        number = self.syscalls[abi or "x64"][name]
        return number | (1 << 31 if abi == "i386" else 0)


class Entry(NamedTuple):
    """One hook of one policy: what has its own list of selectors."""

    policy: Policy
    hook: KprobeHook | TracepointHook


def entries_of(policies: Iterable[Policy], point: str) -> list[Entry]:
    """Return the hooks of all policies on a function or tracepoint, in their order."""
    entries = []
    for policy in policies:
        spec = policy.spec
        entries += [Entry(policy, k) for k in spec.kprobes if k.call == point]
        for hook in spec.tracepoints:
            if f"{hook.subsystem}/{hook.event}" == point:
                entries.append(Entry(policy, hook))
    return entries


def is_told(selector: Selector) -> bool:
    """Whether a match gives an event: the last of Post and NoPost counts."""
    kinds = [action.action for action in selector.match_actions]
    posts = [k for k in kinds if k in {ActionKind.POST, ActionKind.NO_POST}]
    return not posts or posts[-1] is ActionKind.POST
