# SPDX-License-Identifier: Apache-2.0
"""The main thread: waits for signals, descriptors, times and other threads.

Whatever comes is one call of a plain function, one after the other; so what they share
needs no locks. Events are read by another thread: nothing here makes them wait.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import selectors
import signal
import time
from collections import deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import TypeAlias

    Call: TypeAlias = Callable[[], object]

__all__ = ["Control"]

#: Bytes that one look takes out of the pipe: one for each signal and post.
_WAKEUPS_MAX = 4096


class Control:
    """A loop of calls. A context manager; for one thread but for `post`."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wakeup_fd, self._wakeup_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._wakeup_fd, selectors.EVENT_READ)
        self._posted: deque[Call] = deque()
        self._signals: dict[int, Call] = {}
        self._signalled: set[int] = set()
        self._due: list[tuple[float, int, Call]] = []
        self._order = itertools.count()
        self.is_stopping = False

    def post(self, call: Call) -> None:
        """Have `run` call this soon. For any thread."""
        self._posted.append(call)
        with contextlib.suppress(BlockingIOError):  # it is full: `run` is awake
            os.write(self._wakeup_end, b"\0")

    def watch(self, fd: int, call: Call) -> None:
        """Call whenever there is something to read."""
        self._selector.register(fd, selectors.EVENT_READ, call)

    def forget(self, fd: int) -> None:
        """Do not watch a descriptor any more."""
        self._selector.unregister(fd)

    def after(self, seconds: float, call: Call) -> None:
        """Call once, so much later."""
        heappush(self._due, (time.monotonic() + seconds, next(self._order), call))

    def every(self, seconds: float, call: Call) -> None:
        """Call again and again; the first time after so many seconds."""

        def again() -> None:
            self.after(seconds, again)
            call()

        self.after(seconds, again)

    @contextlib.contextmanager
    def signals(self, calls: Mapping[int, Call]) -> Iterator[None]:
        """Call for signals; those that come while one waits to be called are one.

        Before and after they do what they did.
        """
        previous = {number: signal.signal(number, self._note) for number in calls}
        wakeup = signal.set_wakeup_fd(self._wakeup_end, warn_on_full_buffer=False)
        self._signals.update(calls)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in previous.items():
                signal.signal(number, handler)

    def stop(self) -> None:
        """Make `run` return."""
        self.is_stopping = True

    def run(self) -> None:
        """Call what is asked for until `stop`."""
        while not self.is_stopping:
            for key, _ in self._selector.select(self._timeout()):
                if key.data is None:
                    os.read(self._wakeup_fd, _WAKEUPS_MAX)
                else:
                    key.data()
            while self._signalled:
                self._signals[self._signalled.pop()]()
            while self._posted:
                self._posted.popleft()()
            now = time.monotonic()
            while self._due and self._due[0][0] <= now:
                heappop(self._due)[2]()

    def close(self) -> None:
        """Give back the descriptors; others that are watched stay open."""
        self._selector.close()
        os.close(self._wakeup_fd)
        os.close(self._wakeup_end)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # In the middle of whatever the main thread does.
    def _note(self, number: int, _: object) -> None:
        self._signalled.add(number)

    def _timeout(self) -> float | None:
        if self._signalled or self._posted:
            return 0.0
        if not self._due:
            return None
        return max(0.0, self._due[0][0] - time.monotonic())
