# SPDX-License-Identifier: Apache-2.0
"""A cache with some processes, for the tests of it."""

from __future__ import annotations

from typing import Any

from tests.unit.records import exec_event, fork_event
from tetragon_py.enrich.process_cache import ProcessCache
from tetragon_py.events.process import Process, ProcessKey

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


def forked_in(
    cache: ProcessCache, key: ProcessKey, parent: ProcessKey, **changes: Any
) -> Process:
    """Enter a fork and ask for its process."""
    cache.fork(fork_event(key, parent, **changes))
    process = cache.find(key)
    assert process is not None
    return process


def ancestors(process: Process) -> list[Process]:
    """All that `parent` leads to."""
    found = []
    parent = process.parent
    while parent is not None:
        found.append(parent)
        parent = parent.parent
    return found
