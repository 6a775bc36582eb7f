# SPDX-License-Identifier: Apache-2.0
"""What was asked for, what was done, and what came of it."""

from __future__ import annotations

import pytest

from tetragon_py.abi import _generated as c
from tetragon_py.encode.hook_actions import (
    action_word,
    enforcement,
    outcome,
    return_action_word,
)
from tetragon_py.events.hook import Enforcement, Match, PolicyTexts

ALL = (1 << 9) - 1
POST, SIGNAL, OVERRIDE = c.ACTION_POST, c.ACTION_SIGNAL, c.ACTION_OVERRIDE
NOTIFY, ENFORCE = c.ACTION_NOTIFY_ENFORCER, c.ACTION_ENFORCE


def policy_of(listed, known: Enforcement | None = None) -> PolicyTexts:
    """A policy whose first selector has these actions."""
    return PolicyTexts("p", actions=(listed,), enforcement={0: known} if known else {})


@pytest.mark.parametrize(
    ("listed", "done", "word"),
    [
        (("POST",), c.ACTION_POST, "POST"),
        (("SIGKILL",), c.ACTION_SIGNAL, "SIGKILL"),
        (("SIGNAL",), c.ACTION_SIGNAL, "SIGNAL"),
        (("OVERRIDE", "SIGKILL"), c.ACTION_OVERRIDE | c.ACTION_SIGNAL, "SIGKILL"),
        (("SIGKILL", "OVERRIDE"), c.ACTION_OVERRIDE | c.ACTION_SIGNAL, "OVERRIDE"),
        (("SIGKILL", "OVERRIDE"), c.ACTION_SIGNAL, "SIGKILL"),
        (("POST", "OVERRIDE"), c.ACTION_POST, "POST"),
        (("OVERRIDE", "POST"), c.ACTION_OVERRIDE | c.ACTION_POST, "POST"),
        (("SIGKILL",), 0, "POST"),  # it failed
        (("NEVER_HEARD_OF",), c.ACTION_POST, "POST"),
        ((), c.ACTION_POST | c.ACTION_OVERRIDE | c.ACTION_SIGNAL, "OVERRIDE"),
        ((), c.ACTION_POST | c.ACTION_SIGNAL, "SIGNAL"),
        ((), c.ACTION_NOTIFY_ENFORCER, "NOTIFYENFORCER"),
        ((), c.ACTION_CLEANUP_ENFORCER, "CLEANUPENFORCERNOTIFICATION"),
        ((), c.ACTION_TRACK_SOCK, "TRACKSOCK"),
        ((), c.ACTION_UNTRACK_SOCK, "UNTRACKSOCK"),
        ((), c.ACTION_SET, "SET"),
        ((), c.ACTION_NO_POST, "NOPOST"),
        ((), 0, "POST"),
        ((), 1 << 15, "POST"),
    ],
)
def test_action(listed, done, word):
    """The last one of the policy's list that was carried out."""
    policy = PolicyTexts("p", actions=(listed,))

    assert action_word(policy, Match(5, 0, ALL, done, 0, 0)) == word


@pytest.mark.parametrize(
    ("listed", "asked", "word"),
    [
        (("SIGKILL",), POST | SIGNAL, "SIGKILL"),
        (("OVERRIDE", "SIGKILL"), POST | SIGNAL | OVERRIDE, "SIGKILL"),
        (("SIGKILL", "OVERRIDE"), POST | SIGNAL | OVERRIDE, "OVERRIDE"),
        (("NOTIFYENFORCER",), POST | NOTIFY, "NOTIFYENFORCER"),
        (("SIGKILL", "POST"), POST | SIGNAL, "POST"),
        ((), POST | SIGNAL, "SIGKILL"),
    ],
)
def test_action_that_is_only_monitored(listed, asked, word):
    """Monitor mode: the name of what would have been done."""
    told = Enforcement(asked & ~POST, 1, 9)
    policy = PolicyTexts("p", actions=(listed,), enforcement={0: told})

    assert action_word(policy, Match(5, 0, asked, POST, 0, 0)) == word


def test_action_after_a_failure():
    """What the option on-failure sends is no action of the list."""
    policy = policy_of(("OVERRIDE",), Enforcement(0, 1, 9))
    failed = Match(5, 0, POST | OVERRIDE, POST | SIGNAL, 0, -95)

    assert action_word(policy, failed) == "SIGKILL"


def test_return_action():
    """Its own action if it was carried out; else that of the entry."""
    tracked = c.ACTION_POST | c.ACTION_TRACK_SOCK

    assert return_action_word("TRACKSOCK", "POST", tracked) == "TRACKSOCK"
    assert return_action_word("TRACKSOCK", "POST", c.ACTION_POST) == "POST"
    assert return_action_word("", "SIGKILL", c.ACTION_SIGNAL) == "SIGKILL"


DENIED = Match(5, 0, POST | OVERRIDE, POST | OVERRIDE, c.MECHANISM_LSM, 0)
SIGNALLED = Match(5, 0, POST | SIGNAL, POST | SIGNAL, 0, 0)
BOTH = POST | SIGNAL | OVERRIDE
EVENTS = {
    "denied": (
        *(("OVERRIDE",), Enforcement(0, 13, 0), DENIED),
        {"mode": "enforce", "effect": "denied", "mechanism": "lsm", "errno": "EACCES"},
        "DENIED EACCES",
    ),
    "denied by replacing": (
        *(("OVERRIDE",), Enforcement(0, 1, 0), DENIED._replace(mechanism=2)),
        {
            "mode": "enforce",
            "effect": "denied",
            "mechanism": "fmod_ret",
            "errno": "EPERM",
        },
        "DENIED EPERM",
    ),
    "denied by a kprobe": (
        *(("OVERRIDE",), Enforcement(0, 1, 0), DENIED._replace(mechanism=3)),
        {
            "mode": "enforce",
            "effect": "denied",
            "mechanism": "override_return",
            "errno": "EPERM",
        },
        "DENIED EPERM",
    ),
    "error not known": (
        *(("OVERRIDE",), Enforcement(), DENIED),
        {"mode": "enforce", "effect": "denied", "mechanism": "lsm"},
        "DENIED",
    ),
    "killed": (
        *(("SIGKILL",), Enforcement(0, 0, 9), SIGNALLED),
        {
            "mode": "enforce",
            "effect": "signalled",
            "mechanism": "signal",
            "signal": "SIGKILL",
        },
        "KILLED",
    ),
    "signalled": (
        *(("SIGNAL",), Enforcement(0, 0, 18), SIGNALLED),
        {
            "mode": "enforce",
            "effect": "signalled",
            "mechanism": "signal",
            "signal": "SIGCONT",
        },
        "SIGNALLED SIGCONT",
    ),
    "denied and killed": (
        *(("OVERRIDE", "SIGKILL"), Enforcement(0, 1, 9)),
        Match(5, 0, BOTH, BOTH, c.MECHANISM_LSM, 0),
        {
            "mode": "enforce",
            "effect": "denied",
            "mechanism": "lsm",
            "errno": "EPERM",
            "signal": "SIGKILL",
        },
        "DENIED EPERM KILLED",
    ),
    "not the culprit": (
        *(("SIGKILL",), Enforcement(0, 0, 9)),
        Match(5, 0, POST | SIGNAL, POST, 0, -3),
        {
            "mode": "enforce",
            "effect": "failed",
            "error": "ESRCH",
            "reason": "in interrupt context: the current process is not the culprit",
        },
        "FAILED ESRCH",
    ),
    "denied, not killed": (
        *(("OVERRIDE", "SIGKILL"), Enforcement(0, 1, 9)),
        Match(5, 0, BOTH, POST | OVERRIDE, c.MECHANISM_LSM, -11),
        {
            "mode": "enforce",
            "effect": "denied",
            "mechanism": "lsm",
            "errno": "EPERM",
            "error": "EAGAIN",
        },
        "DENIED EPERM FAILED EAGAIN",
    ),
    "notified": (
        *(("NOTIFYENFORCER",), Enforcement(0, 1, 9)),
        Match(5, 0, POST | NOTIFY, POST | NOTIFY, 0, 0),
        {"mode": "enforce", "effect": "notified", "mechanism": "enforcer"},
        "NOTIFIED",
    ),
    "enforced": (
        *(("OVERRIDE",), Enforcement(0, 1, 0)),
        Match(5, 0, POST | ENFORCE, POST | ENFORCE | OVERRIDE, c.MECHANISM_LSM, 0),
        {"mode": "enforce", "effect": "denied", "mechanism": "lsm", "errno": "EPERM"},
        "DENIED EPERM",
    ),
    "monitored": (
        *(("OVERRIDE", "SIGKILL"), Enforcement(SIGNAL | OVERRIDE, 1, 9)),
        Match(5, 0, BOTH, POST, c.MECHANISM_LSM, 0),
        {"mode": "monitor", "effect": "observed"},
        "MONITORED SIGKILL",
    ),
    "observed": (
        *(("POST",), None, Match(5, 0, POST, POST, c.MECHANISM_LSM, 0)),
        {"effect": "observed"},
        "",
    ),
    "of an unknown policy": (
        *((), None, Match(5, 0, POST | SIGNAL, POST | SIGNAL, 0, 0)),
        {"effect": "signalled", "mechanism": "signal"},
        "SIGNALLED",
    ),
}


@pytest.mark.parametrize("name", EVENTS)
def test_what_became_of_it(name):
    """The effect on the process, how it came about, and why not."""
    listed, known, match, expected, words = EVENTS[name]
    policy = policy_of(listed, known)
    told = enforcement(policy, match)

    assert [*told][:3] == ["selector", "asked", "done"]
    assert dict([*told.items()][3:]) == expected
    assert outcome(policy, match) == words


def test_what_was_asked_for_and_done():
    """The policy's own words where they are known."""
    match = Match(5, 0, c.ACTION_POST | c.ACTION_SIGNAL, c.ACTION_POST, 0, 0)

    assert enforcement(policy_of(("SIGKILL", "POST")), match) == {
        "selector": 0,
        "asked": ["SIGKILL", "POST"],
        "done": ["POST"],
        "effect": "observed",
    }
    assert enforcement(policy_of(()), match)["asked"] == ["POST", "SIGNAL"]
