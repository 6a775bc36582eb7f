# SPDX-License-Identifier: Apache-2.0
"""What a policy asked for in a hit and what became of it, in words."""

from __future__ import annotations

import errno
import signal
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from tetragon_py.abi import _generated as c
from tetragon_py.encode.kernel_names import error_name
from tetragon_py.encode.names import signal_name

if TYPE_CHECKING:
    from tetragon_py.events.hook import Enforcement, Match, PolicyTexts

__all__ = ["action_word", "enforcement", "outcome", "return_action_word"]

#: The words of KPROBE_ACTION_*. Where the policy's order is not known, the last one of
#: these that was carried out counts.
_BITS: Final = {
    "POST": c.ACTION_POST,
    "NOPOST": c.ACTION_NO_POST,
    "TRACKSOCK": c.ACTION_TRACK_SOCK,
    "UNTRACKSOCK": c.ACTION_UNTRACK_SOCK,
    "SET": c.ACTION_SET,
    "CLEANUPENFORCERNOTIFICATION": c.ACTION_CLEANUP_ENFORCER,
    "NOTIFYENFORCER": c.ACTION_NOTIFY_ENFORCER,
    "SIGNAL": c.ACTION_SIGNAL,
    "OVERRIDE": c.ACTION_OVERRIDE,
}
_BITS_OF_WORDS: Final = _BITS | {"SIGKILL": c.ACTION_SIGNAL}
_ENFORCING: Final = (
    c.ACTION_SIGNAL
    | c.ACTION_OVERRIDE
    | c.ACTION_NOTIFY_ENFORCER
    | c.ACTION_CLEANUP_ENFORCER
    | c.ACTION_SET
    | c.ACTION_ENFORCE
)
_MECHANISMS: Final = {
    c.MECHANISM_LSM: "lsm",
    c.MECHANISM_FMOD_RET: "fmod_ret",
    c.MECHANISM_OVERRIDE_RETURN: "override_return",
}
_MEANS: Final = {"signalled": "signal", "notified": "enforcer"}
#: Why an action fails, where the name of the error does not say it.
_REASONS: Final = {
    errno.ESRCH: "in interrupt context: the current process is not the culprit",
    errno.EPERM: "process 1, a kernel thread, or a process that ends",
    errno.EOPNOTSUPP: "this hook cannot deny",
    errno.E2BIG: "too many threads wait for an enforcer",
}


def action_word(policy: PolicyTexts, match: Match) -> str:
    """The last action that was carried out; POST if there was none.

    Of a policy that only monitors: the last one that would have been.
    """
    known = policy.enforcement.get(match.selector)
    return _action(known, _listed(policy, match), match)


def return_action_word(asked: str, action: str, done: int) -> str:
    """`asked`, the policy's returnArgAction, if it was carried out; else `action`."""
    return asked if asked in _words(done) else action


def enforcement(policy: PolicyTexts, match: Match) -> dict[str, object]:
    """What was asked for, what was done and how, and the effect on the process."""
    effect = _effect(match)
    told: dict[str, object] = {
        "selector": match.selector,
        "asked": list(_listed(policy, match)) or _words(match.actions),
        "done": _words(match.done),
    }
    known = policy.enforcement.get(match.selector)
    if known and match.actions & _ENFORCING:
        told["mode"] = "monitor" if _is_monitored(known, match) else "enforce"
    told["effect"] = effect
    if effect == "denied":
        told["mechanism"] = _MECHANISMS.get(match.mechanism, str(match.mechanism))
    elif effect in _MEANS:
        told["mechanism"] = _MEANS[effect]
    if known and known.errno and match.done & c.ACTION_OVERRIDE:
        told["errno"] = error_name(known.errno)
    if known and known.signal and match.done & c.ACTION_SIGNAL:
        told["signal"] = signal_name(known.signal)
    if match.error:
        told["error"] = error_name(-match.error)
        if -match.error in _REASONS:
            told["reason"] = _REASONS[-match.error]
    return told


def outcome(policy: PolicyTexts, match: Match) -> str:
    """The same in a few words, for a line; "" for what only observes."""
    if not match.actions & _ENFORCING:
        return ""
    known = policy.enforcement.get(match.selector)
    return _outcome(known, _listed(policy, match), match)


@lru_cache(maxsize=512)
def _outcome(known: Enforcement | None, listed: tuple[str, ...], match: Match) -> str:
    words = []
    if match.done & c.ACTION_OVERRIDE:
        words.append("DENIED")
        if known and known.errno:
            words.append(error_name(known.errno))
    if match.done & c.ACTION_SIGNAL:
        number = known.signal if known else 0
        words.append("KILLED" if number == signal.SIGKILL else "SIGNALLED")
        if number not in {0, signal.SIGKILL}:
            words.append(signal_name(number))
    if match.done & c.ACTION_NOTIFY_ENFORCER:
        words.append("NOTIFIED")
    if match.error:
        words += ["FAILED", error_name(-match.error)]
    if known and _is_monitored(known, match):
        words += ["MONITORED", _action(known, listed, match)]
    return " ".join(words)


def _action(known: Enforcement | None, listed: tuple[str, ...], match: Match) -> str:
    done = match.done | (match.actions & known.monitored if known else 0)
    words = [word for word in listed if _BITS_OF_WORDS.get(word, 0) & done]
    if words:
        return words[-1]
    words = _words(done) or ["POST"]
    kills = known is not None and known.signal == signal.SIGKILL
    return "SIGKILL" if kills and words[-1] == "SIGNAL" else words[-1]


def _listed(policy: PolicyTexts, match: Match) -> tuple[str, ...]:
    """The selector's actions in the order of the policy; empty if not known."""
    return (policy.actions[match.selector : match.selector + 1] or ((),))[0]


def _words(bits: int) -> list[str]:
    return [word for word, bit in _BITS.items() if bits & bit]


def _is_monitored(known: Enforcement, match: Match) -> bool:
    return not match.actions & _ENFORCING & ~known.monitored


def _effect(match: Match) -> str:
    if match.done & c.ACTION_OVERRIDE:
        return "denied"
    if match.done & c.ACTION_SIGNAL:
        return "signalled"
    if match.done & c.ACTION_NOTIFY_ENFORCER:
        return "notified"
    return "failed" if match.error else "observed"
