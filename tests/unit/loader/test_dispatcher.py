# SPDX-License-Identifier: Apache-2.0
"""Which hook sees a system call, and while it does."""

from __future__ import annotations

from struct import Struct
from typing import Any

from tests.unit.loader.fake_objects import FakeShared
from tetragon_py.abi import _generated as c
from tetragon_py.loader.dispatcher import Dispatcher

PAIR = Struct(c.SYSCALL_HOOKS_FORMAT)


def dispatcher_of(shared: Any) -> Dispatcher:
    return Dispatcher(shared)


def add(
    dispatcher: Dispatcher,
    hook: int,
    row: int,
    *,
    is_compat: bool = False,
    wants_return: bool = False,
) -> None:
    dispatcher.add(hook, row, is_compat=is_compat, wants_return=wants_return)


def row(shared: FakeShared, number: int) -> tuple[int, ...]:
    return PAIR.unpack(shared.maps["syscalls"].rows[number.to_bytes(4, "little")])


def take_away(dispatcher: Dispatcher, hook: int) -> None:
    dispatcher.clear(hook)
    if dispatcher.remove(hook):
        dispatcher.close()


def test_it_is_attached_while_it_has_hooks():
    """With the first hook it comes, with the last it goes; returns when wanted."""
    shared = FakeShared()
    dispatcher = dispatcher_of(shared)
    add(dispatcher, 1, 8)
    assert shared.attached == ["enter_syscall"]
    add(dispatcher, 2, 9, wants_return=True)
    dispatcher.see_returns()
    assert shared.attached == ["enter_syscall", "exit_syscall"]
    assert set(shared.owners) == {"dispatcher"}
    take_away(dispatcher, 1)
    assert 1 not in dispatcher
    assert 2 in dispatcher
    take_away(dispatcher, 2)
    assert shared.attached == []
    add(dispatcher, 3, 8)
    assert shared.attached == ["enter_syscall"]


def test_both_tables_of_a_row():
    """Native and 32-bit calls of the same number have hooks of their own."""
    shared = FakeShared()
    dispatcher = dispatcher_of(shared)
    add(dispatcher, 1, 8)
    add(dispatcher, 2, 8, is_compat=True, wants_return=False)
    assert row(shared, 8) == (1, 2)
    take_away(dispatcher, 1)
    assert row(shared, 8) == (0, 2)


def test_who_takes_the_place_of_another():
    """It keeps it when the other goes; the other has it again when it goes."""
    shared = FakeShared()
    dispatcher = dispatcher_of(shared)
    for hook in (1, 2, 3):
        add(dispatcher, hook, 8)
    take_away(dispatcher, 1)
    assert row(shared, 8) == (3, 0)
    take_away(dispatcher, 3)
    assert row(shared, 8) == (2, 0)


def test_what_it_saves():
    """Where each hook is, and whether returns are seen."""
    dispatcher = dispatcher_of(FakeShared())
    add(dispatcher, 1, 8, is_compat=True, wants_return=True)

    assert dispatcher.save() == {"hooks": {1: (8, True)}, "sees_returns": True}
