# SPDX-License-Identifier: Apache-2.0
"""Whether all is pinned that a saved generation needs."""

from __future__ import annotations

from typing import Any

import pytest

from tetragon_py.compiler.plan import ClassPlan
from tetragon_py.loader.saved_generation import SavedGeneration, is_complete
from tetragon_py.loader.tables import SavedTables


class Attached:
    """Pins by their owners."""

    def __init__(self, **owners: set[str]) -> None:
        self._owners = {name.replace("_", "-"): found for name, found in owners.items()}

    def attached(self, owner: str) -> set[str]:
        return self._owners.get(owner, set())


def saved(*, calls: bool, returns: bool, guards: bool) -> SavedGeneration:
    hooks = {1: (8, False)} if calls else {}
    found: dict[str, Any] = {"file_open": (3, {2: 257}, [])} if guards else {}
    attached = {
        "dispatcher": {"hooks": hooks, "sees_returns": returns},
        "guards": {"next": 4, "guards": found},
    }
    tables = SavedTables(0, b"", [], [])
    return SavedGeneration(1, {}, tables, ClassPlan(), (b"", b""), 1, 1, {}, attached)


NOTHING: Any = Attached()
ENTRY: Any = Attached(dispatcher={"enter_syscall"})
BY_KPROBE: Any = Attached(dispatcher={"enter_by_kprobe"})
BOTH: Any = Attached(dispatcher={"enter_syscall", "exit_syscall"})
GUARD: Any = Attached(guard_3={"guard_lsm"})


@pytest.mark.parametrize(
    ("wanted", "pins", "complete"),
    [
        ({}, NOTHING, True),
        ({"calls": True}, NOTHING, False),
        ({"calls": True}, ENTRY, True),
        ({"calls": True, "returns": True}, ENTRY, False),
        ({"calls": True}, BY_KPROBE, True),
        ({"calls": True, "returns": True}, BOTH, True),
        ({"guards": True}, BOTH, False),
        ({"guards": True}, GUARD, True),
    ],
)
def test_what_is_needed(wanted: dict[str, bool], pins: Any, complete: bool) -> None:  # noqa: FBT001
    """The dispatcher for system calls, and each guard."""
    plan = saved(**{"calls": False, "returns": False, "guards": False} | wanted)

    assert is_complete([plan], pins) is complete
    empty = saved(calls=False, returns=False, guards=False)
    assert is_complete([empty, plan], pins) is complete
