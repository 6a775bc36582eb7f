# SPDX-License-Identifier: Apache-2.0
"""What a policy asked for in a hit and what became of it, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tetragon_py.abi import _generated as c
from tetragon_py.encode.kernel_names import error_name

if TYPE_CHECKING:
    from tetragon_py.events.hook import Match

__all__ = ["action_word", "enforcement", "return_action_word"]

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
_SIGNALS: Final = {"SIGKILL": c.ACTION_SIGNAL}


def action_word(listed: tuple[str, ...], done: int) -> str:
    """The last action that was carried out; POST if there was none.

    Args:
        listed: The selector's actions in the order of the policy; empty if not known.
        done: ACTION_* that were carried out.
    """
    bits = _BITS | _SIGNALS
    words = [word for word in listed if bits.get(word, 0) & done] or _words(done)
    return words[-1] if words else "POST"


def return_action_word(asked: str, action: str, done: int) -> str:
    """`asked`, the policy's returnArgAction, if it was carried out; else `action`."""
    return asked if asked in _words(done) else action


def enforcement(listed: tuple[str, ...], match: Match) -> dict[str, object]:
    """What was asked for, what was done, and the effect on the process."""
    told: dict[str, object] = {
        "selector": match.selector,
        "asked": list(listed) or _words(match.actions),
        "done": _words(match.done),
        "effect": _effect(match),
    }
    if match.error:
        told["error"] = error_name(abs(match.error))
    return told


def _words(bits: int) -> list[str]:
    return [word for word, bit in _BITS.items() if bits & bit]


def _effect(match: Match) -> str:
    if match.done & c.ACTION_OVERRIDE:
        return "denied"
    if match.done & c.ACTION_SIGNAL:
        return "signalled"
    return "failed" if match.error else "observed"
