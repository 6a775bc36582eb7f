# SPDX-License-Identifier: Apache-2.0
"""Who has exited is kept as long as needed, and no longer."""

from __future__ import annotations

import gc

from tests.unit.enrich.caches import (
    SHELL,
    ancestors,
    cache_with_shell,
    forked_in,
)
from tests.unit.records import exec_event, exit_event, fork_event
from tetragon_py.enrich import process_cache
from tetragon_py.events.process import ForkEvent, Process, ProcessKey


def test_exited_processes_go_after_two_sweeps(monkeypatch):
    """Who has exited is known for a while, and let go when enough others have."""
    monkeypatch.setattr(process_cache, "RETIRED_MIN", 3)
    cache, _ = cache_with_shell()
    keys = [ProcessKey(1_000 + i, 100 + i) for i in range(6)]

    def exit_all(some):
        for key in some:
            cache.fork(fork_event(key, SHELL))
            cache.exit(exit_event(key))
            cache.sweep()

    exit_all(keys[:2])
    assert all(cache.find(key) for key in keys[:2])
    exit_all(keys[2:5])
    assert all(cache.find(key) for key in keys[:5])
    exit_all(keys[5:])
    assert [cache.find(key) for key in keys[:3]] == [None] * 3
    assert all(cache.find(key) for key in keys[3:])


def test_live_processes_are_never_let_go(monkeypatch):
    """No number of exits makes the cache forget who lives."""
    monkeypatch.setattr(process_cache, "RETIRED_MIN", 1)
    cache, shell = cache_with_shell()
    for i in range(100):
        key = ProcessKey(1_000 + i, 100 + i)
        cache.fork(fork_event(key, SHELL))
        cache.exit(exit_event(key))
        cache.sweep()

    assert cache.find(SHELL) is shell
    assert [process.key.tgid for process in ancestors(shell)] == [1, 0]


def test_programs_that_fork_and_exec_are_let_go(monkeypatch):
    """Forks that nobody asked for go with the processes that they became."""
    monkeypatch.setattr(process_cache, "RETIRED_MIN", 3)
    cache, _ = cache_with_shell()
    for i in range(100):
        forked, execed = ProcessKey(1_000 + 2 * i, 60), ProcessKey(1_001 + 2 * i, 60)
        cache.fork(fork_event(forked, SHELL))
        cache.exec(exec_event(process=execed, parent=SHELL))
        cache.exit(exit_event(execed))
        assert cache.find(forked)
        cache.sweep()

    assert len(cache) == 2
    assert cache.find(ProcessKey(1_000, 60)) is None
    assert cache.find(ProcessKey(1_001, 60)) is None
    assert len(cache._retired) + len(cache._retired_before) <= 8


def count_alive() -> int:
    """Processes, and forks whose process has not been asked for."""
    gc.collect()
    return sum(isinstance(found, Process | ForkEvent) for found in gc.get_objects())


def test_execs_without_end_take_bounded_memory():
    """A process that calls exec for ever keeps a bounded number of ancestors."""
    cache, process = cache_with_shell()
    before = count_alive()
    key = SHELL
    for i in range(10_000):
        key, previous = ProcessKey(1_000 + i, 50), key
        process = cache.exec(exec_event(process=key, parent=previous))
        cache.sweep()

        assert process.depth <= process_cache.DEPTH_MAX
        assert cache.exec_id(previous) == process.parent_exec_id
    depth = len(ancestors(process))

    assert process_cache.DEPTH_MAX // 2 <= depth <= process_cache.DEPTH_MAX
    assert count_alive() - before <= (
        2 * process_cache.RETIRED_MIN + process_cache.DEPTH_MAX
    )


def test_forks_without_end_take_bounded_memory():
    """A chain of children whose parents exit keeps a bounded number of ancestors."""
    cache, _ = cache_with_shell()
    key = SHELL
    for i in range(2_000):
        child = ProcessKey(1_000 + i, 100 + i)
        process = forked_in(cache, child, key)
        if key != SHELL:
            cache.exit(exit_event(key))
        cache.sweep()
        key = child

        assert process.parent is not None
        assert len(ancestors(process)) <= process_cache.DEPTH_MAX


def test_forks_that_nobody_asks_for_take_bounded_memory():
    """The same if only the next fork asks for its parent."""
    cache, _ = cache_with_shell()
    before = count_alive()
    key = SHELL
    for i in range(10_000):
        child = ProcessKey(1_000 + i, 100 + i)
        cache.fork(fork_event(child, key))
        if key != SHELL:
            cache.exit(exit_event(key))
        cache.sweep()
        key = child
    process = cache.find(key)

    assert process is not None
    assert len(ancestors(process)) <= process_cache.DEPTH_MAX
    assert count_alive() - before <= (
        2 * process_cache.RETIRED_MIN + process_cache.DEPTH_MAX + 2
    )


def test_short_branch_of_a_cut_chain():
    """A depth that is told too large, after a cut elsewhere, does no harm."""
    cache, _ = cache_with_shell()
    key = SHELL
    chain = []
    for i in range(process_cache.DEPTH_MAX - 2):
        child = ProcessKey(1_000 + i, 100 + i)
        chain.append(forked_in(cache, child, key))
        key = child
    branch = forked_in(cache, ProcessKey(9_000, 9_000), chain[200].key)
    chain[180].parent = None  # as a cut of another branch would
    branch.depth = process_cache.DEPTH_MAX
    process = forked_in(cache, ProcessKey(9_001, 9_001), branch.key)

    assert [branch, *reversed(chain[180:201])] == ancestors(process)
    assert process.depth == process_cache.DEPTH_MAX // 2
