# SPDX-License-Identifier: Apache-2.0
"""The part of the kernel side that always runs: process events, and what all share.

Order of a start: load -> attach -> seed, so that no process falls between the scan and
the live stream. `close` undoes all of it.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Self

from tetragon_py.abi import _generated as c
from tetragon_py.libbpf import RingBuffer
from tetragon_py.libbpf.btf import has_preemptible_tracepoints, require_kernel_btf
from tetragon_py.loader.losses import LossCounters
from tetragon_py.loader.shared import LANE_MAPS, SensorLimits, SharedMaps

if TYPE_CHECKING:
    from tetragon_py.libbpf import BpfObject, Link, Program

__all__ = ["LANE_MAPS", "LifecycleSensor", "SensorLimits", "configure_process"]

_PROGRAMS = (
    (c.EVENT_FORK, "process_fork"),
    (c.EVENT_EXEC, "process_exec"),
    (c.EVENT_EXIT, "process_exit"),
)
#: Paths, terminal and cgroup of an exec record: EXEC_PATHS_MAX of process.bpf.c.
_PATHS_BYTES = 3 * c.PATH_MAX_BYTES + 256 + c.TTY_MAX_BYTES + c.CGROUP_MAX_BYTES + 16


class LifecycleSensor:
    """process.bpf.o and iter.bpf.o in the kernel. A context manager; for one thread.

    Where tracepoints can be preempted process.bpf.o is there twice (see its head).

    Raises:
        VerifierError, UnsupportedError, KernelError: nothing stays loaded then.
    """

    def __init__(self, limits: SensorLimits) -> None:
        require_kernel_btf()
        self._undo = contextlib.ExitStack()
        with contextlib.ExitStack() as undo:
            self.shared = undo.enter_context(SharedMaps(limits))
            maps = self.shared.maps
            self._process = self.shared.open("process", undo)
            configure_process(self._process, limits)
            self._process.load()
            self._stand_in = None
            if has_preemptible_tracepoints():
                self._stand_in = self.shared.open("process", undo)
                configure_process(self._stand_in, limits)
                self._stand_in.set_constant("is_stand_in", 1)
                self._stand_in.load()
            self._iterator = self.shared.open("iter", undo)
            self._iterator.load()
            self.rings = tuple(
                undo.enter_context(RingBuffer(maps[name])) for name in LANE_MAPS
            )
            self._undo = undo.pop_all()
        self.losses = LossCounters(
            maps["losses"],
            maps["loss_sources"],
            maps["stand_ins"],
            [(kind, self._copies(name)) for kind, name in _PROGRAMS],
        )
        self._links: list[Link] = []

    @property
    def programs(self) -> list[Program]:
        """The programs on tracepoints, stand-ins included."""
        return [program for _, name in _PROGRAMS for program in self._copies(name)]

    def attach(self) -> None:
        """Start the live stream.

        exit, exec, fork: who gets into the process table is seen to its end.
        """
        for _, name in reversed(_PROGRAMS):
            # the kernel runs them in this order: the stand-in has to come last
            self._links += [program.attach() for program in self._copies(name)]

    def seed(self) -> bytes:
        """Enter the processes that live already; their task_image records."""
        with self._iterator.programs["seed_processes"].attach() as link:
            return link.read_iterator()

    def living(self) -> dict[int, int]:
        """The kernel's process table: tgid -> start of its image (boottime ns)."""
        return {
            int.from_bytes(key, "little"): int.from_bytes(value[:8], "little")
            for key, value in self.shared.maps["processes"].items()
        }

    def classify_processes(self) -> None:
        """Fill the classes of all that live, for the generation that comes next."""
        programs = self._iterator.programs
        with programs["clear_classes"].attach() as link:
            link.read_iterator()
        with programs["fill_classes"].attach() as link:
            while link.read_iterator():  # somebody changed
                pass

    def detach(self) -> None:
        """Stop the live stream; what is in the rings can still be read."""
        while self._links:
            self._links.pop().close()

    def close(self) -> None:
        """Leave nothing in the kernel; twice does nothing."""
        self.detach()
        self._undo.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _copies(self, name: str) -> list[Program]:
        objects = [self._process, *([self._stand_in] if self._stand_in else [])]
        return [found.programs[name] for found in objects]


def configure_process(process: BpfObject, limits: SensorLimits) -> None:
    """Give process.bpf.o its sizes, before it is loaded."""
    process.set_constant("arguments_max", limits.arguments_bytes)
    process.set_constant("environment_max", limits.environment_bytes)
    process.maps["exec_scratch"].set_value_size(
        c.EVENT_EXEC_SIZE
        + _PATHS_BYTES
        + limits.arguments_bytes
        + limits.environment_bytes
    )
