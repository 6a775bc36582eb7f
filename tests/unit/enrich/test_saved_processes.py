# SPDX-License-Identifier: Apache-2.0
"""A cache as plain values, and back: the next agent knows whom this one knew."""

from __future__ import annotations

import pickle

from tests.unit.enrich.caches import AGAIN, EXECED, FORKED, SHELL, cache_with_shell
from tests.unit.records import exec_event, exit_event, fork_event
from tetragon_py.enrich.process_cache import ProcessCache
from tetragon_py.enrich.saved_processes import ProcessRows
from tetragon_py.events.process import Process, ProcessKey


def again(cache: ProcessCache) -> ProcessCache:
    """What the next agent knows."""
    found = ProcessCache("another")
    found.restore(pickle.loads(pickle.dumps(cache.save())))
    return found


def known(cache: ProcessCache, key: ProcessKey) -> Process:
    """The process of a key."""
    found = cache.find(key)
    assert found is not None
    return found


def test_everybody_is_known_again() -> None:
    """Live, forked and exited processes, with parents, flags and exec ids."""
    cache, _ = cache_with_shell()
    cache.fork(fork_event(FORKED, SHELL))
    cache.exec(exec_event(process=EXECED, parent=SHELL, arguments=b"x\0"))
    gone = cache.exit(exit_event(EXECED))
    cache.fork(fork_event(AGAIN, SHELL))
    found = again(cache)
    old, shell = found.find(EXECED), found.find(SHELL)

    assert old is not None
    assert shell is not None
    assert old is not gone
    assert (old.exec_id, old.exec.arguments, old.exited) == (gone.exec_id, b"x\0", True)
    assert old.parent is shell
    assert known(found, AGAIN).parent is shell
    assert known(found, FORKED).exited
    assert len(found) == len(cache)
    assert found.unknown_count == 0


def test_nothing_is_told_again() -> None:
    """Process 0 is told by the first agent only."""
    cache, _ = cache_with_shell()
    image = exec_event(process=ProcessKey(9, 99), parent=SHELL)

    assert [process.key for process in again(cache).seed([image])] == [(9, 99)]
    assert len(ProcessCache("x").seed([image])) == 2


def test_a_long_chain() -> None:
    """Ancestors may be as many as the cache allows."""
    cache, _ = cache_with_shell()
    parent = SHELL
    for number in range(5_000):
        key = ProcessKey(1_000 + number, 50)
        cache.exec(exec_event(process=key, parent=parent))
        parent = key
    found = known(again(cache), parent)

    assert found.depth == known(cache, parent).depth
    assert found.parent is not None
    assert found.parent.exited


def test_rows_are_entered_once() -> None:
    """A process that is asked for again has the same row."""
    _, shell = cache_with_shell()
    rows = ProcessRows()
    assert shell.parent is not None

    assert rows.number(shell) == rows.number(shell)
    assert len(rows.rows) == len({row.key for row in rows.rows})
    assert rows.rows[-1].parent == rows.number(shell.parent)
