# SPDX-License-Identifier: Apache-2.0
"""rsyslog as a shipper of the export file, and the receiver that it ships to."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
from typing import TYPE_CHECKING, Self

import pytest

from tests.e2e.agent import ROOT, until

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

__all__ = ["Receiver", "Rsyslog"]

_UNPACKED = ROOT / "build" / "rsyslog"
_LIBRARIES = _UNPACKED / "usr/lib/x86_64-linux-gnu"

#: As in README, but for the paths, the receiver and what a test must not touch.
_CONFIGURATION = """
global(workDirectory="{state}" maxMessageSize="1m")
module(load="imfile")
template(name="line" type="string" string="%msg%\\n")
ruleset(name="tetragon" queue.type="Direct") {{
  action(type="omfwd" target="127.0.0.1" port="{port}" protocol="tcp" template="line"
         action.resumeRetryCount="-1" action.resumeInterval="1")
}}
input(type="imfile" file="{pattern}" tag="tetragon:" ruleset="tetragon"
      addMetadata="off" reopenOnTruncate="on" freshStartTail="off"
      persistStateInterval="1000")
"""


class Receiver:
    """Takes lines by TCP on a port of its own. A context manager."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._chunks: list[list[bytes]] = []
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._accepting.join(20)
        self._server.close()
        for thread in self._threads:
            thread.join(20)

    def lines(self) -> list[bytes]:
        """All so far that have their end; a killed shipper can leave half a line."""
        data = [b"".join(chunks) for chunks in self._chunks]
        lines = [line for part in data for line in part.splitlines(keepends=True)]
        return [line for line in lines if line.endswith(b"\n")]

    def size(self) -> int:
        """Bytes so far."""
        return sum(len(chunk) for chunks in self._chunks for chunk in chunks)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            chunks: list[bytes] = []
            self._chunks.append(chunks)
            thread = threading.Thread(
                target=_read, args=(connection, chunks), daemon=True
            )
            self._threads.append(thread)
            thread.start()


def _read(connection: socket.socket, chunks: list[bytes]) -> None:
    with connection:
        while chunk := connection.recv(1 << 20):
            chunks.append(chunk)


class Rsyslog:
    """Ships what matches `pattern`; a context manager.

    Args:
        folder: For its files.
        pattern: The export file with its backups.
        port: Of the receiver.
    """

    def __init__(self, folder: Path, pattern: str, port: int) -> None:
        state = folder / "state"
        state.mkdir()
        self._folder = folder
        configuration = folder / "rsyslog.conf"
        configuration.write_text(
            _CONFIGURATION.format(state=state, pattern=pattern, port=port)
        )
        program, modules = _program()
        self._command = [program, "-n", "-i", str(folder / "pid")]
        self._command += ["-f", str(configuration), *modules]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            error.add_note(self.log())
        self.kill()

    def start(self) -> None:
        """As the service does."""
        pid = self._folder / "pid"
        pid.unlink(missing_ok=True)
        environment = {**os.environ, "LD_LIBRARY_PATH": str(_LIBRARIES)}
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=environment
            )
        until(lambda: pid.exists() and pid.read_text().strip(), 20, "rsyslog's pid")

    def signal(self, number: int) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL; what it has noted of its place stays."""
        assert self._process is not None
        self.signal(signal.SIGKILL)
        self._process.wait()

    def log(self) -> str:
        """What it complains about."""
        return (self._folder / "log").read_text()[-2000:]


def _program() -> tuple[str, list[str]]:
    """The program, and the option for its modules."""
    unpacked = _UNPACKED / "usr/sbin/rsyslogd"
    if unpacked.exists():
        return str(unpacked), ["-M", str(_LIBRARIES / "rsyslog")]
    installed = shutil.which("rsyslogd", path="/usr/sbin:/usr/bin")
    if installed:
        return installed, []
    pytest.skip("no rsyslog: `make build/rsyslog.stamp` fetches it, on Debian")
