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
    from collections.abc import Mapping

    from tetragon_py.libbpf import BpfObject, Link, PinnedProgram, Program
    from tetragon_py.loader.pins import Pins

__all__ = ["LANE_MAPS", "LifecycleSensor", "SensorLimits", "configure_process"]

_PROCESS, _STAND_IN = _OWNERS = ("process", "stand-in")
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

    Args:
        limits: Sizes.
        pins: Where all is pinned, if it is to outlive this process.
        adopts: Take what an earlier agent has pinned there, of the same objects and
            limits, and attached (`is_complete`): then nothing is loaded or attached.

    Raises:
        VerifierError, UnsupportedError, KernelError: nothing stays loaded then.
    """

    def __init__(
        self, limits: SensorLimits, pins: Pins | None = None, *, adopts: bool = False
    ) -> None:
        require_kernel_btf()
        self._undo = contextlib.ExitStack()
        self._links: list[Link] = []
        if pins is not None:
            pins.is_kept = adopts  # a start that fails must not take it away
        with contextlib.ExitStack() as undo:
            self.shared = undo.enter_context(SharedMaps(limits, pins))
            maps = self.shared.maps
            self._loaded: Mapping[str, Mapping[str, Program]] = {}
            self._copies: Mapping[str, Mapping[str, Program | PinnedProgram]]
            if pins is not None and adopts:
                self._copies = self._adopt(pins, undo)
            else:
                self._copies = self._loaded = self._load(limits, undo)
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
            [
                (kind, [copy[name] for copy in self._copies.values()])
                for kind, name in _PROGRAMS
            ],
        )

    def _load(
        self, limits: SensorLimits, undo: contextlib.ExitStack
    ) -> dict[str, dict[str, Program]]:
        copies = {}
        # the kernel runs them in this order: the stand-in has to come last
        owners = _OWNERS if has_preemptible_tracepoints() else _OWNERS[:1]
        for owner in owners:
            opened = self.shared.open("process", undo)
            configure_process(opened, limits)
            if owner == _STAND_IN:
                opened.set_constant("is_stand_in", 1)
            opened.load()
            copies[owner] = opened.programs
        return copies

    def _adopt(
        self, pins: Pins, undo: contextlib.ExitStack
    ) -> dict[str, Mapping[str, Program | PinnedProgram]]:
        """Those that an earlier agent has attached."""
        copies: dict[str, Mapping[str, Program | PinnedProgram]] = {}
        for owner in _OWNERS:
            if pins.attached(owner):
                self._links += pins.links(owner)
                copies[owner] = pins.programs(owner, undo)
        return copies

    @property
    def programs(self) -> list[Program | PinnedProgram]:
        """The programs on tracepoints, stand-ins included."""
        return [copy[name] for _, name in _PROGRAMS for copy in self._copies.values()]

    def attach(self) -> None:
        """Start the live stream.

        exit, exec, fork: who gets into the process table is seen to its end.
        """
        if self._links:  # adopted
            return
        for _, name in reversed(_PROGRAMS):
            for owner, programs in self._loaded.items():
                with self.shared.named(owner):
                    self._links.append(programs[name].attach())

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

    def forget(self, tgid: int) -> None:
        """Take a process out of the kernel's table, for `seed` to enter it again."""
        self.shared.maps["processes"].delete(tgid.to_bytes(4, "little"))

    def classify_processes(self) -> None:
        """Fill the classes of all that live, for the generation that comes next."""
        programs = self._iterator.programs
        with programs["clear_classes"].attach() as link:
            link.read_iterator()
        with programs["fill_classes"].attach() as link:
            while link.read_iterator():  # somebody changed
                pass

    def detach(self) -> None:
        """Stop the live stream, unless it is kept.

        What is in the rings can still be read.
        """
        pins = self.shared.pins
        while pins is not None and pins.is_kept and self._links:
            self._links.pop().leave()
        while self._links:
            self._links.pop().close()

    @staticmethod
    def is_complete(pins: Pins) -> bool:
        """Whether all is pinned that `adopts` needs."""
        names = {name for _, name in _PROGRAMS}
        owners = _OWNERS if has_preemptible_tracepoints() else _OWNERS[:1]
        return all(pins.attached(owner) == names for owner in owners)

    def close(self) -> None:
        """Leave nothing in the kernel but what is kept; twice does nothing."""
        self.detach()
        self._undo.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


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
