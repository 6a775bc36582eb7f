# SPDX-License-Identifier: Apache-2.0
"""What the service manager is told: ready, reloading, stopping, status, still alive.

The protocol is that of sd_notify(3): a datagram of lines NAME=VALUE to the socket that
the variable NOTIFY_SOCKET names. Without the variable nothing is sent.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tetragon_py.events.agent import PolicyChangeEvent

__all__ = ["Notifier", "Watchdog", "status_text", "watchdog_seconds"]

log = structlog.get_logger("notify")
#: Seconds that a busy manager gets to make room for a message.
_SEND_SECONDS = 2.0
#: Looks per time limit: the limit passes only if the drain stands still for most of it.
_LOOKS = 4


class Notifier:
    """Messages to the service manager. For any thread but the drain's: they may wait.

    Args:
        address: A path, or a name with @ before it in the abstract namespace; empty:
            nobody is told anything.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        if address.startswith("@"):
            self._address = f"\0{address[1:]}"
        elif address and not address.startswith("/"):
            log.warning("NOTIFY_SOCKET is not used: only @NAME and /PATH are known")
            self._address = ""
        self._shown = ""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Notifier:
        """The manager that has started this process, if it wants to be told."""
        return cls(environ.get("NOTIFY_SOCKET", ""))

    def ready(self, status: str) -> None:
        """Tell that all is in force, at the start or after a reload."""
        self._send("READY=1", _status(status))

    def reloading(self, status: str = "Reloading") -> None:
        """Tell that a reload begins; `ready` ends it, whether it was good or not."""
        now_us = time.monotonic_ns() // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now_us}", _status(status))

    def stopping(self) -> None:
        """Tell that the end has begun."""
        self._send("STOPPING=1", _status("Stopping"))

    def status(self, text: str) -> None:
        """Show `text`, one short line, in `systemctl status`; not the same again."""
        if text != self._shown:
            self._send(_status(text))
            self._shown = text

    def feed(self) -> None:
        """Tell that events are still read."""
        self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
        try:
            with socket.socket(socket.AF_UNIX, kind) as connection:
                connection.settimeout(_SEND_SECONDS)
                connection.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            log.warning("the service manager was not told", what=lines[0], error=error)


class Watchdog:
    """Feeds the manager's watchdog as long as the drain makes turns. A context manager.

    It has a thread of its own, so that neither a long reload nor a slow answer to
    somebody else keeps it from looking: only a drain that stands still does.

    Args:
        notifier: Where to.
        last_turn: When the drain last ended a turn; any number that changes with it.
        seconds: The manager's limit; 0: there is none, and nothing is done.
    """

    def __init__(
        self, notifier: Notifier, last_turn: Callable[[], float], seconds: float
    ) -> None:
        self._notifier = notifier
        self._last_turn = last_turn
        self._seen: float | None = None
        self._interval = seconds / _LOOKS
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def __enter__(self) -> None:
        if self._interval:
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Look no more; twice does nothing."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> bool:
        """Feed if the drain has made a turn since the last look; whether it has."""
        turn = self._last_turn()
        if turn == self._seen:
            return False
        self._seen = turn
        self._notifier.feed()
        return True

    def _run(self) -> None:
        while not self._end.wait(self._interval):
            if not self.look():
                log.warning("reading of events stands still")


def watchdog_seconds(environ: Mapping[str, str] = os.environ) -> float:
    """The manager's limit for this process; 0 if it has none."""
    owner = environ.get("WATCHDOG_PID", "")
    limit_us = environ.get("WATCHDOG_USEC", "")
    if not limit_us.isdecimal() or owner not in {"", str(os.getpid())}:
        return 0.0
    return int(limit_us) / 1_000_000


def status_text(last: PolicyChangeEvent | None, lost: int) -> str:
    """What `systemctl status` shows: policies, and what is not as it should be.

    Args:
        last: What came of the last load of policies.
        lost: Events that were lost.
    """
    parts = ["Process events"]
    if last is not None and last.policies:
        policies = _count(last.policies, "policy", "policies")
        parts.append(f"{policies} on {_count(last.hooks, 'hook', 'hooks')}")
    if last is not None and last.problems:
        what = "reload refused" if last.result == "refused" else "policies left out"
        parts.append(f"{what}: {_count(len(last.problems), 'error', 'errors')}")
    if lost:
        parts.append(f"{_count(lost, 'event', 'events')} lost")
    return "; ".join(parts)


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


# One line, whatever the text is.
def _status(text: str) -> str:
    return f"STATUS={' '.join(text.split())}"
