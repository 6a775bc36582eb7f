# SPDX-License-Identifier: Apache-2.0
"""Rules for actions: where each one works and what it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tetragon_py.policy.check.positions import argument_position
from tetragon_py.policy.diagnostic import (
    Finding,
    Path,
    PolicyValueError,
    error,
    quote,
    refusal,
    warning,
)
from tetragon_py.policy.model.actions import NO_OPS, Action, ActionKind
from tetragon_py.policy.model.hooks import HookSection, LsmHook, ReturningHook
from tetragon_py.policy.model.operators import TypeKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tetragon_py.policy.model.hooks import Hook
    from tetragon_py.policy.model.selectors import Selector

__all__ = ["check_actions"]

_A = ActionKind
_S = HookSection
_EVERYWHERE = frozenset(HookSection)
_FUNCTIONS = frozenset((_S.KPROBES, _S.FENTRIES))
_KERNEL = _FUNCTIONS | {_S.TRACEPOINTS}
_USER = frozenset((_S.UPROBES, _S.USDTS))

#: Where an action works, if not everywhere.
_SECTIONS = {
    _A.OVERRIDE: _EVERYWHERE - {_S.TRACEPOINTS},
    _A.NOTIFY_ENFORCER: _EVERYWHERE - {_S.LSMHOOKS},
    _A.CLEANUP_ENFORCER_NOTIFICATION: _EVERYWHERE - {_S.LSMHOOKS},
    _A.TRACK_SOCK: _FUNCTIONS,
    _A.UNTRACK_SOCK: _FUNCTIONS,
    _A.GET_URL: _KERNEL,
    _A.DNS_LOOKUP: _KERNEL,
    _A.SET: frozenset((_S.USDTS,)),
}
#: Fields that an action cannot do without.
_REQUIRED = {
    _A.SIGNAL: ("arg_sig",),
    _A.GET_URL: ("arg_url",),
    _A.DNS_LOOKUP: ("arg_fqdn",),
    _A.SET: ("arg_index", "arg_value"),
}
_FD = ("arg_fd", "arg_name")
_USER_OVERRIDE = ("arg_regs", "arg_new_symbol", "arg_new_addr", "arg_new_offset")
#: Fields that an action may have besides.
_OPTIONAL = {
    _A.POST: (
        *("rate_limit", "rate_limit_scope"),
        *("kernel_stack_trace", "user_stack_trace", "ima_hash"),
    ),
    _A.OVERRIDE: ("arg_error", *_USER_OVERRIDE),
    _A.NOTIFY_ENFORCER: ("arg_error", "arg_sig"),
    _A.TRACK_SOCK: ("arg_sock",),
    _A.UNTRACK_SOCK: ("arg_sock",),
    **dict.fromkeys(NO_OPS, _FD),
}
_KEYS = {name: field.alias or name for name, field in Action.model_fields.items()}
_IMA_HOOKS = frozenset(
    (
        *("bprm_check_security", "bprm_committed_creds", "bprm_committing_creds"),
        *("bprm_creds_for_exec", "bprm_creds_from_file", "file_ioctl", "file_lock"),
        *("file_open", "file_post_open", "file_receive", "mmap_file"),
    )
)


def check_actions(
    section: HookSection,
    hook: Hook,
    path: Path,
    selector: Selector,
    *,
    has_enforcers: bool,
) -> Iterator[Finding]:
    """Yield what is wrong with the actions of a selector; `path` leads to it."""
    for index, action in enumerate(selector.match_actions):
        place = (*path, "matchActions", index)
        if action.action is ActionKind.OVERRIDE and selector.match_return_args:
            text = "Override comes too late: matchReturnArgs waits for the return"
            hint = "filter on arguments, or move what is filtered to another selector"
            yield error((*place, "action"), text, hint)
        yield from _check(section, hook, place, action, has_enforcers=has_enforcers)
    returns = isinstance(hook, ReturningHook) and hook.return_
    for index, action in enumerate(selector.match_return_actions):
        place = (*path, "matchReturnActions", index)
        if not returns:
            yield error(place, "needs return: true of the hook")
        if action.action is ActionKind.OVERRIDE:
            text = "Override comes too late when the function returns"
            yield error((*place, "action"), text, "move it to matchActions")
        yield from _check(section, hook, place, action, has_enforcers=has_enforcers)


def _check(
    section: HookSection, hook: Hook, path: Path, action: Action, *, has_enforcers: bool
) -> Iterator[Finding]:
    kind = action.action
    if section not in _SECTIONS.get(kind, _EVERYWHERE):
        yield error((*path, "action"), f"{kind} does not work in {section}")
        return
    if kind in NO_OPS:
        hint = "an argument of type fd has its path without it: remove the action"
        yield warning((*path, "action"), f"{kind} does nothing", hint)
    yield from _check_parameters(path, action)
    if kind in {_A.OVERRIDE, _A.NOTIFY_ENFORCER}:
        yield from _check_error(section, path, action)
    if kind is _A.NOTIFY_ENFORCER and not has_enforcers:
        yield error((*path, "action"), "NotifyEnforcer needs enforcers in the policy")
    if kind in {_A.TRACK_SOCK, _A.UNTRACK_SOCK}:
        yield from _check_argument(hook, path, "argSock", action.arg_sock or 0)
    if kind is _A.SET and action.arg_index is not None:
        yield from _check_argument(hook, path, "argIndex", action.arg_index)
    if kind is _A.POST:
        yield from _check_post(section, hook, path, action)


def _check_parameters(path: Path, action: Action) -> Iterator[Finding]:
    kind = action.action
    required = _REQUIRED.get(kind, ())
    for name in required:
        if getattr(action, name) is None:
            yield error((*path, _KEYS[name]), f"is required for {kind}")
    known = {"action", *required, *_OPTIONAL.get(kind, ())}
    for name, key in _KEYS.items():
        if name in action.model_fields_set and name not in known:
            yield warning((*path, key), f"has no meaning for {kind}")


def _check_error(section: HookSection, path: Path, action: Action) -> Iterator[Finding]:
    given = [name for name in _USER_OVERRIDE if getattr(action, name) not in {None, ()}]
    if section not in _USER:
        for name in given:
            yield error((*path, _KEYS[name]), f"does not work in {section}")
        given = []
    place = (*path, "argError")
    value = action.arg_error
    if value is None:
        has_signal = action.action is _A.NOTIFY_ENFORCER and action.arg_sig is not None
        if not given and not has_signal:
            hint = "for example -1, which is EPERM"
            yield error(place, f"is required for {action.action}", hint)
    elif 0 < value <= 4095:
        yield warning(
            place,
            f"{value} is no error: -1 (EPERM) is returned",
            f"errors are negative: write {-value} if you mean that one",
        )
    elif not -4095 <= value < 0:
        yield error(place, f"{value} is no error", "-4095 to -1")


def _check_argument(hook: Hook, path: Path, key: str, index: int) -> Iterator[Finding]:
    try:
        argument = hook.args[argument_position(hook, index)]
    except PolicyValueError as problem:
        yield refusal((*path, key), problem)
        return
    wanted = {TypeKind.SOCK, TypeKind.AUTO}
    if key == "argSock" and argument.declared_type.kind not in wanted:
        yield error((*path, key), f"argument {index} is no socket but {argument.type}")


def _check_post(
    section: HookSection, hook: Hook, path: Path, action: Action
) -> Iterator[Finding]:
    if action.rate_limit is None and "rate_limit_scope" in action.model_fields_set:
        yield warning((*path, "rateLimitScope"), "has no effect without rateLimit")
    for name in ("kernel_stack_trace", "user_stack_trace"):
        if getattr(action, name) and section is HookSection.LSMHOOKS:
            yield error((*path, _KEYS[name]), f"does not work in {section}")
    if action.ima_hash:
        if not isinstance(hook, LsmHook):
            yield error((*path, "imaHash"), "works in lsmhooks only")
        elif hook.hook not in _IMA_HOOKS:
            hint = f"there is one in {', '.join(sorted(_IMA_HOOKS)[:3])}, ..."
            yield error((*path, "imaHash"), f"{quote(hook.hook)} has no hash", hint)
