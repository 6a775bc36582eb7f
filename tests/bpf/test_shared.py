# SPDX-License-Identifier: Apache-2.0
"""The maps that all objects share: made once with the sizes of the settings."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.kernel_objects import exists
from tetragon_py.abi import _generated as c
from tetragon_py.errors import KernelError
from tetragon_py.libbpf.maps import possible_cpus
from tetragon_py.loader import shared
from tetragon_py.loader.shared import LANE_MAPS, SensorLimits, SharedMaps

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMITS = SensorLimits(
    ring_bytes=(1 << 20, 4096, 1 << 16),
    process_entries=2048,
    arguments_bytes=c.ARGUMENTS_MAX_BYTES,
    environment_bytes=0,
)
OBJECTS = ["process", "iter", "syscall", "function", "tracepoint", "lsm"]


@pytest.fixture
def maps() -> Iterator[SharedMaps]:
    with SharedMaps(LIMITS) as found:
        yield found


def test_sizes_are_those_of_the_settings(maps):
    """Rings and process table have the sizes that were asked for."""
    rings = [maps.maps[name].max_entries for name in LANE_MAPS]

    assert rings == list(LIMITS.ring_bytes)
    assert maps.maps["processes"].max_entries == LIMITS.process_entries


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_share_them(maps, name):
    """A loaded object has brought no second map of any of them."""
    before = map_ids()
    with contextlib.ExitStack() as undo:
        opened = maps.open(name, undo)
        opened.load()
        own = map_ids() - before
        common = opened.maps.keys() & maps.maps.keys()

        assert common
        # maps without a descriptor of ours are those of constants
        assert len(own) <= len(opened.maps.keys() - common)
    assert map_ids() == before


def test_work_space_is_not_shared(maps):
    """Two objects build their records side by side: a place for each CPU, for each."""
    with contextlib.ExitStack() as undo:
        objects = [maps.open("syscall", undo) for _ in range(2)]
        for opened in objects:
            opened.load()
        hits = [opened.maps["hits"] for opened in objects]

        assert hits[0].max_entries == hits[1].max_entries == possible_cpus()
        assert hits[0].fd != hits[1].fd
        key = bytes(4)
        value = b"\1" * hits[0].value_size
        hits[0].update(key, value)
        assert hits[1].lookup(key) == bytes(hits[1].value_size)


def test_kernels_without_long_keys(monkeypatch):
    """Where the keys of hashes end at 512 bytes, nothing asks for longer ones."""
    monkeypatch.setattr(shared, "can_create", lambda *_: False)
    with SharedMaps(LIMITS) as maps, contextlib.ExitStack() as undo:
        opened = maps.open("syscall", undo)
        opened.load()

        assert not maps.has_long_texts


def test_nothing_stays(maps):
    """close() gives all maps back; twice does nothing."""
    held = map_ids()
    assert held
    maps.close()
    maps.close()

    assert map_ids() == set()
    assert not any(exists("map_id", number) for number in held)


def test_nothing_stays_of_a_failure():
    """A size that the kernel refuses leaves nothing behind."""
    wrong = dataclasses.replace(LIMITS, process_entries=0)
    with pytest.raises(KernelError, match="processes"):
        SharedMaps(wrong)

    assert map_ids() == set()


def held() -> set[tuple[str, int]]:
    """(kind, id) of the programs, links and maps that this process has open."""
    found = set()
    for path in Path("/proc/self/fdinfo").iterdir():
        with contextlib.suppress(FileNotFoundError):  # of the listing itself
            for line in path.read_text().splitlines():
                key, _, value = line.partition(":")
                if key in {"prog_id", "map_id", "link_id"}:
                    found.add((key, int(value)))
    return found


def map_ids() -> set[int]:
    return {number for kind, number in held() if kind == "map_id"}
