# SPDX-License-Identifier: Apache-2.0
"""The composition root: settings in, an agent until a signal, exit status out."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
import signal
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

import structlog

from tetragon_py import __version__
from tetragon_py.daemon.clock import WallClock
from tetragon_py.daemon.control import Control
from tetragon_py.daemon.drain import Drain, DrainThread
from tetragon_py.daemon.health import Health, Parts
from tetragon_py.daemon.keeper import Keeper
from tetragon_py.daemon.logs import configure_logging, set_log_level
from tetragon_py.daemon.loss_watch import LossWatch
from tetragon_py.daemon.notify import (
    Notifier,
    Watchdog,
    status_text,
    watchdog_seconds,
)
from tetragon_py.daemon.outputs import open_outputs
from tetragon_py.daemon.policies import PolicySet
from tetragon_py.daemon.policy_watch import PolicyWatch
from tetragon_py.daemon.reload import Reloads
from tetragon_py.daemon.repeat_watch import RepeatWatch
from tetragon_py.daemon.scan import scan_processes
from tetragon_py.daemon.status_file import StatusFile
from tetragon_py.encode.timestamp import Timestamps
from tetragon_py.enrich.process_cache import ProcessCache
from tetragon_py.errors import SettingsError
from tetragon_py.events.hook import HookNames
from tetragon_py.loader.lifecycle import LifecycleSensor, SensorLimits
from tetragon_py.loader.losses import TYPE_NAMES
from tetragon_py.loader.repeats import RepeatTable
from tetragon_py.pipeline import Output, Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from tetragon_py.events.agent import PolicyChangeEvent
    from tetragon_py.events.process import ExecEvent
    from tetragon_py.settings import Settings

__all__ = ["run_agent"]

log = structlog.get_logger("agent")
#: Seconds that a slow reader gets at the end for what it has not taken yet.
_FLUSH_SECONDS = 2.0
#: A turn of the thread that reads events takes milliseconds, but for a disk that hangs.
_STOP_SECONDS = 10.0
#: How long a thread may keep the interpreter while another one waits for it. A turn of
#: reading events gives it up some ten times: a reload must not make each a wait.
_SWITCH_SECONDS = 0.0005
#: Between two looks at what the service manager shows.
_STATUS_SECONDS = 5.0
#: Events are freed by their reference counts; the cycle collector has little to do.
_GC_THRESHOLDS = (100_000, 50, 100)


def run_agent(
    settings: Settings, *, stdout_events: bool, reread: Callable[[], Settings]
) -> int:
    """Run until SIGINT or SIGTERM, or until nobody reads the events; exit status 0.

    Two threads: this one is the control side, the other reads and writes events.

    Args:
        settings: The configuration.
        stdout_events: Write events to standard output too.
        reread: Reads the configuration again, for what can change while it runs.

    Raises:
        SettingsError: there is no procfs where it should be.
        PolicyError: the policies cannot be had.
        SinkError: an output cannot be opened.
        KernelError: the kernel side cannot be loaded; nothing stays in the kernel.
        DrainError: events could not be read any more.
    """
    configure_logging(settings)
    if not (settings.procfs / "1" / "stat").exists():
        raise SettingsError(f"no procfs is mounted at {settings.procfs}", key="procfs")
    with contextlib.ExitStack() as stack:
        agent = _Agent(settings, stack, reread, stdout_events=stdout_events)
        agent.start(stack)
        agent.control.run()
        agent.end()
        lost = agent.losses.total + _close_outputs(agent.pipeline.outputs)
    log.info("agent ends", lost=lost, **_event_totals(agent.pipeline))
    return 0


class _Agent:
    """All parts of the agent, put together; `stack` undoes what they have done."""

    def __init__(
        self,
        settings: Settings,
        stack: contextlib.ExitStack,
        reread: Callable[[], Settings],
        *,
        stdout_events: bool,
    ) -> None:
        self._settings = settings
        self._started = time.monotonic()
        self._manager = Notifier.from_environment()
        self._clock = WallClock()
        self._timestamps = Timestamps(self._clock.offset_ns)
        self.control = stack.enter_context(Control())
        names = HookNames()
        cache = ProcessCache(settings.effective_node_name)
        limits = _limits(settings)
        self._keeper = stack.enter_context(Keeper(settings, limits, names, cache))
        outputs = open_outputs(
            settings,
            self._timestamps,
            stack,
            stdout_events=stdout_events,
            run=self._keeper.run,
        )
        self.pipeline = Pipeline(cache, outputs, _FailureLog(), names)
        self._sensor = stack.enter_context(
            LifecycleSensor(limits, self._keeper.pins, adopts=self._keeper.adopts)
        )
        self._policies = PolicySet(
            settings, self._sensor, names, save=self._keeper.save
        )
        stack.callback(self._policies.close)
        self.losses = LossWatch(self._sensor, self.pipeline)
        repeats = RepeatTable(self._sensor.shared.maps["repeats"])
        self._repeats = RepeatWatch(repeats, self.pipeline)
        rings, interval = self._sensor.rings, settings.loss_interval
        journal = self._keeper.journal
        self._drain = Drain(rings, self.pipeline, self._tick, interval, journal)
        stack.callback(self._drain.close)
        self._reader = DrainThread(
            self._drain, lambda: self.control.post(self.control.stop)
        )
        self._watchdog = Watchdog(
            self._manager, lambda: self._drain.last_turn, watchdog_seconds()
        )
        self._reloads = Reloads(
            *(self._policies, self.control, self._tell),
            lambda: self._begin_reload(reread),
        )
        parts = Parts(
            *(self._drain, rings, self.pipeline, self.losses),
            *(self._policies, self._reloads),
        )
        file = StatusFile(settings.runtime_dir)
        self._health = Health(parts, file, settings.heartbeat_interval)

    def start(self, stack: contextlib.ExitStack) -> None:
        """Observe from here on."""
        # where threads stood when the watchdog's patience, or something else, ends
        faulthandler.enable()
        self._manager.status("Loading")
        self._policies.read()
        stack.enter_context(
            self.control.signals(
                {
                    signal.SIGINT: self.control.stop,
                    signal.SIGTERM: self.control.stop,
                    signal.SIGHUP: partial(self._reloads.request, "sighup"),
                }
            )
        )
        keeper = self._keeper
        keeper.restore(self._policies, self.losses, self._repeats)
        with keeper.around_attach(self._sensor):
            self._sensor.attach()
        keeper.catch_up(self._sensor, self.pipeline)
        count = self.pipeline.seed(_scan(self._settings, self._sensor))
        keeper.begin(self._sensor)
        self._reloads.first()
        generations = self._policies.generations
        switched_ns = generations.switched_ns if generations else 0
        keeper.take_over(self._sensor, self.pipeline, switched_ns)
        _share_processor()
        stack.push(lambda kind, *_: self._health.write("failed" if kind else "ended"))
        stack.callback(self._stop)
        self._reader.start()
        if self._settings.heartbeat_interval:
            self.control.every(self._settings.heartbeat_interval, self._health.beat)
        self._watch(stack)
        self._health.write()
        log.info(
            "agent runs",
            version=__version__,
            processes=count,
            policies=self._policies.change.policies,
            start_seconds=round(time.monotonic() - self._started, 3),
        )
        self._manager.ready(self._status())
        self.control.every(
            _STATUS_SECONDS, lambda: self._manager.status(self._status())
        )
        stack.enter_context(self._watchdog)

    def _watch(self, stack: contextlib.ExitStack) -> None:
        if self._settings.watch_policies:
            paths = (self._settings.tracing_policy_dir, *self._settings.tracing_policy)
            reload = partial(self._reloads.request, "watch")
            watch = PolicyWatch(paths, self.control, reload)
            stack.callback(watch.close)

    def end(self) -> None:
        """Take all out of the kernel; tell what it has still handed over."""
        self._manager.stopping()
        self._watchdog.close()
        self._stop()
        self._policies.close()
        self._sensor.detach()
        self._drain.drain()
        self._drain.run_posted()
        self._repeats.check(is_last=True)
        self.losses.check()
        self._keeper.save_told(self.losses, self._repeats)
        _flush(self.pipeline.outputs)

    def _stop(self) -> None:
        """End the other threads, or the process, if the one of the events is stuck.

        What that uses cannot be taken away from it.
        """
        self._reloads.wait()
        if not self._reader.stop(_STOP_SECONDS):
            log.critical("agent ends at once: an output does not return from a write")
            os._exit(1)

    def _tick(self) -> None:
        self._timestamps.wall_offset_ns = self._clock.refresh()
        self._repeats.check()
        self.losses.check()
        self._keeper.save_told(self.losses, self._repeats)

    def _tell(self, event: PolicyChangeEvent) -> None:
        self._drain.post(lambda: self.pipeline.tell_policy_change(event))
        self._health.write()
        if event.trigger != "start":
            self._manager.ready(self._status())

    def _begin_reload(self, reread: Callable[[], Settings]) -> None:
        self._manager.reloading()
        _reread_level(reread)

    def _status(self) -> str:
        return status_text(self._reloads.last, self.losses.total)


def _reread_level(reread: Callable[[], Settings]) -> None:
    try:
        set_log_level(reread().log_level)
    except SettingsError as error:
        log.error("settings stay as they are", errors=str(error))  # noqa: TRY400 - a line for people


def _limits(settings: Settings) -> SensorLimits:
    environment = settings.enable_process_environment_variables
    return SensorLimits(
        ring_bytes=(
            settings.lifecycle_ring_size,
            settings.verdict_ring_size,
            settings.policy_ring_size,
        ),
        process_entries=settings.process_table_entries,
        arguments_bytes=settings.arguments_max_size,
        environment_bytes=settings.environment_max_size if environment else 0,
    )


def _scan(settings: Settings, sensor: LifecycleSensor) -> list[ExecEvent]:
    limits = _limits(settings)
    return scan_processes(
        sensor.seed(),
        sensor.living,
        str(settings.procfs),
        limits.arguments_bytes,
        limits.environment_bytes,
    )


def _flush(outputs: list[Output]) -> None:
    deadline = time.monotonic() + _FLUSH_SECONDS
    while not all([o.sink.flush() for o in outputs]):  # noqa: C419 - each is tried
        if time.monotonic() > deadline or all(o.sink.is_broken for o in outputs):
            return
        time.sleep(0.01)


def _close_outputs(outputs: list[Output]) -> int:
    """Close all; how many lines could not be written any more."""
    for output in outputs:
        output.sink.close()
    unwritten = sum(output.sink.take_dropped() for output in outputs)
    if unwritten:
        log.warning("events lost", cause="sink", line=unwritten)
    return unwritten


def _share_processor() -> None:
    """Let no thread wait long for another."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


def _event_totals(pipeline: Pipeline) -> dict[str, int]:
    return {
        name: pipeline.event_counts[kind] for kind, name in sorted(TYPE_NAMES.items())
    }


class _FailureLog:
    """Logs records that failed: at most one a second, all are counted elsewhere."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, error: Exception) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + 1.0
            log.error("record failed", error=repr(error))
