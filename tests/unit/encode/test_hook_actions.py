# SPDX-License-Identifier: Apache-2.0
"""What was asked for, what was done, and what came of it."""

from __future__ import annotations

import pytest

from tetragon_py.abi import _generated as c
from tetragon_py.encode.hook_actions import (
    action_word,
    enforcement,
    return_action_word,
)
from tetragon_py.events.hook import Match

ALL = (1 << 9) - 1


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
        (("SIGKILL",), 0, "POST"),  # monitor mode
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
    assert action_word(listed, done) == word


def test_return_action():
    """Its own action if it was carried out; else that of the entry."""
    tracked = c.ACTION_POST | c.ACTION_TRACK_SOCK

    assert return_action_word("TRACKSOCK", "POST", tracked) == "TRACKSOCK"
    assert return_action_word("TRACKSOCK", "POST", c.ACTION_POST) == "POST"
    assert return_action_word("", "SIGKILL", c.ACTION_SIGNAL) == "SIGKILL"


@pytest.mark.parametrize(
    ("asked", "done", "error", "effect"),
    [
        (c.ACTION_POST, c.ACTION_POST, 0, "observed"),
        (c.ACTION_SIGNAL, c.ACTION_SIGNAL, 0, "signalled"),
        (c.ACTION_SIGNAL, 0, 0, "observed"),
        (c.ACTION_SIGNAL, 0, -1, "failed"),
        (c.ACTION_OVERRIDE, c.ACTION_OVERRIDE, 0, "denied"),
        (ALL, ALL, 0, "denied"),
        (c.ACTION_OVERRIDE | c.ACTION_SIGNAL, c.ACTION_OVERRIDE, -1, "denied"),
        (c.ACTION_OVERRIDE | c.ACTION_SIGNAL, c.ACTION_SIGNAL, -1, "signalled"),
    ],
)
def test_effect(asked, done, error, effect):
    """The strongest thing that happened to the process."""
    told = enforcement((), Match(5, 2, asked, done, 0, error))

    assert told["effect"] == effect
    assert told["selector"] == 2
    assert told.get("error") == ("EPERM" if error else None)


def test_what_was_asked_for_and_done():
    """The policy's own words where they are known."""
    match = Match(5, 0, c.ACTION_POST | c.ACTION_SIGNAL, c.ACTION_POST, 0, 0)

    assert enforcement(("SIGKILL", "POST"), match) == {
        "selector": 0,
        "asked": ["SIGKILL", "POST"],
        "done": ["POST"],
        "effect": "observed",
    }
    assert enforcement((), match)["asked"] == ["POST", "SIGNAL"]
