# SPDX-License-Identifier: Apache-2.0
"""The maps that all BPF objects share: created once, then reused by descriptor."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from tetragon_py.abi import _generated as c
from tetragon_py.errors import KernelError
from tetragon_py.libbpf import BpfObject
from tetragon_py.libbpf.maps import can_create, possible_cpus
from tetragon_py.loader.interrupts import interrupt_constants
from tetragon_py.loader.object_files import read_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tetragon_py.libbpf import Map
    from tetragon_py.loader.pins import Pins

__all__ = ["LANE_MAPS", "SensorLimits", "SharedMaps"]

#: The ring buffer of each lane, in the order of the lanes.
LANE_MAPS = ("lifecycle", "verdicts", "policy_events")
#: Where each CPU builds a record; private to each object.
_SCRATCH_MAPS = ("exec_scratch", "hits")
#: In the shared header, but work space: two programs may run at once on a CPU.
_PRIVATE_MAPS = ("path_walks",)
_HASH = 1  # BPF_MAP_TYPE_HASH


@dataclass(frozen=True, slots=True)
class SensorLimits:
    """Sizes, in bytes unless named otherwise; rings are powers of two of the page."""

    ring_bytes: tuple[int, int, int]
    process_entries: int
    arguments_bytes: int
    environment_bytes: int  # 0: the environment is not read


class SharedMaps:
    """The maps of tables.bpf.o, and the way to open an object that uses them.

    A context manager; objects that were opened are closed with it.

    Args:
        limits: Sizes.
        pins: Where maps and links are pinned; a map that is there already is used.

    Raises:
        KernelError: a map cannot be created; nothing stays then.
    """

    def __init__(self, limits: SensorLimits, pins: Pins | None = None) -> None:
        self.pins = pins
        self._undo = contextlib.ExitStack()
        with contextlib.ExitStack() as undo:
            tables = undo.enter_context(BpfObject(read_object("tables"), "tables"))
            for name, size in zip(LANE_MAPS, limits.ring_bytes, strict=True):
                tables.maps[name].set_max_entries(size)
            tables.maps["processes"].set_max_entries(limits.process_entries)
            self.has_long_texts = can_create(_HASH, c.LONG_TEXT_KEY_SIZE, 4)
            if not self.has_long_texts:
                tables.maps["long_texts"].skip()
            for name in _PRIVATE_MAPS:
                tables.maps.pop(name).skip()
            if pins is not None:
                for name, found in tables.maps.items():
                    if name != "long_texts" or self.has_long_texts:
                        found.set_pin(pins.map_path(name))
            tables.load()
            self.maps: Mapping[str, Map] = tables.maps
            self._undo = undo.pop_all()

    def named(self, owner: str) -> contextlib.AbstractContextManager[None]:
        """Whose the links are that are made meanwhile: see loader.pins."""
        return self.pins.named(owner) if self.pins else contextlib.nullcontext()

    def open(self, name: str, undo: contextlib.ExitStack) -> BpfObject:
        """An object that uses these maps, not loaded yet; `undo` closes it."""
        opened = undo.enter_context(BpfObject(read_object(name), name))
        for map_name, found in opened.maps.items():
            if map_name in _SCRATCH_MAPS:
                found.set_max_entries(possible_cpus())
            elif map_name == "long_texts" and not self.has_long_texts:
                found.skip()
            elif map_name in self.maps:
                found.reuse(self.maps[map_name])
        constants = dict(interrupt_constants()) if "hits" in opened.maps else {}
        if not self.has_long_texts:
            constants["has_long_texts"] = 0
        for constant, value in constants.items():
            with contextlib.suppress(KernelError):  # it has no such constant
                opened.set_constant(constant, value)
        if self.pins is not None and name != "iter":  # it is never attached for long
            for program in opened.programs.values():
                program.on_attach = self.pins.keep
        return opened

    def close(self) -> None:
        """Give the maps back, and what is pinned unless it is kept.

        Twice does nothing.
        """
        self._undo.close()
        if self.pins is not None and not self.pins.is_kept:
            self.pins.remove()
        self.pins = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
