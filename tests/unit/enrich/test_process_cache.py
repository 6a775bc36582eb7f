# SPDX-License-Identifier: Apache-2.0
"""Who is who: processes, their parents and their exec ids, also after losses."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.enrich.caches import (
    AGAIN,
    EXECED,
    FORKED,
    INIT,
    SHELL,
    ancestors,
    cache_with_shell,
    forked_in,
)
from tests.unit.records import exec_event, exit_event, fork_event
from tetragon_py.abi import _generated as c
from tetragon_py.enrich.process_cache import KERNEL_KEY, ProcessCache
from tetragon_py.events.process import Namespaces, Process, ProcessKey


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
    cache.fork(fork_event(FORKED, SHELL))
    assert len(cache) == 3
    process = cache.exec(exec_event(process=EXECED, parent=SHELL))
    forked = cache.find(FORKED)

    assert shell is process.parent
    assert shell.exec_id == process.parent_exec_id
    assert forked is not None
    assert forked is cache.find(FORKED)
    assert forked.forked
    assert forked.exited
    assert cache.find_tgid(60) is process
    assert cache.unknown_count == 0
    assert len(cache) == 3


def test_exec_after_a_fork_that_was_asked_for():
    """A fork that has children before it calls exec is the same process to them."""
    cache, shell = cache_with_shell()
    forked = forked_in(cache, FORKED, SHELL)
    child = forked_in(cache, ProcessKey(250, 61), FORKED)
    process = cache.exec(exec_event(process=EXECED, parent=SHELL))

    assert child.parent is forked is cache.find(FORKED)
    assert forked.exited
    assert process.parent is shell
    assert cache.find_tgid(60) is process
    assert len(cache) == 4


def test_child_of_a_fork_that_has_called_exec():
    """A child whose record comes after its parent's exec is the fork's, not its."""
    cache, _ = cache_with_shell()
    cache.fork(fork_event(FORKED, SHELL))
    cache.exec(exec_event(process=EXECED, parent=SHELL))
    child = forked_in(cache, ProcessKey(350, 61), FORKED)

    assert child.parent is cache.find(FORKED)
    assert child.parent_exec_id == cache.exec_id(FORKED)
    assert child.known
    assert cache.unknown_count == 0


def test_exec_of_another_fork_than_the_one_that_is_waiting():
    """If exit and fork were lost, the exec's own word on its parent counts."""
    cache, shell = cache_with_shell()
    cache.fork(fork_event(FORKED, SHELL))
    init = cache.find(INIT)
    process = cache.exec(exec_event(process=ProcessKey(900, 60), parent=INIT))

    assert process.parent is init
    assert process.parent_exec_id == cache.exec_id(INIT)
    assert cache.find_tgid(60) is process
    forked = cache.find(FORKED)
    assert forked is not None
    assert forked.parent is shell


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
    forked = forked_in(cache, FORKED, SHELL)

    assert forked is cache.find(FORKED) is cache.find_tgid(60)
    assert forked.exec is shell.exec
    assert forked.parent is shell
    assert forked.parent_exec_id == shell.exec_id
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
    first = forked_in(cache, FORKED, SHELL, namespaces=own, nspid=1)
    below = forked_in(cache, ProcessKey(201, 61), FORKED, nspid=2)
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


def test_exit_of_a_fork():
    """A process that has not called exec ends as the copy of its parent that it is."""
    cache, shell = cache_with_shell()
    cache.fork(fork_event(FORKED, SHELL))
    ended = cache.exit(exit_event(FORKED))

    assert ended.key == FORKED
    assert ended.known
    assert ended.forked
    assert ended.exited
    assert ended.exec is shell.exec
    assert ended.parent is shell
    assert cache.find(FORKED) is ended
    assert cache.find_tgid(60) is None
    assert len(cache) == 2


def test_fork_is_the_copy_of_who_forked_then():
    """A fork that is asked for late shares what its parent was at the fork."""
    cache, shell = cache_with_shell()
    cache.fork(fork_event(FORKED, SHELL))
    again = cache.exec(exec_event(process=ProcessKey(500, 50), parent=SHELL))
    cache.exit(exit_event(again.key))
    forked = cache.find(FORKED)

    assert forked is not None
    assert forked.exec is shell.exec
    assert forked.parent is shell


def test_unknown_parent_is_made_up_from_its_key():
    """Without the parent's record the child still has the right parent id."""
    cache, _ = cache_with_shell()
    lost = ProcessKey(150, 55)
    forked = forked_in(cache, FORKED, lost)

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


def test_parent_that_is_known_by_the_time_of_the_exec():
    """A parent that was made up for the fork is not, if it is known since."""
    cache, _ = cache_with_shell()
    parent = ProcessKey(150, 55)
    cache.fork(fork_event(FORKED, parent))
    known = cache.exec(exec_event(process=parent, parent=SHELL))
    process = cache.exec(exec_event(process=EXECED, parent=parent))

    assert process.parent is known
    assert process.depth == known.depth + 1


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
    new = forked_in(cache, ProcessKey(900, 60), SHELL)

    assert old.exited
    assert cache.find_tgid(60) is new
    assert cache.find(EXECED) is old
    assert len(cache) == 3


def test_lost_exit_of_a_fork_is_healed_by_reuse():
    """The same if who had the pid before had not called exec."""
    cache, shell = cache_with_shell()
    cache.fork(fork_event(FORKED, SHELL))
    new = forked_in(cache, ProcessKey(900, 60), SHELL)
    old = cache.find(FORKED)

    assert old is not None
    assert old.exited
    assert old.parent is shell
    assert cache.find_tgid(60) is new
    assert len(cache) == 3
    assert forked_in(cache, ProcessKey(950, 70), FORKED).parent is old
    assert cache.unknown_count == 0


def test_reused_pid_is_another_parent():
    """A child is given to the process of its key, not to who has the pid later."""
    cache, _ = cache_with_shell()
    old = cache.exec(exec_event(process=EXECED, parent=SHELL))
    cache.exit(exit_event(EXECED))
    new = forked_in(cache, ProcessKey(900, 60), SHELL)

    assert forked_in(cache, ProcessKey(950, 70), EXECED).parent is old
    assert forked_in(cache, ProcessKey(951, 71), new.key).parent is new


def test_fork_that_the_scan_has_seen_first():
    """A fork record of a process that the scan entered changes nothing."""
    cache, shell = cache_with_shell()

    cache.fork(fork_event(SHELL, INIT))

    assert cache.find(SHELL) is shell is cache.find_tgid(50)
    assert not shell.exited
    assert not shell.forked
    assert len(cache) == 2


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
    assert kernel.exec.from_procfs
    assert kernel.exec.image.is_kernel
    assert kernel.key.tgid == 0
    assert kernel.parent is None


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


# ---- lost exits ----


def test_absent_are_those_that_only_the_cache_knows():
    """The kernel's table against the cache; process 0 is in no table."""
    cache, _ = cache_with_shell()

    assert cache.absent({1, 50}) == set()
    assert cache.absent({1, 70}) == {50}
    cache.fork(fork_event(FORKED, SHELL))
    assert cache.absent({1, 50, 60}) == set()
    assert cache.absent({1, 50}) == {60}


def test_forgotten_processes_are_exited():
    """Who is forgotten is found as an exited parent still; strangers do not matter."""
    cache, shell = cache_with_shell()
    cache.forget({50, 9_999})

    assert shell.exited
    assert cache.find_tgid(50) is None
    assert cache.find(SHELL) is shell


def test_forgotten_forks_are_exited():
    """The same of one that nobody has asked for yet."""
    cache, shell = cache_with_shell()
    cache.fork(fork_event(FORKED, SHELL))
    cache.forget({60})
    forked = cache.find(FORKED)

    assert forked is not None
    assert forked.exited
    assert forked.parent is shell
    assert cache.find_tgid(60) is None
    assert len(cache) == 2


TGIDS = st.integers(1, 5)
STARTS = st.integers(1, 5)
KEYS = st.builds(ProcessKey, STARTS, TGIDS)


STEPS = st.lists(st.tuples(st.sampled_from(["fork", "exec", "exit"]), KEYS, KEYS))


@given(STEPS, st.booleans())
def test_any_order_of_events_is_survived(steps, asked):
    """Losses and reuse in any combination: the cache knows one process per pid."""
    cache = ProcessCache("node")
    live: dict[int, ProcessKey] = {}
    seen: dict[ProcessKey, Process] = {}
    for what, key, parent in steps:
        process: Process | None = None
        if what == "exit":
            process = cache.exit(exit_event(key))
            live.pop(key.tgid, None)
        elif what == "fork":
            cache.fork(fork_event(key, parent))
            process = cache.find(key) if asked else None
            live[key.tgid] = key
        else:
            process = cache.exec(exec_event(process=key, parent=parent))
            live[key.tgid] = key

        assert len(cache) == len(live)
        assert cache.absent(set()) == live.keys()
        if process is None:
            assert what == "fork"
            assert not asked
            continue
        seen[key] = process
        assert process.key == key
        assert cache.exec_id(key) == process.exec_id
        assert len(ancestors(process)) <= 2 * len(steps) + 1
    found = {tgid: cache.find_tgid(tgid) for tgid in live}

    assert live == {tgid: process.key for tgid, process in found.items() if process}
    assert len(cache) == len(live)
    for process in found.values():
        assert process is not None
        assert not process.exited
        assert process is cache.find(process.key)


@given(STEPS)
def test_asking_changes_nothing(steps):
    """Whether forks are asked for at once or late, all processes are the same."""
    early, late = ProcessCache("node"), ProcessCache("node")
    for what, key, parent in steps:
        for cache in (early, late):
            if what == "exit":
                cache.exit(exit_event(key))
            elif what == "fork":
                cache.fork(fork_event(key, parent, nspid=parent.tgid % 2))
            else:
                cache.exec(exec_event(process=key, parent=parent))
        early.find(key)

    assert len(early) == len(late)
    for _, *keys in steps:
        for key in keys:
            processes = early.find(key), late.find(key)
            summaries = [process and summary(process) for process in processes]

            assert summaries[0] == summaries[1]


def summary(process: Process) -> tuple[object, ...]:
    """What later stages see of a process."""
    own = (
        process.key,
        process.parent_exec_id,
        process.exec.process,
        process.namespaces,
    )
    marks = (process.in_init_tree, process.forked, process.known, process.exited)
    return (*own, *marks, [ancestor.key for ancestor in ancestors(process)])
