# SPDX-License-Identifier: Apache-2.0
"""The composition root: settings in, an agent until a signal, exit status out."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import structlog

from tetragon_py import __version__
from tetragon_py.daemon.clock import WallClock, boottime_ns
from tetragon_py.daemon.drain import Drain
from tetragon_py.daemon.logs import configure_logging
from tetragon_py.daemon.loss_watch import LossWatch
from tetragon_py.daemon.policies import PolicySet
from tetragon_py.daemon.repeat_watch import RepeatWatch
from tetragon_py.daemon.scan import scan_processes
from tetragon_py.encode.compact import CompactEncoder
from tetragon_py.encode.jsonl import JsonEncoder, JsonOptions
from tetragon_py.encode.timestamp import Timestamps
from tetragon_py.enrich.process_cache import ProcessCache
from tetragon_py.enrich.procfs import namespaces_of
from tetragon_py.enrich.users import UserNames
from tetragon_py.errors import SettingsError
from tetragon_py.events.hook import HookNames
from tetragon_py.events.process import Namespaces
from tetragon_py.export.file import open_file
from tetragon_py.export.stdout import open_stdout
from tetragon_py.loader.lifecycle import LifecycleSensor, SensorLimits
from tetragon_py.loader.losses import TYPE_NAMES
from tetragon_py.loader.repeats import RepeatTable
from tetragon_py.pipeline import Output, Pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tetragon_py.events.process import ExecEvent
    from tetragon_py.settings import Settings

__all__ = ["run_agent"]

log = structlog.get_logger("agent")
#: Seconds that a slow reader gets at the end for what it has not taken yet.
_FLUSH_SECONDS = 2.0
#: Events are freed by their reference counts; the cycle collector has little to do.
_GC_THRESHOLDS = (100_000, 50, 100)


def run_agent(settings: Settings, *, stdout_events: bool) -> int:
    """Run until SIGINT or SIGTERM, or until nobody reads the events; exit status 0.

    Args:
        settings: The configuration.
        stdout_events: Write events to standard output too.

    Raises:
        SettingsError: there is no procfs where it should be.
        SinkError: an output cannot be opened.
        KernelError: the kernel side cannot be loaded; nothing stays in the kernel.
    """
    configure_logging(settings)
    started = time.monotonic()
    if not (settings.procfs / "1" / "stat").exists():
        raise SettingsError(f"no procfs is mounted at {settings.procfs}", key="procfs")
    clock = WallClock()
    timestamps = Timestamps(clock.offset_ns)
    cache = ProcessCache(settings.effective_node_name)
    with contextlib.ExitStack() as stack:
        outputs = _open_outputs(settings, timestamps, stdout_events=stdout_events)
        for output in outputs:
            stack.callback(output.sink.close)
        names = HookNames()
        pipeline = Pipeline(cache, outputs, _FailureLog(), names)
        sensor = stack.enter_context(LifecycleSensor(_limits(settings)))
        policies = PolicySet(settings, sensor, names)
        stack.callback(policies.close)
        policies.read()
        losses = LossWatch(sensor, pipeline)
        repeats = RepeatWatch(RepeatTable(sensor.shared.maps["repeats"]), pipeline)

        def tick() -> None:
            timestamps.wall_offset_ns = clock.refresh()
            repeats.check()
            losses.check()

        drain = Drain(sensor.rings, pipeline, tick, settings.loss_interval)
        stack.callback(drain.close)
        stack.enter_context(_signals(drain))
        sensor.attach()
        count = pipeline.seed(_scan(settings, sensor))
        policy_count = policies.load()
        _calm_collector()
        log.info(
            "agent runs",
            version=__version__,
            processes=count,
            policies=policy_count,
            start_seconds=round(time.monotonic() - started, 3),
        )
        drain.run()
        policies.close()
        sensor.detach()
        drain.drain()
        repeats.check(is_last=True)
        losses.check()
        _flush(outputs)
        lost = losses.total + _close_outputs(outputs)
    log.info("agent ends", lost=lost, **_event_totals(pipeline))
    return 0


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


def _open_outputs(
    settings: Settings, timestamps: Timestamps, *, stdout_events: bool
) -> list[Output]:
    outputs = []
    if settings.export_filename is not None:
        encoder = _json_encoder(settings, timestamps)
        outputs.append(Output(encoder, open_file(settings.export_filename)))
    if stdout_events and settings.output == "json":
        outputs.append(Output(_json_encoder(settings, timestamps), open_stdout()))
    elif stdout_events:
        color = settings.color == "always" or (
            settings.color == "auto"
            and sys.stdout.isatty()
            and "NO_COLOR" not in os.environ
        )
        compact = CompactEncoder(
            settings.effective_node_name,
            color=color,
            timestamps=timestamps if settings.timestamps else None,
        )
        outputs.append(Output(compact, open_stdout()))
    return outputs


def _json_encoder(settings: Settings, timestamps: Timestamps) -> JsonEncoder:
    user_name = None
    if settings.username_metadata == "unix":
        users = UserNames()

        def user_name(uid: int) -> str:
            return users.lookup(uid, boottime_ns())

    return JsonEncoder(
        settings.effective_node_name,
        timestamps,
        _host_namespaces(str(settings.procfs)),
        JsonOptions(
            extended=settings.fields == "extended",
            credentials=settings.enable_process_cred,
            namespaces=settings.enable_process_ns,
            ancestors=settings.enable_ancestors,
            environment=settings.enable_process_environment_variables,
            environment_names=frozenset(settings.filter_environment_variables),
        ),
        user_name,
    )


def _host_namespaces(procfs: str) -> Namespaces:
    """Those of process 1; the agent's own where even root may not read them."""
    own = namespaces_of(os.getpid())
    pairs = zip(namespaces_of(1, procfs), own, strict=True)
    return Namespaces._make(first or second for first, second in pairs)


@contextlib.contextmanager
def _signals(drain: Drain) -> Iterator[None]:
    """SIGINT and SIGTERM stop the drain; before and after, they do what they did.

    SIGHUP must not end the agent: services are told to reload with it.
    """
    handlers = {
        signal.SIGINT: lambda *_: drain.stop(),
        signal.SIGTERM: lambda *_: drain.stop(),
        signal.SIGHUP: lambda *_: log.info("SIGHUP: nothing to reload"),
    }
    previous = {
        number: signal.signal(number, handler) for number, handler in handlers.items()
    }
    wakeup = signal.set_wakeup_fd(drain.wakeup_end, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in previous.items():
            signal.signal(number, handler)


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


def _calm_collector() -> None:
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
