# SPDX-License-Identifier: Apache-2.0
"""Who carries out which selectors, and when."""

from __future__ import annotations

import pytest

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.enforcement.division import (
    denying_part,
    divide_by_time,
    is_denying,
    observing_part,
)
from tetragon_py.compiler.entry import HookEntry, SelectorEntry
from tetragon_py.compiler.plan import ArgumentPlan, AttachPoint
from tetragon_py.compiler.selectors.actions import ActionPlan
from tetragon_py.compiler.selectors.conditions import Conditions

RETURNED = ArgumentPlan(c.ARGUMENT_INT32, c.FROM_RETURN)
#: Letter -> what a selector does.
ACTIONS = {
    "P": c.ACTION_POST,
    "N": c.ACTION_NO_POST,
    "O": c.ACTION_POST | c.ACTION_OVERRIDE,
    "K": c.ACTION_POST | c.ACTION_SIGNAL,
    "C": c.ACTION_NO_POST | c.ACTION_CLEANUP_ENFORCER,
    "T": c.ACTION_POST | c.ACTION_TRACK_SOCK,
    ".": 0,
}
LETTERS = {actions: letter for letter, actions in ACTIONS.items()}


def entry(text, *, tells_return=False, monitored=False):
    """An entry with a selector per letter; a lower-case one waits for the return."""
    selectors = tuple(
        SelectorEntry(
            number,
            "",
            Conditions(),
            ActionPlan(
                ACTIONS[letter.upper()],
                monitored=ACTIONS[letter.upper()] & ~1 if monitored else 0,
            ),
            denies=True,
            needs_return=letter.islower(),
        )
        for number, letter in enumerate(text)
    )
    returned = RETURNED if tells_return else None
    point = AttachPoint("syscall", "setuid", "x64")
    return HookEntry("p", ("spec",), point, (), (), returned, tells_return, selectors)


def shown(part):
    """The letters of a part, numbered as in the policy; "r": it tells the return."""
    letters = "".join(
        f"{one.number}{LETTERS[one.actions.actions]}" for one in part.selectors
    )
    return letters + ("r" if part.tells_return else "")


@pytest.mark.parametrize(
    ("text", "denies", "observes"),
    [
        ("P", None, "0P"),
        ("O", "0O", None),
        ("PO", "0.1O", "0P1."),
        ("OP", "0O", "0.1P"),
        ("NO", "0.1O", None),  # to say nothing needs nobody
        ("NOK", "0.1O", "0N1.2K"),
        ("OPOK", "0O1.2O", "0.1P2.3K"),
    ],
)
def test_denials_are_somebody_elses(text, denies, observes):
    """Both parts keep all that could decide before; only the denials go elsewhere."""
    whole = entry(text)
    observing = observing_part(whole)

    assert is_denying(whole) is (denies is not None)
    if denies is not None:
        assert shown(denying_part(whole)) == denies
    assert (observing and shown(observing)) == observes


def test_what_does_nothing_does_not_deny():
    """A selector that only keeps its place has no say about what cannot be read."""
    part = denying_part(entry("PO"))

    assert [one.denies for one in part.selectors] == [False, True]


def test_a_denial_does_not_know_the_result():
    """What is refused has none that could be told."""
    part = denying_part(entry("PO", tells_return=True))

    assert (part.returned, part.tells_return) == (None, False)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("P", ["0Pr"]),
        ("K", ["0K"]),
        ("PK", ["0.1K", "0P1.r"]),
        ("KN", ["0K1."]),
        ("TK", ["0.1K", "0T1.r"]),
        ("C", ["0C"]),
        # by what is returned: not known at the entry, where it does not stop others
        ("k", ["0Kr"]),
        ("kK", ["1K", "0K1.r"]),
        ("kP", ["0K1Pr"]),
    ],
)
def test_enforcement_does_not_wait_for_the_return(text, parts):
    """It is done at the entry, and what is told at the return still is."""
    divided = list(divide_by_time(entry(text, tells_return=True)))

    assert list(map(shown, divided)) == parts
    whole = entry(text)
    assert list(divide_by_time(whole)) == [whole]


def test_what_is_only_counted_is_not_urgent():
    """In monitor mode events have the result, as those of other policies."""
    assert [
        shown(part)
        for part in divide_by_time(entry("PK", tells_return=True, monitored=True))
    ] == ["0P1Kr"]


def test_one_text_serves_both_parts():
    """The event's shape is of the policy's entry: the same returned value in both."""
    early, late = divide_by_time(entry("PK", tells_return=True))
    [alone] = divide_by_time(entry("K", tells_return=True))

    assert early.returned == late.returned == RETURNED
    assert alone.returned is None
