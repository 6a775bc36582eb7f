# SPDX-License-Identifier: Apache-2.0
"""Loads the policy set again while the agent runs, and tells what came of it.

A reload has a thread of its own: the control side answers meanwhile, and events are
read on. What asks for a reload while one runs gets one more after it, however often it
asks.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import structlog

from tetragon_py.daemon.clock import boottime_ns
from tetragon_py.daemon.judgement import RefusedError
from tetragon_py.daemon.policy_change import log_errors
from tetragon_py.errors import TetragonError
from tetragon_py.events.agent import PolicyChangeEvent, PolicyProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tetragon_py.compiler.plan import AttachPoint
    from tetragon_py.daemon.control import Control
    from tetragon_py.daemon.policies import PolicySet
    from tetragon_py.daemon.policy_change import SetChange
    from tetragon_py.policy.diagnostic import Diagnostic

__all__ = ["Reloads"]

log = structlog.get_logger("reload")


class Reloads:
    """One reload at a time. For the control side.

    Args:
        policies: The set; nobody else touches it while `is_running`.
        control: Whose thread this is for.
        tell: Gets what came of each reload, in that thread.
        before: Called there before each.
    """

    def __init__(
        self,
        policies: PolicySet,
        control: Control,
        tell: Callable[[PolicyChangeEvent], None],
        before: Callable[[], object] = bool,
    ) -> None:
        self._policies = policies
        self._control = control
        self._tell = tell
        self._before = before
        self._thread: threading.Thread | None = None
        self._next = ""  # trigger of the reload that comes after this one
        self.good = 0
        self.bad = 0
        #: What came of the last load, the first one included.
        self.last: PolicyChangeEvent | None = None

    @property
    def is_running(self) -> bool:
        """Whether a reload is under way."""
        return self._thread is not None

    def first(self) -> None:
        """Load the set for the first time, here and now.

        Raises:
            PolicyError, KernelError: It cannot be had.
        """
        event = _event(self._policies.load(), "start")
        self.last = event
        if event.policies or event.problems:
            self._tell(event)

    def request(self, trigger: str) -> None:
        """Reload soon.

        Args:
            trigger: Who wants it, for the event.
        """
        if self._thread is not None:
            self._next = trigger
            return
        self._before()
        self._thread = threading.Thread(
            target=self._run, args=(trigger,), name="reload", daemon=True
        )
        self._thread.start()

    def wait(self) -> None:
        """Return when none runs any more; none is begun after this."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._next = ""

    def _run(self, trigger: str) -> None:
        since = time.monotonic()
        try:
            event = _event(self._policies.load(), trigger)
        except Exception as error:  # noqa: BLE001 - a bad policy set must not stop the agent
            event = self._refused(error, trigger, time.monotonic() - since)
        self._control.post(lambda: self._finish(event))

    def _finish(self, event: PolicyChangeEvent) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.last = event
        if event.result == "refused":
            self.bad += 1
        else:
            self.good += 1
        self._tell(event)
        if self._next:
            trigger, self._next = self._next, ""
            self.request(trigger)

    def _refused(
        self, error: Exception, trigger: str, seconds: float
    ) -> PolicyChangeEvent:
        now = self._policies.change  # in force still
        if isinstance(error, RefusedError):
            log_errors("policies are refused", error.diagnostics)
            problems = tuple(map(_problem, error.diagnostics))
        else:
            text = str(error) if isinstance(error, TetragonError) else repr(error)
            log.error("policies are refused", error=text)
            problems = (PolicyProblem(text),)
        log.warning(
            "the policies before stay in force",
            policies=now.policies,
            generation=now.generation,
            errors=len(problems),
        )
        return PolicyChangeEvent(
            "refused",
            trigger,
            boottime_ns(),
            now.generation,
            now.digest,
            now.policies,
            now.hooks,
            seconds=seconds,
            problems=problems,
        )


def _event(change: SetChange, trigger: str) -> PolicyChangeEvent:
    found = change.difference
    return PolicyChangeEvent(
        "applied" if change.is_switch else "unchanged",
        trigger,
        boottime_ns(),
        change.generation,
        change.digest,
        change.policies,
        change.hooks,
        found.added,
        found.removed,
        found.changed,
        _texts(change.attached),
        _texts(change.detached),
        _texts(change.rebuilt),
        change.seconds,
        tuple(map(_problem, change.left_out)),
    )


def _texts(points: Iterable[AttachPoint]) -> tuple[str, ...]:
    parts = ((p.kind, p.name, p.abi, p.through) for p in points)
    return tuple(" ".join(filter(None, part)) for part in parts)


def _problem(diagnostic: Diagnostic) -> PolicyProblem:
    return PolicyProblem(
        diagnostic.message,
        diagnostic.file,
        diagnostic.line,
        diagnostic.column,
        diagnostic.path,
        diagnostic.hint or "",
    )
