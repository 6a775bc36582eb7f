# SPDX-License-Identifier: Apache-2.0
"""Processes as plain rows, so that the next agent knows whom this one knew.

Rows name their parents by number, and parents come first: a chain of ancestors is as
deep as it likes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tetragon_py.events.process import Process

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tetragon_py.events.process import (
        CgroupInfo,
        ExecEvent,
        ForkEvent,
        Namespaces,
        ProcessKey,
    )

__all__ = ["ProcessRow", "ProcessRows", "SavedFork"]


class ProcessRow(NamedTuple):
    """A Process without what encode keeps in it; `parent` is a row, or -1."""

    key: ProcessKey
    exec_id: bytes
    exec: ExecEvent
    parent: int
    parent_exec_id: bytes
    cgroup: CgroupInfo
    namespaces: Namespaces
    in_init_tree: bool
    forked: bool
    known: bool
    exited: bool
    depth: int


class SavedFork(NamedTuple):
    """A fork whose process nobody has asked for; its parent's row."""

    event: ForkEvent
    parent: int


class ProcessRows:
    """Rows that grow as processes are entered."""

    def __init__(self) -> None:
        self.rows: list[ProcessRow] = []
        self._numbers: dict[int, int] = {}

    def number(self, process: Process) -> int:
        """The row of a process, which is entered with its ancestors."""
        chain: list[Process] = []
        one: Process | None = process
        while one is not None and id(one) not in self._numbers:
            chain.append(one)
            one = one.parent
        for one in reversed(chain):
            parent = -1 if one.parent is None else self._numbers[id(one.parent)]
            self._numbers[id(one)] = len(self.rows)
            self.rows.append(
                ProcessRow(
                    one.key,
                    one.exec_id,
                    one.exec,
                    parent,
                    one.parent_exec_id,
                    one.cgroup,
                    one.namespaces,
                    one.in_init_tree,
                    one.forked,
                    one.known,
                    one.exited,
                    one.depth,
                )
            )
        return self._numbers[id(process)]

    @staticmethod
    def processes(rows: Iterable[ProcessRow]) -> list[Process]:
        """The processes of all rows, in their order."""
        made: list[Process] = []
        for row in rows:
            parent = made[row.parent] if row.parent >= 0 else None
            made.append(Process(row.key, row.exec_id, row.exec, parent, *row[4:]))
        return made
