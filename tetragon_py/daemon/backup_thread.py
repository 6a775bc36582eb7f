# SPDX-License-Identifier: Apache-2.0
"""Removes and compresses backups of the export file beside the agent's work."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import structlog

from tetragon_py.errors import SinkError

if TYPE_CHECKING:
    from tetragon_py.export.backups import Backups

__all__ = ["BackupThread"]

log = structlog.get_logger("export")
#: What is compressed can wait for everything else that the host has to do.
_NICENESS = 19
#: Other programs can make files too: the folder is looked at even if nothing calls.
_IDLE_SECONDS = 60.0


class BackupThread:
    """Tidies when it is woken. `wake` never waits.

    Args:
        backups: What is to be kept in order.
    """

    def __init__(self, backups: Backups) -> None:
        self._backups = backups
        self._wake = threading.Event()
        self._wake.set()  # an earlier run may have left something to do
        self._is_stopping = False
        self._failure = ""
        self._thread = threading.Thread(target=self._run, name="backups", daemon=True)

    def start(self) -> None:
        """Begin with what is there."""
        self._thread.start()

    def wake(self) -> None:
        """There is one backup more."""
        self._wake.set()

    def stop(self) -> None:
        """End soon; what is being compressed is left as it was."""
        self._is_stopping = True
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        while not self._is_stopping:
            self._wake.wait(_IDLE_SECONDS)
            self._wake.clear()
            if not self._is_stopping:
                self._tidy()

    def _tidy(self) -> None:
        failure = ""
        try:
            self._backups.tidy(lambda: self._is_stopping)
        except SinkError as error:
            failure = str(error)
        if failure and failure != self._failure:
            log.warning(failure)
        self._failure = failure
