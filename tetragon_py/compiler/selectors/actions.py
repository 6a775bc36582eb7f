# SPDX-License-Identifier: Apache-2.0
"""matchActions: the bits and parameters of a selector's actions."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, NamedTuple

from tetragon_py.abi import _generated as c
from tetragon_py.policy.check.positions import argument_position
from tetragon_py.policy.diagnostic import Finding, Path, error, warning
from tetragon_py.policy.model.actions import (
    Action,
    ActionKind,
    RateLimitScope,
    ReturnAction,
)
from tetragon_py.policy.model.hooks import KprobeHook
from tetragon_py.policy.model.options import OnFailure, PolicyMode

if TYPE_CHECKING:
    from tetragon_py.compiler.plan import ArgumentPlan
    from tetragon_py.compiler.selectors.filters import CapturedHook
    from tetragon_py.policy.model.options import PolicyOptions
    from tetragon_py.policy.model.selectors import Selector

__all__ = ["ENFORCING_BITS", "ActionPlan", "compile_actions"]

#: Those that change what a process can do.
ENFORCING_BITS = (
    c.ACTION_SIGNAL | c.ACTION_OVERRIDE | c.ACTION_NOTIFY_ENFORCER | c.ACTION_SET
)

_K = ActionKind
_BITS = {
    _K.SIGKILL: c.ACTION_SIGNAL,
    _K.SIGNAL: c.ACTION_SIGNAL,
    _K.OVERRIDE: c.ACTION_OVERRIDE,
    _K.NOTIFY_ENFORCER: c.ACTION_NOTIFY_ENFORCER,
    _K.CLEANUP_ENFORCER_NOTIFICATION: c.ACTION_CLEANUP_ENFORCER,
    _K.SET: c.ACTION_SET,
    _K.TRACK_SOCK: c.ACTION_TRACK_SOCK,
    _K.UNTRACK_SOCK: c.ACTION_UNTRACK_SOCK,
}
_SOCKS = {
    _K.TRACK_SOCK: c.ACTION_TRACK_SOCK,
    _K.UNTRACK_SOCK: c.ACTION_UNTRACK_SOCK,
}
_RETURN_SOCKS = {
    ReturnAction.TRACK_SOCK: c.ACTION_TRACK_SOCK,
    ReturnAction.UNTRACK_SOCK: c.ACTION_UNTRACK_SOCK,
}
_SCOPES = {
    RateLimitScope.THREAD: c.RATE_THREAD,
    RateLimitScope.PROCESS: c.RATE_PROCESS,
    RateLimitScope.GLOBAL: c.RATE_GLOBAL,
}
_MS = 1000
_UINT32 = (1 << 32) - 1


class ActionPlan(NamedTuple):
    """The part of a SelectorPlan that its actions say; `sock` has no slot yet."""

    actions: int = c.ACTION_POST
    monitored: int = 0
    signal: int = 0
    error: int = 0
    sock: ArgumentPlan | None = None
    rate_ms: int = 0
    rate_scope: int = c.RATE_THREAD
    enforcer: int = 0
    failure_signal: int = 0

    @property
    def is_enforcing(self) -> bool:
        """Whether it asks for something that changes what a process can do."""
        return bool(self.actions & ENFORCING_BITS)


def compile_actions(
    selector: Selector | None,
    path: Path,
    captured: CapturedHook,
    options: PolicyOptions,
    found: list[Finding],
) -> ActionPlan:
    """Return what a selector does; what is wrong is added to `found`.

    Args:
        selector: None for a hook without selectors.
        path: Leads to the selector.
        captured: Its hook.
        options: The policy's.
        found: What is said.
    """
    compiler = _Compiler(captured, found)
    if selector is not None:
        # What is done at the return has no place of its own: one list for both.
        for key, actions in (
            ("matchActions", selector.match_actions),
            ("matchReturnActions", selector.match_return_actions),
        ):
            for index, action in enumerate(actions):
                compiler.add(action, (*path, key, index))
    hook = captured.hook
    if isinstance(hook, KprobeHook) and hook.return_arg_action:
        compiler.track_returned(hook.return_arg_action, path[:3])
    plan = compiler.plan
    if options.policy_mode is not PolicyMode.ENFORCE:
        bits = ENFORCING_BITS | c.ACTION_CLEANUP_ENFORCER
        return plan._replace(monitored=plan.actions & bits)
    if plan.is_enforcing and options.on_failure is OnFailure.KILL:
        plan = plan._replace(failure_signal=int(signal.SIGKILL))
    return plan._replace(monitored=plan.actions & c.ACTION_SET)


class _Compiler:
    def __init__(self, captured: CapturedHook, found: list[Finding]) -> None:
        self.plan = ActionPlan()
        self._captured = captured
        self._found = found

    def add(self, action: Action, path: Path) -> None:
        kind = action.action
        # In order: the last of Post and NoPost counts.
        if kind is _K.NO_POST:
            actions = self.plan.actions & ~c.ACTION_POST | c.ACTION_NO_POST
            self.plan = self.plan._replace(actions=actions)
        elif kind is _K.POST:
            self._post(action, path)
        elif kind in _BITS:
            self.plan = self.plan._replace(actions=self.plan.actions | _BITS[kind])
        if kind in {_K.SIGKILL, _K.SIGNAL, _K.NOTIFY_ENFORCER}:
            self._signal(signal.SIGKILL if kind is _K.SIGKILL else action.arg_sig)
        if kind in {_K.OVERRIDE, _K.NOTIFY_ENFORCER} and not self.plan.error:
            self.plan = self.plan._replace(error=action.errno or 0)
        if kind in _SOCKS:
            self._sock(action, path)

    def track_returned(self, action: ReturnAction, path: Path) -> None:
        returned = self._captured.returned
        if returned is None or returned.plan is None:
            return
        place = (*path, "returnArgAction")
        if not self._is_sock(returned.plan):
            text = f"needs a returned socket, not {returned.type}"
            self._found.append(error(place, text))
            return
        self._track(returned.plan, _RETURN_SOCKS[action], place)

    def _post(self, action: Action, path: Path) -> None:
        actions = self.plan.actions & ~c.ACTION_NO_POST | c.ACTION_POST
        rate_ms = (action.rate_limit or 0) * _MS
        if rate_ms > _UINT32:
            text = f"is cut to {_UINT32 // _MS} seconds"
            self._found.append(warning((*path, "rateLimit"), text))
        self.plan = self.plan._replace(
            actions=actions,
            rate_ms=min(rate_ms, _UINT32),
            rate_scope=_SCOPES[action.rate_limit_scope],
        )

    # A process dies only once: what kills it wins.
    def _signal(self, number: int | None) -> None:
        if number and self.plan.signal != signal.SIGKILL:
            wins = number == signal.SIGKILL or not self.plan.signal
            chosen = number if wins else self.plan.signal
            self.plan = self.plan._replace(signal=int(chosen))

    def _sock(self, action: Action, path: Path) -> None:
        position = argument_position(self._captured.hook, action.arg_sock or 0)
        argument = self._captured.args[position]
        if argument is None:
            return
        place = (*path, "argSock")
        if argument.plan is None or not self._is_sock(argument.plan):
            text = f"argument {action.arg_sock or 0} is no socket but {argument.type}"
            self._found.append(error(place, text))
            return
        self._track(argument.plan, 0, place)

    @staticmethod
    def _is_sock(plan: ArgumentPlan) -> bool:
        return plan.type == c.ARGUMENT_SOCK

    def _track(self, sock: ArgumentPlan, bit: int, path: Path) -> None:
        if self.plan.sock not in {None, sock}:
            text = "a selector can track one socket only"
            self._found.append(error(path, text))
        self.plan = self.plan._replace(sock=sock, actions=self.plan.actions | bit)
