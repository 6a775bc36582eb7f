# SPDX-License-Identifier: Apache-2.0
"""Life without the agent: what is pinned, what is written down, and who takes it over.

An agent with `keep-sensors-on-exit` pins a world (loader.pins) and writes what belongs
to it (saved_state, journal). The next start finds one of these:

    the same version and limits   goes on with it: nothing is loaded, attached or
                                  detached; what waited in the rings is read
    another version               loads a world of its own beside it, and removes the
                                  old one when its own policies are in force
    nothing usable                the same, without reading what is in its rings

So a call that is denied is denied all the time. Without the setting an agent does the
second with what it finds, and pins nothing.
"""

from __future__ import annotations

import contextlib
import secrets
from collections import Counter
from typing import TYPE_CHECKING, Any, Self

import structlog

from tetragon_py import __version__
from tetragon_py.daemon.drain import Drain
from tetragon_py.daemon.journal import Journal, read_journal
from tetragon_py.daemon.leftover import Leftover
from tetragon_py.daemon.replay import Replay
from tetragon_py.daemon.saved_state import Header, SavedState
from tetragon_py.errors import TetragonError
from tetragon_py.events.process import ProcessKey
from tetragon_py.export.written_lines import count_written
from tetragon_py.libbpf import RingBuffer
from tetragon_py.loader.lifecycle import LifecycleSensor
from tetragon_py.loader.object_files import abi_digest, objects_digest
from tetragon_py.loader.pins import PinRoot
from tetragon_py.loader.saved_generation import is_complete

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tetragon_py.daemon.loss_watch import LossWatch
    from tetragon_py.daemon.policies import PolicySet
    from tetragon_py.daemon.repeat_watch import RepeatWatch
    from tetragon_py.enrich.process_cache import ProcessCache
    from tetragon_py.events.hook import HookNames
    from tetragon_py.export.written_lines import Origin
    from tetragon_py.loader.pins import Pins
    from tetragon_py.loader.saved_generation import SavedGeneration
    from tetragon_py.loader.shared import SensorLimits
    from tetragon_py.pipeline import Pipeline
    from tetragon_py.settings import Settings

__all__ = ["Keeper"]

log = structlog.get_logger("keeper")
_RUN_BYTES = 6


class Keeper:
    """The agent's side of pins, found and own. A context manager; for one thread.

    Args:
        settings: Whether and where.
        limits: Of the sensor that will be loaded.
        names: Texts of events: written down with the policies.
        cache: The processes, which go into the journal.

    Raises:
        TetragonError: another agent uses the pins, or nothing can be pinned.
    """

    def __init__(
        self,
        settings: Settings,
        limits: SensorLimits,
        names: HookNames,
        cache: ProcessCache,
    ) -> None:
        self._settings = settings
        self._folder = settings.runtime_dir / settings.bpf_dir
        self._names = names
        self._cache = cache
        self._limits = limits
        #: Where the sensor pins; None: nowhere.
        self.pins: Pins | None = None
        #: Whether the sensor takes what is there.
        self.adopts = False
        self.journal: Journal | None = None
        #: Names the numbers of the records, as long as they go on.
        self.run = secrets.token_hex(_RUN_BYTES)
        self._state: SavedState | None = None
        self._saved: dict[str, Any] = {"generations": [], "names": None}
        self._told: dict[str, Any] = {}
        self._leftovers: list[Leftover] = []
        self._undo = contextlib.ExitStack()
        self._header = Header(
            __version__,
            objects_digest(),
            abi_digest(),
            [
                *limits.ring_bytes,
                limits.process_entries,
                limits.arguments_bytes,
                limits.environment_bytes,
            ],
        )
        with contextlib.ExitStack() as undo:
            self._open(undo)
            self._undo = undo.pop_all()

    # ---- in the order of a start ----

    def _open(self, undo: contextlib.ExitStack) -> None:
        name, keeps = self._settings.bpf_dir, self._settings.keep_sensors_on_exit
        root = PinRoot(name, mount=keeps)
        if not keeps and not root.exists:
            return
        undo.callback(root.close)
        holder = root.lock()
        if holder is not None:
            if keeps:
                raise TetragonError(
                    f"an agent (pid {holder}) is at work in {root.folder}: stop it, "
                    "or take another --bpf-dir"
                )
            log.info("another agent keeps its sensors", pid=holder)
            return
        worlds, folder = root.worlds(), self._folder
        SavedState.remove_others(folder, (pins.number for pins in worlds))
        if keeps and worlds and self._can_adopt(worlds[-1]):
            self.pins, self.adopts = worlds.pop(), True
        elif keeps:
            self.pins = root.new_world()
        if self.pins is not None:
            self._state = SavedState(folder, self.pins.number)
            self._state.make_folder()
            self.journal = Journal(self._state.journal_path, self._cache)
            undo.callback(self.journal.close)
        self._leftovers = [
            Leftover(pins, SavedState(folder, pins.number), self._header)
            for pins in worlds
        ]
        for leftover in self._leftovers:
            undo.callback(leftover.close)

    def _can_adopt(self, pins: Pins) -> bool:
        state = SavedState(self._folder, pins.number)
        if state.read_header() != self._header:
            return False
        saved = state.read()
        try:
            can = (
                pins.maps() == saved["maps"]
                and _is_in_force(saved["generations"], pins)
                and LifecycleSensor.is_complete(pins)
                and is_complete(saved["generations"], pins)
            )
            if can:
                with pins.open_map("lifecycle") as found, RingBuffer(found) as ring:
                    committed = ring.committed
                can = read_journal(state.journal_path, self._cache, committed)
        except (TypeError, KeyError, AttributeError, TetragonError) as error:
            log.warning("what is pinned cannot be used", error=repr(error))
            return False
        if can:
            self._saved, self.run = saved, saved["run"]
        return can

    def restore(
        self, policies: PolicySet, losses: LossWatch, repeats: RepeatWatch
    ) -> None:
        """Go on with the policies in force and with what was told, if it adopts."""
        if not self.adopts or self._state is None:
            return
        self._names.restore(self._saved["names"])
        policies.restore(self._saved["generations"])
        told = self._state.read_told()
        if told is not None:
            losses.go_on(told["losses"])
            repeats.go_on(told["repeats"])

    @contextlib.contextmanager
    def around_attach(self, sensor: LifecycleSensor) -> Iterator[None]:
        """Around the moment from which this agent's programs tell what happens."""
        if not self.adopts:
            for leftover in self._leftovers[-1:]:
                leftover.copy_processes(sensor, self._cache)
        yield
        for leftover in self._leftovers:
            leftover.attached(sensor)

    def catch_up(self, sensor: LifecycleSensor, pipeline: Pipeline) -> None:
        """Read what waited, if it adopts; before the scan, which then adds the rest."""
        if self.journal is None or self.pins is None or not self.adopts:
            return
        self.journal.begin(sensor.rings[0].committed)
        waited = sum(ring.used_bytes for ring in sensor.rings)
        replay = Replay(pipeline, self._written(pipeline))
        drain = Drain(sensor.rings, replay, bool, 1.0, self.journal)  # type: ignore[arg-type]  # what it uses of a pipeline
        drain.drain()
        drain.close()
        # The ring was full: the scan is to find who began then.
        for tgid, start_ns in sensor.living().items():
            if self._cache.find(ProcessKey(start_ns, tgid)) is None:
                sensor.forget(tgid)
        log.info(
            "goes on with what was pinned",
            world=self.pins.number,
            waited_bytes=waited,
            written_before=replay.skipped_count,
        )

    def begin(self, sensor: LifecycleSensor) -> None:
        """After the scan: from now on the next agent can go on from here."""
        if self.journal is None or self.pins is None:
            return
        self.journal.begin(sensor.rings[0].committed)
        if not self.adopts:
            self.save([])
        self.pins.is_kept = True

    def take_over(
        self, sensor: LifecycleSensor, pipeline: Pipeline, switched_ns: int
    ) -> None:
        """With the policies in force: end the worlds of other versions.

        Args:
            sensor: Of this agent.
            pipeline: Gets what the others have left.
            switched_ns: Since when the policies are in force; 0 if there are none.
        """
        for leftover in self._leftovers:
            leftover.take_over(sensor, pipeline, switched_ns)
        self._leftovers.clear()
        if self.pins is None:
            self._undo.close()
        if self.pins is not None and self.pins.unkept:
            log.warning(
                "this kernel cannot keep some hooks: they end with the agent",
                hooks=len(self.pins.unkept),
            )

    # ---- meanwhile ----

    def save(self, generations: list[SavedGeneration]) -> None:
        """Write down the policies in force: PolicyGenerations' `save`."""
        if self._state is None or self.pins is None:
            return
        self._saved = {
            "generations": generations,
            "names": self._names.save(),
            "maps": self.pins.maps(),
            "run": self.run,
        }
        try:
            self._state.write(self._header, self._saved)
        except OSError as error:  # the next agent takes over instead
            log.error("state is not written", error=str(error))  # noqa: TRY400 - a line for people

    def save_told(self, losses: LossWatch, repeats: RepeatWatch) -> None:
        """Write down what was told, if there is anything new."""
        if self._state is None:
            return
        told = {"losses": losses.told(), "repeats": repeats.told()}
        if told != self._told:
            self._told = told
            self._state.write_told(told)

    def close(self) -> None:
        """Unlock; what is kept stays, all else is removed. Twice does nothing."""
        if self._state is not None and not (self.pins and self.pins.is_kept):
            self._state.remove()
        self._undo.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _written(self, pipeline: Pipeline) -> list[Counter[Origin]]:
        """By output: lines of the last records that are in the export file."""
        path = self._settings.export_file
        return [
            count_written(path, self.run)
            if path is not None and output.sink.name == str(path)
            else Counter()  # nobody knows what a pipe has taken
            for output in pipeline.outputs
        ]


def _is_in_force(saved: list[SavedGeneration], pins: Pins) -> bool:
    """Whether it is one of these that programs read."""
    with pins.open_map("active") as active:
        generation = int.from_bytes(active.lookup(bytes(4)) or b"", "little")
    return generation in [one.generation for one in saved] or not (generation or saved)
