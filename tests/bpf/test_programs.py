# SPDX-License-Identifier: Apache-2.0
"""Programs and links."""

from __future__ import annotations

import contextlib

import pytest

from tetragon_py.errors import KernelError
from tetragon_py.libbpf._libbpf import lib
from tetragon_py.loader.shared import SensorLimits, SharedMaps

LIMITS = SensorLimits((4096, 4096, 4096), 65536, 8192, 0)


def test_autoload_chooses_what_is_loaded(objects):
    """A program behind "?" stays out unless it is asked for."""
    with objects("maps") as bpf_object:
        programs = bpf_object.programs

        assert programs["count"].autoload
        assert not programs["refused"].autoload
        assert programs["count"].section == "raw_tp"
        bpf_object.load()
        assert programs["count"].fd >= 0
        assert programs["refused"].fd < 0
        with pytest.raises(KernelError, match="set autoload of count"):
            programs["count"].autoload = False


def test_info_of_a_program_that_is_not_loaded(objects):
    """There is nothing to tell, and that is an error with the program's name."""
    with objects("maps") as bpf_object:
        bpf_object.load()
        with pytest.raises(KernelError, match="read info of program refused"):
            bpf_object.programs["refused"].info()


def test_runs_are_counted(objects, run):
    """A program's own counter sees each run."""
    with objects("maps") as bpf_object:
        bpf_object.load()
        for _ in range(7):
            run(bpf_object.programs["count"])
        values = bpf_object.maps["counters"].percpu_values(bytes(4))

        assert sum(int.from_bytes(value, "little") for value in values) == 7


def test_attach_without_a_hook_is_an_error(objects):
    """A section that names no hook cannot be attached."""
    with objects("maps") as bpf_object:
        bpf_object.load()
        with pytest.raises(KernelError, match="attach count to raw_tp"):
            bpf_object.programs["count"].attach()


def test_iterator_is_read_to_its_end():
    """An iterator gives all that its program wrote; the link is closed twice."""
    with SharedMaps(LIMITS) as shared, contextlib.ExitStack() as undo:
        bpf_object = shared.open("iter", undo)
        bpf_object.load()
        with bpf_object.programs["seed_processes"].attach() as link:
            first = link.read_iterator()
            second = link.read_iterator()
        link.close()

        assert len(first) > 192
        assert len(first) % 192 == 0
        assert len(second) < len(first)  # each process is told once


def test_iterator_that_cannot_be_made(objects):
    """A link of another kind is no iterator."""
    with SharedMaps(LIMITS) as shared, contextlib.ExitStack() as undo:
        bpf_object = shared.open("process", undo)
        bpf_object.load()
        with (
            bpf_object.programs["process_exit"].attach() as link,
            pytest.raises(KernelError, match="bpf_iter_create"),
        ):
            link.read_iterator()

    assert lib.libbpf_major_version() >= 1
