# SPDX-License-Identifier: Apache-2.0
"""What numbers stand for, also those that nobody knows; arguments one by one."""

from __future__ import annotations

from tests.unit.records import argument, hook_event, number
from tetragon_py.abi import _generated as c
from tetragon_py.events.hook import (
    Captured,
    HookNames,
    HookTexts,
    PolicyTexts,
    ReadError,
)


def test_texts_are_found_by_number():
    """A hook has texts of its own, and of each policy on it."""
    names = HookNames()
    names.add_hook(9, HookTexts("lsm", "file_open"))
    names.add_match(9, 5, PolicyTexts("files"))
    names.add_match(9, 6, PolicyTexts("others"))

    assert names.hook(9).function_name == "file_open"
    assert names.match(9, 5).policy_name == "files"
    assert names.match(9, 6).policy_name == "others"


def test_unknown_numbers_have_clear_names():
    """A number that nobody entered is shown as itself, with all arguments."""
    names = HookNames()
    names.add_match(9, 5, PolicyTexts("files"))

    assert names.hook(9) == HookTexts("kprobe", "<unknown hook 9>")
    assert names.match(8, 5).policy_name == "<unknown policy 5>"
    assert names.match(8, 5).args is None
    assert names.match(9, 4).policy_name == "<unknown policy 4>"


def test_forgotten_numbers_are_unknown():
    """A policy goes alone; a hook goes with its policies, and no others."""
    names = HookNames()
    for hook in (8, 9):
        names.add_hook(hook, HookTexts("kprobe", "f"))
        for policy in (5, 6):
            names.add_match(hook, policy, PolicyTexts("p"))
    names.forget(9, 5)

    assert names.match(9, 5).policy_name == "<unknown policy 5>"
    assert names.match(9, 6).policy_name == "p"

    names.forget(9)
    names.forget(9)

    assert names.hook(9).function_name == "<unknown hook 9>"
    assert names.match(9, 6).policy_name == "<unknown policy 6>"
    assert names.match(8, 6).policy_name == "p"


def test_each_change_is_a_new_version():
    """Whoever keeps texts can tell that they are old."""
    names = HookNames()
    versions = [names.version]
    for change in (
        lambda: names.add_hook(9, HookTexts("kprobe", "f")),
        lambda: names.add_match(9, 5, PolicyTexts("p")),
        lambda: names.forget(9, 5),
        lambda: names.forget(9),
    ):
        change()
        versions.append(names.version)

    assert len(set(versions)) == 5


def test_arguments_one_by_one():
    """Heads and values belong together."""
    event = hook_event(
        [
            number(c.ARGUMENT_INT32, -100, slot=3),
            argument(c.ARGUMENT_STRING, b"a", slot=1, flags=c.ARGUMENT_CUT),
            argument(c.ARGUMENT_UINT64, slot=2, depth=4, error=14),
        ]
    )

    assert event.arguments == (
        Captured(3, c.ARGUMENT_INT32, 0, 0, -100),
        Captured(1, c.ARGUMENT_STRING, c.ARGUMENT_CUT, 0, b"a"),
        Captured(2, c.ARGUMENT_UINT64, 0, 4, ReadError(14, 4)),
    )
