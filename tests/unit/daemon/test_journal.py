# SPDX-License-Identifier: Apache-2.0
"""The processes in a file: what counts is what the ring was told to free."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.unit.enrich.caches import SHELL, cache_with_shell
from tests.unit.records import exec_record, exit_record, fork_record
from tetragon_py.daemon import journal as journal_module
from tetragon_py.daemon.journal import Journal, read_journal
from tetragon_py.enrich.process_cache import ProcessCache
from tetragon_py.events.process import ProcessKey

if TYPE_CHECKING:
    from pathlib import Path

FORKED, EXECED = ProcessKey(7_000, 70), ProcessKey(7_001, 70)
BATCHES = (
    (100, fork_record(FORKED, SHELL)),
    (200, exec_record({"filename": b"/bin/x"}, process=EXECED, parent=SHELL)),
    (300, exit_record(EXECED)),
)


def written(path: Path) -> Journal:
    cache, _ = cache_with_shell()
    journal = Journal(path, cache)
    journal.begin(50)
    for position, records in BATCHES:
        journal.append(position, memoryview(records))
    return journal


def read(path: Path, committed: int) -> ProcessCache:
    cache = ProcessCache("vm")
    assert read_journal(path, cache, committed)
    return cache


@pytest.mark.parametrize(
    ("committed", "known", "gone"),
    [(50, [], []), (100, [FORKED], []), (299, [EXECED], []), (300, [], [EXECED])],
)
def test_what_was_committed_counts(tmp_path, committed, known, gone):
    """The rest is in the ring, and comes again."""
    written(tmp_path / "journal").close()
    cache = read(tmp_path / "journal", committed)
    alive = [key for key in (FORKED, EXECED) if (p := cache.find(key)) and not p.exited]
    dead = [key for key in (EXECED,) if (p := cache.find(key)) and p.exited]

    assert (alive, dead) == (known, gone)
    assert cache.find(SHELL) is not None


@pytest.mark.parametrize("cut", [1, 15, 16, 40])
def test_a_cut_end(tmp_path, cut):
    """Who was killed while writing has not committed the last part."""
    path = tmp_path / "journal"
    written(path).close()
    path.write_bytes(path.read_bytes()[:-cut])

    process = read(path, 300).find(EXECED)

    assert process is not None
    assert not process.exited


@pytest.mark.parametrize("data", [b"", b"x" * 100, bytes(16)])
def test_unreadable(tmp_path, data):
    """It cannot be used, and nothing is known."""
    path = tmp_path / "journal"
    path.write_bytes(data)
    cache = ProcessCache("vm")

    assert not read_journal(path, cache, 300)
    assert not read_journal(tmp_path / "none", cache, 300)
    assert len(cache) == 0


def test_it_stays_short(tmp_path, monkeypatch):
    """After so many bytes a snapshot takes the place of the records."""
    monkeypatch.setattr(journal_module, "_RECORDS_BYTES", 100)
    path = tmp_path / "journal"
    journal = written(path)
    size = path.stat().st_size
    journal.shorten(300)

    assert path.stat().st_size < size
    assert read(path, 300).find(SHELL) is not None
    journal.append(400, fork_record(FORKED, SHELL))
    assert read(path, 400).find(FORKED) is not None
    journal.close()
    journal.close()


def test_a_full_disk(tmp_path, monkeypatch):
    """It ends, and the next agent does not go on from half of it."""
    path = tmp_path / "journal"
    journal = written(path)

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", refuse)
    journal.append(400, fork_record(FORKED, SHELL))
    journal.append(500, fork_record(FORKED, SHELL))
    journal.shorten(500)

    assert not path.exists()
