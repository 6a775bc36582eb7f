# SPDX-License-Identifier: Apache-2.0
"""The outputs that the settings ask for: encoders with the sinks behind them."""

from __future__ import annotations

import contextlib
import grp
import os
import secrets
import signal
import sys
import time
from typing import TYPE_CHECKING

import structlog

from tetragon_py import __version__
from tetragon_py.daemon.backup_thread import BackupThread
from tetragon_py.daemon.clock import boottime_ns
from tetragon_py.encode.compact import CompactEncoder
from tetragon_py.encode.jsonl import JsonEncoder, JsonOptions
from tetragon_py.enrich.procfs import namespaces_of
from tetragon_py.enrich.users import UserNames
from tetragon_py.errors import SettingsError
from tetragon_py.events.agent import StartEvent
from tetragon_py.events.process import Namespaces
from tetragon_py.export.backups import BackupLimits, Backups
from tetragon_py.export.file import FileOptions
from tetragon_py.export.file_sink import FileSink, Rotation, Surroundings
from tetragon_py.export.stdout import open_stdout
from tetragon_py.pipeline import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import ExitStack
    from pathlib import Path

    from tetragon_py.encode.timestamp import Timestamps
    from tetragon_py.settings import Settings

__all__ = ["open_outputs"]

log = structlog.get_logger("export")
_MIB = 1 << 20
#: Bytes of a run's name: no two of a fleet are equal.
_RUN_BYTES = 6


def open_outputs(
    settings: Settings,
    timestamps: Timestamps,
    stack: ExitStack,
    *,
    stdout_events: bool,
    run: str = "",
) -> list[Output]:
    """Open all; `stack` closes them. SIGUSR1 has the export file looked for again.

    Args:
        settings: The configuration.
        timestamps: For the encoders.
        stack: Gets what is to be undone at the end.
        stdout_events: Write events to standard output too.
        run: The name of the numbering of records, if it goes on; else a new one.

    Raises:
        SettingsError: there is no such group.
        SinkError: an output cannot be opened.
    """
    run = run or secrets.token_hex(_RUN_BYTES)
    starts = _Starts(settings, run)
    outputs = []
    if settings.export_file is not None:
        encoder = _json_encoder(settings, timestamps, run)
        sink = _open_file(settings, settings.export_file, starts.lines(encoder), stack)
        outputs.append(Output(encoder, sink))
    if stdout_events and settings.output == "json":
        encoder = _json_encoder(settings, timestamps, run)
        first = starts.lines(encoder)(0)
        outputs.append(Output(encoder, open_stdout(), [first]))
    elif stdout_events:
        outputs.append(Output(_compact_encoder(settings, timestamps), open_stdout()))
    for output in outputs:
        stack.callback(output.sink.close)
    stack.enter_context(_reopened_by_signal(outputs))
    return outputs


class _Starts:
    """Makes the start records of this agent."""

    def __init__(self, settings: Settings, run: str) -> None:
        path = settings.procfs / "sys/kernel/random/boot_id"
        self._boot_id = path.read_text().strip()
        self._run = run

    def lines(self, encoder: JsonEncoder) -> Callable[[int], bytes]:
        """File number -> line."""
        return lambda file: encoder.start_line(
            StartEvent(self._boot_id, self._run, __version__, file, boottime_ns())
        )


def _open_file(
    settings: Settings, path: Path, head: Callable[[int], bytes], stack: ExitStack
) -> FileSink:
    limits = BackupLimits(
        count=settings.export_file_max_backups,
        total_bytes=settings.export_file_max_total_mb * _MIB,
        file_bytes=settings.export_file_max_size_mb * _MIB,
        compress=settings.export_file_compress,
    )
    thread = BackupThread(Backups(path, limits))
    sink = FileSink(
        path,
        FileOptions(settings.export_file_perm, _group(settings.export_file_group)),
        Rotation(limits.file_bytes, settings.export_file_rotation_interval),
        head,
        Surroundings(time.monotonic, time.time, thread.wake, log.warning),
    )
    stack.callback(thread.stop)
    thread.start()
    return sink


def _group(name: str) -> int:
    """Its number; -1 if none is wanted."""
    if not name:
        return -1
    if name.isdecimal():
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        text = f"there is no group {name!r} here, name another one or give its number"
        raise SettingsError(
            f"export-file-group: {text}", key="export_file_group"
        ) from None


@contextlib.contextmanager
def _reopened_by_signal(outputs: list[Output]) -> Iterator[None]:
    """The signal itself does nothing: who writes looks at the file soon."""

    def reopen(*_: object) -> None:
        for output in outputs:
            output.sink.reopen()

    previous = signal.signal(signal.SIGUSR1, reopen)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, previous)


def _compact_encoder(settings: Settings, timestamps: Timestamps) -> CompactEncoder:
    color = settings.color == "always" or (
        settings.color == "auto"
        and sys.stdout.isatty()
        and "NO_COLOR" not in os.environ
    )
    return CompactEncoder(
        settings.effective_node_name,
        color=color,
        timestamps=timestamps if settings.timestamps else None,
    )


def _json_encoder(settings: Settings, timestamps: Timestamps, run: str) -> JsonEncoder:
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
            origin=settings.keep_sensors_on_exit,
            credentials=settings.enable_process_cred,
            namespaces=settings.enable_process_ns,
            ancestors=settings.enable_ancestors,
            environment=settings.enable_process_environment_variables,
            environment_names=frozenset(settings.filter_environment_variables),
            run=run,
        ),
        user_name,
    )


def _host_namespaces(procfs: str) -> Namespaces:
    """Those of process 1; the agent's own where even root may not read them."""
    own = namespaces_of(os.getpid())
    pairs = zip(namespaces_of(1, procfs), own, strict=True)
    return Namespaces._make(first or second for first, second in pairs)
