# SPDX-License-Identifier: Apache-2.0
"""Every live process with its ancestors, and the exited ones that are still needed.

Comes in: fork, exec and exit events in the order of their lane, and the scan at start.
Goes out: the `Process` that each event is about. Live processes are never evicted. An
exited one stays while a living descendant or a record in another lane may refer to it.
"""

from __future__ import annotations

from binascii import b2a_base64
from typing import TYPE_CHECKING, NamedTuple

from tetragon_py.enrich.cgroup import CgroupCache
from tetragon_py.enrich.saved_processes import ProcessRow, ProcessRows, SavedFork
from tetragon_py.events.process import (
    NO_NAMESPACES,
    CgroupInfo,
    ExecEvent,
    ExitEvent,
    ForkEvent,
    Image,
    Process,
    ProcessKey,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["KERNEL_KEY", "ProcessCache", "SavedCache"]

#: The parent of the first processes, which no iterator lists; Tetragon's exec id for it
#: has the start time 1.
KERNEL_KEY = ProcessKey(1, 0)
#: A process that execs for ever, or whose children fork and exit for ever, would keep
#: all its ancestors: from this depth on, the eldest half is let go.
DEPTH_MAX = 256
#: Exited processes that are kept at least.
RETIRED_MIN = 1024

_NOBODY = CgroupInfo("", "", "", "", "", "", "")


#: A fork whose process is made when somebody asks for it: most call exec next.
_Fork = tuple[ForkEvent, Process]


class SavedCache(NamedTuple):
    """A cache as plain values: rows, and numbers of rows."""

    rows: list[ProcessRow]
    live: list[int]
    forked: list[SavedFork]
    retired: list[int | SavedFork]


class ProcessCache:
    """Processes by their key. For one thread.

    Args:
        node_name: First part of each exec id.
    """

    def __init__(self, node_name: str) -> None:
        self._node = node_name.encode("utf-8", "surrogateescape") + b":"
        self._live: dict[int, Process] = {}
        self._forked: dict[int, _Fork] = {}  # live too
        self._retired: dict[ProcessKey, Process | _Fork] = {}
        self._retired_before: dict[ProcessKey, Process | _Fork] = {}
        self._cgroups = CgroupCache()
        self.unknown_count = 0  # events about a process that the cache did not have
        self._is_restored = False
        self._live[0] = Process(
            KERNEL_KEY,
            self.exec_id(KERNEL_KEY),
            _KERNEL,
            None,
            b"",
            _NOBODY,
            NO_NAMESPACES,
            in_init_tree=False,
            forked=False,
        )

    def __len__(self) -> int:
        return len(self._live) - 1 + len(self._forked)

    def exec_id(self, key: ProcessKey) -> bytes:
        """Base64 of node:start:tgid, as ASCII bytes."""
        start, tgid = key if key[1] else KERNEL_KEY
        return b2a_base64(self._node + f"{start}:{tgid}".encode(), newline=False)

    def fork(self, event: ForkEvent) -> None:
        """A new process: shares its parent's image until it calls exec."""
        key = event.process
        live = self._live
        parent = live.get(event.parent[1])
        if parent is None or parent.key != event.parent:
            parent = self.process_of(event.parent)
        old = live.get(key[1])
        if old is not None:
            if old.key == key:  # the scan has seen it first
                return
            del live[key[1]]
            self._retire(old)
        fork = self._forked.get(key[1])
        if fork is not None:
            if fork[0].process == key:
                return
            self._retired[fork[0].process] = fork
        self._forked[key[1]] = (event, parent)

    def exec(self, event: ExecEvent) -> Process:
        """A new image of a process, or a process that the scan found."""
        key = event.process
        fork = self._forked.pop(key[1], None)
        if fork is not None:
            self._retired[fork[0].process] = fork
        if fork is not None and fork[0].parent == event.parent and fork[1].known:
            parent = fork[1]
        else:
            parent = self.process_of(event.parent)
        old = self._live.get(key[1])
        if old is not None:
            self._retire(old)
        process = Process(
            key,
            b2a_base64(self._node + f"{key[0]}:{key[1]}".encode(), newline=False),
            event,
            parent,
            parent.exec_id,
            self._cgroups.lookup(event.image.cgroup_path),
            event.image.namespaces,
            event.nspid == 1 or parent.in_init_tree,
            False,
            True,
            False,
            parent.depth + 1,
        )
        if parent.depth >= DEPTH_MAX:
            self._shorten(process)
        self._live[key[1]] = process
        return process

    def exit(self, event: ExitEvent) -> Process:
        """The end of a process. One that is unknown is made up from its key."""
        tgid = event.process[1]
        process = self._live.pop(tgid, None)
        fork = self._forked.pop(tgid, None)
        if fork is not None:
            process = self._make(*fork)
        if process is None:
            return self._unknown(event.process)
        process.exited = True
        self._retired[process.key] = process
        if process.key == event.process:
            return process
        return self._unknown(event.process, parent=process)

    def find(self, key: ProcessKey) -> Process | None:
        """The process of a key, live or exited, or None."""
        process = self.find_tgid(key[1])
        if process is not None and process.key == key:
            return process
        for retired in (self._retired, self._retired_before):
            found = retired.get(key)
            if isinstance(found, tuple):
                retired[key] = found = self._make(*found)
                found.exited = True
            if found is not None:
                return found
        return None

    def find_tgid(self, tgid: int) -> Process | None:
        """The live process with this number, or None."""
        fork = self._forked.pop(tgid, None)
        if fork is not None:
            self._live[tgid] = self._make(*fork)
        return self._live.get(tgid)

    def seed(self, images: Iterable[ExecEvent]) -> list[Process]:
        """Enter what lived before the agent; parents come first in the result.

        Process 0 is the first, unless an earlier agent has told it (`restore`).

        Args:
            images: One per process, in any order.
        """
        waiting = {image.process: image for image in images}
        seeded: list[Process] = [] if self._is_restored else [self._live[0]]
        for key in sorted(waiting):
            chain = []
            image = waiting.pop(key, None)
            while image is not None:  # its ancestors that are not entered yet
                chain.append(image)
                image = waiting.pop(image.parent, None)
            for image in reversed(chain):
                process = self.exec(image)
                seeded.append(process)
        return seeded

    def save(self) -> SavedCache:
        """All that is known, for `restore` of the next agent."""
        rows = ProcessRows()
        live = [rows.number(process) for process in self._live.values()]
        forked = [SavedFork(e, rows.number(p)) for e, p in self._forked.values()]
        retired = [
            SavedFork(one[0], rows.number(one[1]))
            if isinstance(one, tuple)
            else rows.number(one)
            for one in (*self._retired_before.values(), *self._retired.values())
        ]
        return SavedCache(rows.rows, live, forked, retired)

    def restore(self, saved: SavedCache) -> None:
        """Know what an earlier agent knew, and nothing else."""
        self._is_restored = True
        made = ProcessRows.processes(saved.rows)
        self._live = {made[row].key.tgid: made[row] for row in saved.live}
        self._forked = {
            event.process.tgid: (event, made[parent]) for event, parent in saved.forked
        }
        self._retired, self._retired_before = {}, {}
        for one in saved.retired:
            if isinstance(one, SavedFork):
                self._retired[one.event.process] = (one.event, made[one.parent])
            else:
                self._retired[made[one].key] = made[one]

    def sweep(self) -> None:
        """Let exited processes go that no record can refer to any more.

        To be called when all lanes have been read up to where they were when the last
        exit was read: a process posts nothing after its exit.
        """
        if len(self._retired) >= RETIRED_MIN:
            self._retired_before = self._retired
            self._retired = {}

    def absent(self, living: set[int]) -> set[int]:
        """Numbers of processes that are live here, but not in the kernel's table."""
        return (self._live.keys() | self._forked.keys()) - living - {0}

    def forget(self, tgids: set[int]) -> None:
        """Retire processes whose exit was lost."""
        for tgid in tgids:
            process = self.find_tgid(tgid)
            if process is not None:
                del self._live[tgid]
                self._retire(process)

    def process_of(self, key: ProcessKey) -> Process:
        """The process of a key; one that nobody told of stands for what is unknown."""
        if not key[1]:
            return self._live[0]
        found = self._live.get(key[1])
        if found is not None and found.key == key:
            return found
        return self.find(key) or self._unknown(key)

    def _retire(self, process: Process) -> None:
        process.exited = True
        self._retired[process.key] = process

    def _make(self, event: ForkEvent, parent: Process) -> Process:
        """The process of a fork that has not called exec."""
        process = Process(
            event.process,
            self.exec_id(event.process),
            parent.exec,
            parent,
            parent.exec_id,
            parent.cgroup,
            event.namespaces or parent.namespaces,
            event.nspid == 1 or parent.in_init_tree,
            forked=True,
            known=parent.known,
            depth=parent.depth + 1,
        )
        if parent.depth >= DEPTH_MAX:
            self._shorten(process)
        return process

    @staticmethod
    def _shorten(process: Process) -> None:
        """Cut the chain of ancestors in its middle; exec ids of parents stay."""
        ancestor: Process | None = process
        for depth in range(DEPTH_MAX // 2, -1, -1):
            if ancestor is None:
                return
            ancestor.depth = depth
            if not depth:
                ancestor.parent = None
            ancestor = ancestor.parent

    def _unknown(self, key: ProcessKey, parent: Process | None = None) -> Process:
        """A process of which only its key is known."""
        self.unknown_count += 1
        return Process(
            key,
            self.exec_id(key),
            _UNKNOWN,
            parent,
            parent.exec_id if parent else b"",
            _NOBODY,
            NO_NAMESPACES,
            in_init_tree=False,
            forked=False,
            known=False,
        )


def _placeholder(image: Image) -> ExecEvent:
    nobody = ProcessKey(0, 0)
    return ExecEvent(0, nobody, nobody, 0, 0, 0, image, from_procfs=True)


_UNKNOWN = _placeholder(Image())
_KERNEL = _placeholder(Image(filename=b"<kernel>", is_kernel=True))
