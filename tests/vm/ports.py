# SPDX-License-Identifier: Apache-2.0
"""The lines between runner and guest: output and errors of its command, and its status.

Each is a virtio port of the guest and a socket here. Bytes that come in are written to
this process' own standard output and error at once.
"""

from __future__ import annotations

import re
import selectors
import socket
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = ["DIED", "TIMED_OUT", "End", "Limits", "Ports"]

_NAMES = ("status", "output", "errors")
#: Exit statuses that no command of the guest has given: as of timeout(1).
TIMED_OUT = 124
DIED = 125
_STATUS = re.compile(rb"^status (\d+)$", re.MULTILINE)
#: Seconds for what is still on its way when the status has come.
_DRAIN_SECONDS = 0.2


class Limits(NamedTuple):
    """Seconds: until the guest is up, without a word from it, and for all of it."""

    boot: float
    silence: float
    total: float


@dataclass(frozen=True, slots=True)
class End:
    """How it ended; the clock is time.monotonic()."""

    status: int
    ready_at: float | None
    problem: str


class Ports:
    """The three sockets. A context manager; `pump` may be called once."""

    def __init__(self) -> None:
        pairs = {name: socket.socketpair() for name in _NAMES}
        self._ours = {name: pair[0] for name, pair in pairs.items()}
        self._guests = {name: pair[1] for name, pair in pairs.items()}
        self._sinks: dict[str, BinaryIO] = {
            "output": sys.stdout.buffer,
            "errors": sys.stderr.buffer,
        }
        self._said = b""
        self._ready_at: float | None = None

    @property
    def guest_descriptors(self) -> tuple[int, ...]:
        """What QEMU inherits."""
        return tuple(end.fileno() for end in self._guests.values())

    @property
    def arguments(self) -> list[str]:
        """QEMU's arguments for them."""
        arguments = ["-device", "virtio-serial-pci,max_ports=8"]
        for number, (name, end) in enumerate(self._guests.items(), 1):
            device = f"virtserialport,chardev=port_{name},name={name},nr={number}"
            arguments += ["-chardev", f"socket,id=port_{name},fd={end.fileno()}"]
            arguments += ["-device", device]
        return arguments

    def close_guest_side(self) -> None:
        """After QEMU's start: its end closes these lines then."""
        for end in self._guests.values():
            end.close()

    def pump(self, limits: Limits) -> End:
        """Pass output on until the status comes, the guest dies or a limit is hit."""
        started = heard_at = time.monotonic()
        with selectors.DefaultSelector() as selector:
            for name, end in self._ours.items():
                selector.register(end, selectors.EVENT_READ, name)
            while True:
                for key, _ in selector.select(0.5):
                    heard_at = time.monotonic()
                    if not self._read(key.data):
                        selector.unregister(key.fileobj)
                        if key.data == "status":
                            return self._end(DIED, "the guest died")
                if found := _STATUS.search(self._said):
                    self._drain(selector)
                    return self._end(int(found[1]), "")
                if problem := self._over(limits, started, heard_at):
                    return self._end(TIMED_OUT, problem)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close_guest_side()
        for end in self._ours.values():
            end.close()

    def _end(self, status: int, problem: str) -> End:
        if problem and self._ready_at is None:
            problem += " before its command could start"
        return End(status, self._ready_at, problem)

    def _over(self, limits: Limits, started: float, heard_at: float) -> str:
        now = time.monotonic()
        if self._ready_at is None and now - started > limits.boot:
            return f"the guest is not up after {limits.boot:g} s"
        if self._ready_at is not None and now - heard_at > limits.silence:
            return f"the guest has been silent for {limits.silence:g} s"
        if now - started > limits.total:
            return f"the guest's {limits.total:g} s are over"
        return ""

    # False at the end of a line.
    def _read(self, name: str) -> bool:
        try:
            data = self._ours[name].recv(1 << 16)
        except ConnectionError:
            return False
        if name == "status":
            self._said += data
            if self._ready_at is None and self._said.startswith(b"ready\n"):
                self._ready_at = time.monotonic()
        else:
            self._sinks[name].write(data)
            self._sinks[name].flush()
        return bool(data)

    def _drain(self, selector: selectors.BaseSelector) -> None:
        while events := selector.select(_DRAIN_SECONDS):
            for key, _ in events:
                if not self._read(key.data):
                    selector.unregister(key.fileobj)
