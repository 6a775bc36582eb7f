# SPDX-License-Identifier: Apache-2.0
"""Parts of a policy that this release understands and cannot run yet.

Notes for `policy check`: nothing is refused here and nothing is ignored in silence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tetragon_py.policy.diagnostic import Finding, Path, note
from tetragon_py.policy.model.actions import Action, ActionKind
from tetragon_py.policy.model.hooks import HookSection
from tetragon_py.policy.model.operators import Operator
from tetragon_py.policy.model.policy import Policy, PolicyKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tetragon_py.policy.model.selectors import Selector

__all__ = ["later_parts"]

_NOT_ATTACHED = (HookSection.UPROBES, HookSection.USDTS)
_ACTIONS = {
    ActionKind.SET: "does not write to processes yet; the event comes without it",
    ActionKind.GET_URL: "does not call the address yet; the event comes without it",
    ActionKind.DNS_LOOKUP: "does not look the name up yet; the event comes without it",
}
_POST = {
    "kernel_stack_trace": ("kernelStackTrace", "stack traces are not collected yet"),
    "user_stack_trace": ("userStackTrace", "stack traces are not collected yet"),
    "ima_hash": ("imaHash", "the file's hash is not read yet"),
}
_SELECTORS = {
    "pod_selector": "podSelector",
    "container_selector": "containerSelector",
    "host_selector": "hostSelector",
    "node_selector": "nodeSelector",
}


def later_parts(policy: Policy) -> Iterator[Finding]:
    """Yield a note for each part that does not run yet."""
    spec = policy.spec
    if policy.kind is PolicyKind.NAMESPACED:
        yield note(("kind",), "a namespaced policy needs Kubernetes: it does not run")
    if spec.loader:
        yield note(("spec", "loader"), "loader events are not collected yet")
    for name, key in _SELECTORS.items():
        if getattr(spec, name) is not None:
            text = "workloads are not told apart yet: the policy does not run"
            yield note(("spec", key), text)
    for section, index, hook in policy.hooks():
        path = ("spec", section.value, index)
        if section in _NOT_ATTACHED:
            yield note(path, f"{section} are not attached yet")
        for position, selector in enumerate(hook.selectors):
            yield from _selector((*path, "selectors", position), selector)


def _selector(path: Path, selector: Selector) -> Iterator[Finding]:
    if selector.match_workloads is not None:
        text = "workloads are not told apart yet: the selector does not run"
        yield note((*path, "matchWorkloads"), text)
    for index, entry in enumerate(selector.match_args):
        if entry.operator is Operator.CEL_EXPR:
            place = (*path, "matchArgs", index, "operator")
            yield note(place, "expressions are not compiled yet")
    for index, action in enumerate(selector.match_actions):
        yield from _action((*path, "matchActions", index), action)
    for index, action in enumerate(selector.match_return_actions):
        yield from _action((*path, "matchReturnActions", index), action)


def _action(path: Path, action: Action) -> Iterator[Finding]:
    kind = action.action
    if kind in _ACTIONS:
        yield note((*path, "action"), f"{kind} {_ACTIONS[kind]}")
    for name, (key, text) in _POST.items():
        if getattr(action, name):
            yield note((*path, key), text)
