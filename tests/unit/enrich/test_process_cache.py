# SPDX-License-Identifier: Apache-2.0
"""Who is who: processes, their parents and their exec ids, also after losses."""

from __future__ import annotations

import base64
import gc

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.records import exec_event, exit_event, fork_event
from tetragon_py.abi import _generated as c
from tetragon_py.enrich import process_cache
from tetragon_py.enrich.process_cache import KERNEL_KEY, ProcessCache
from tetragon_py.events.process import Namespaces, Process, ProcessKey

INIT = ProcessKey(10, 1)
SHELL = ProcessKey(100, 50)
FORKED = ProcessKey(200, 60)
EXECED = ProcessKey(300, 60)
AGAIN = ProcessKey(400, 60)


def cache_with_shell() -> tuple[ProcessCache, Process]:
    """Process 1 and a shell, as the scan would enter them."""
    cache = ProcessCache("node")
    images = [
        exec_event(process=SHELL, parent=INIT, filename=b"/bin/sh", from_procfs=True),
        exec_event(process=INIT, parent=ProcessKey(0, 0), from_procfs=True),
    ]
    cache.seed(images)
    shell = cache.find(SHELL)
    assert shell is not None
    return cache, shell


def ancestors(process: Process) -> list[Process]:
    """All that `parent` leads to."""
    found = []
    parent = process.parent
    while parent is not None:
        found.append(parent)
        parent = parent.parent
    return found


def test_exec_id_names_node_start_and_process():
    """An exec id is base64 of node:start:tgid; the kernel's has the start 1."""
    cache = ProcessCache("vm-ä")

    assert base64.b64decode(cache.exec_id(SHELL)) == "vm-ä:100:50".encode()
    assert base64.b64decode(cache.exec_id(ProcessKey(0, 0))) == "vm-ä:1:0".encode()
    assert cache.exec_id(KERNEL_KEY) == cache.exec_id(ProcessKey(0, 0))
    assert ProcessCache("a\udcff").exec_id(SHELL) == base64.b64encode(b"a\xff:100:50")


def test_exec_after_fork_belongs_to_the_forker():
    """The parent of the first image is who forked, not the copy that forked itself."""
    cache, shell = cache_with_shell()
    forked = cache.fork(fork_event(FORKED, SHELL))
    process = cache.exec(exec_event(process=EXECED, parent=SHELL))

    assert shell is process.parent
    assert shell.exec_id == process.parent_exec_id
    assert forked.exited
    assert cache.find_tgid(60) is process
    assert cache.unknown_count == 0


def test_second_exec_belongs_to_the_first_image():
    """Each exec is a new process in the tree; its parent is who it was before."""
    cache, shell = cache_with_shell()
    first = cache.exec(exec_event(process=EXECED, parent=SHELL))
    second = cache.exec(exec_event(process=AGAIN, parent=EXECED, filename=b"/bin/b"))

    assert [first, shell] == ancestors(second)[:2]
    assert first.exec_id == second.parent_exec_id
    assert len({first.exec_id, second.exec_id}) == 2
    assert first.exited
    assert not second.exited
    assert len(cache) == 3


def test_forked_process_shares_its_parents_image():
    """A fork is the same program in another process until it calls exec."""
    cache, shell = cache_with_shell()
    forked = cache.fork(fork_event(FORKED, SHELL))

    assert forked.image is shell.image
    assert forked.cgroup is shell.cgroup
    assert forked.namespaces is shell.namespaces
    assert forked.forked
    assert forked.known
    assert forked.depth == shell.depth + 1
    assert cache.exec_id(FORKED) == forked.exec_id


def test_fork_into_own_namespaces():
    """What a fork changes is the child's; process 1 of a namespace starts a tree."""
    cache, shell = cache_with_shell()
    own = Namespaces(*range(10))
    first = cache.fork(fork_event(FORKED, SHELL, namespaces=own, nspid=1))
    below = cache.fork(fork_event(ProcessKey(201, 61), FORKED, nspid=2))
    program = cache.exec(exec_event(process=ProcessKey(202, 61), parent=FORKED))
    direct = cache.exec(exec_event(process=ProcessKey(203, 62), parent=SHELL, nspid=1))

    assert own is first.namespaces is below.namespaces
    assert not shell.in_init_tree
    assert all(p.in_init_tree for p in (first, below, program, direct))


def test_exit_is_told_of_the_process():
    """An exit ends exactly the process that it names."""
    cache, _ = cache_with_shell()
    process = cache.exec(exec_event(process=EXECED, parent=SHELL))

    assert cache.exit(exit_event(EXECED)) is process
    assert process.exited
    assert cache.find_tgid(60) is None
    assert cache.find(EXECED) is process


def test_unknown_parent_is_made_up_from_its_key():
    """Without the parent's record the child still has the right parent id."""
    cache, _ = cache_with_shell()
    lost = ProcessKey(150, 55)
    forked = cache.fork(fork_event(FORKED, lost))

    assert forked.parent is not None
    assert not forked.parent.known
    assert not forked.known
    assert cache.exec_id(lost) == forked.parent_exec_id
    assert cache.unknown_count == 1


def test_lost_fork_is_healed_by_the_exec():
    """An exec of a process that was never seen is complete but for its parent."""
    cache, _ = cache_with_shell()
    process = cache.exec(
        exec_event(process=EXECED, parent=FORKED, flags=c.EXEC_PARENT_UNKNOWN)
    )

    assert process.known
    assert cache.exec_id(FORKED) == process.parent_exec_id
    assert cache.find_tgid(60) is process


def test_lost_exec_shows_at_the_exit():
    """An exit of an image that was not seen does not claim to be of the one before."""
    cache, _ = cache_with_shell()
    before = cache.exec(exec_event(process=EXECED, parent=SHELL))
    ended = cache.exit(exit_event(AGAIN))

    assert ended is not before
    assert not ended.known
    assert ended.parent is before
    assert cache.exec_id(AGAIN) == ended.exec_id
    assert before.exited
    assert cache.find_tgid(60) is None


def test_exit_of_a_stranger():
    """An exit of which nothing was seen has at least its id."""
    cache = ProcessCache("node")
    ended = cache.exit(exit_event(EXECED))

    assert not ended.known
    assert ended.parent is None
    assert ended.parent_exec_id == b""
    assert cache.exec_id(EXECED) == ended.exec_id


def test_lost_exit_is_healed_by_reuse():
    """When a pid is used again, who had it before is gone."""
    cache, _ = cache_with_shell()
    old = cache.exec(exec_event(process=EXECED, parent=SHELL))
    new = cache.fork(fork_event(ProcessKey(900, 60), SHELL))

    assert old.exited
    assert cache.find_tgid(60) is new
    assert cache.find(EXECED) is old
    assert len(cache) == 3


def test_reused_pid_is_another_parent():
    """A child is given to the process of its key, not to who has the pid later."""
    cache, _ = cache_with_shell()
    old = cache.exec(exec_event(process=EXECED, parent=SHELL))
    cache.exit(exit_event(EXECED))
    new = cache.fork(fork_event(ProcessKey(900, 60), SHELL))

    assert cache.fork(fork_event(ProcessKey(950, 70), EXECED)).parent is old
    assert cache.fork(fork_event(ProcessKey(951, 71), new.key)).parent is new


def test_fork_that_the_scan_has_seen_first():
    """A fork record of a process that the scan entered changes nothing."""
    cache, shell = cache_with_shell()

    assert cache.fork(fork_event(SHELL, INIT)) is shell
    assert not shell.exited


# ---- the scan ----


def test_seed_puts_parents_first():
    """However the iterator orders them, each comes after its parent."""
    keys = [ProcessKey(100 - tgid, tgid) for tgid in range(1, 20)]  # children older
    images = [
        exec_event(process=key, parent=keys[i - 1] if i else ProcessKey(0, 0))
        for i, key in enumerate(keys)
    ]
    cache = ProcessCache("node")
    seeded = cache.seed(reversed(images))

    assert [KERNEL_KEY, *keys] == [process.key for process in seeded]
    assert cache.unknown_count == 0
    for process in seeded[1:]:
        assert process.parent in seeded
        assert not process.forked
    assert len(cache) == 19


def test_seed_starts_with_the_kernel():
    """Process 0 is told too: the parent of the first processes."""
    (kernel,) = ProcessCache("node").seed([])

    assert kernel.key == KERNEL_KEY
    assert kernel.known
    assert kernel.image.from_procfs
    assert kernel.image.process.tgid == 0


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), max_size=8))
def test_seed_ends_with_cycles_too(pairs):
    """Parents that lead in a circle (a reused pid) neither hang nor lose a process."""
    images = [
        exec_event(process=ProcessKey(own, own), parent=ProcessKey(parent, parent))
        for own, parent in pairs
    ]
    cache = ProcessCache("node")
    seeded = cache.seed(images)

    assert {0} | {own for own, _ in pairs} == {process.key.tgid for process in seeded}
    assert len(seeded) == len(cache) + 1
    for process in seeded:
        assert len(ancestors(process)) <= len(pairs) + 1


# ---- memory ----


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


def count_alive() -> int:
    gc.collect()
    return sum(isinstance(found, Process) for found in gc.get_objects())


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
        process = cache.fork(fork_event(child, key))
        if key != SHELL:
            cache.exit(exit_event(key))
        cache.sweep()
        key = child

        assert process.parent is not None
        assert len(ancestors(process)) <= process_cache.DEPTH_MAX


def test_short_branch_of_a_cut_chain():
    """A depth that is told too large, after a cut elsewhere, does no harm."""
    cache, _ = cache_with_shell()
    key = SHELL
    chain = []
    for i in range(process_cache.DEPTH_MAX - 2):
        child = ProcessKey(1_000 + i, 100 + i)
        chain.append(cache.fork(fork_event(child, key)))
        key = child
    branch = cache.fork(fork_event(ProcessKey(9_000, 9_000), chain[200].key))
    chain[180].parent = None  # as a cut of another branch would
    branch.depth = process_cache.DEPTH_MAX
    process = cache.fork(fork_event(ProcessKey(9_001, 9_001), branch.key))

    assert [branch, *reversed(chain[180:201])] == ancestors(process)
    assert process.depth == process_cache.DEPTH_MAX // 2


# ---- lost exits ----


def test_absent_are_those_that_only_the_cache_knows():
    """The kernel's table against the cache; process 0 is in no table."""
    cache, _ = cache_with_shell()

    assert cache.absent({1, 50}) == set()
    assert cache.absent({1, 70}) == {50}


def test_forgotten_processes_are_exited():
    """Who is forgotten is found as an exited parent still; strangers do not matter."""
    cache, shell = cache_with_shell()
    cache.forget({50, 9_999})

    assert shell.exited
    assert cache.find_tgid(50) is None
    assert cache.find(SHELL) is shell


TGIDS = st.integers(1, 5)
STARTS = st.integers(1, 5)
KEYS = st.builds(ProcessKey, STARTS, TGIDS)


@given(st.lists(st.tuples(st.sampled_from(["fork", "exec", "exit"]), KEYS, KEYS)))
def test_any_order_of_events_is_survived(steps):
    """Losses and reuse in any combination: the cache knows one process per pid."""
    cache = ProcessCache("node")
    live: dict[int, ProcessKey] = {}
    for what, key, parent in steps:
        if what == "exit":
            process = cache.exit(exit_event(key))
            live.pop(key.tgid, None)
        elif what == "fork":
            process = cache.fork(fork_event(key, parent))
            live[key.tgid] = key
        else:
            process = cache.exec(exec_event(process=key, parent=parent))
            live[key.tgid] = key

        assert process.key == key
        assert cache.exec_id(key) == process.exec_id
        assert len(ancestors(process)) <= 2 * len(steps) + 1
    found = {tgid: cache.find_tgid(tgid) for tgid in live}

    assert live == {tgid: process.key for tgid, process in found.items() if process}
    assert len(cache) == len(live)
