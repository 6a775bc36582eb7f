# SPDX-License-Identifier: Apache-2.0
"""What NotifyEnforcer has left for a system call ends with that call.

A call that fails early does not come to where it would be enforced: its note would hit
the next call of the thread, which nobody meant. To forget it costs a little at the end
of every system call: that is done only while some policy leaves notes.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tetragon_py.abi import _generated as c

if TYPE_CHECKING:
    from tetragon_py.compiler.plan import Plan
    from tetragon_py.loader.shared import SharedMaps

__all__ = ["VerdictNotes", "leaves_notes"]


def leaves_notes(plan: Plan) -> bool:
    """Whether some selector notifies an enforcer."""
    return any(
        selector.actions & ~selector.monitored & c.ACTION_NOTIFY_ENFORCER
        for hook in plan.hooks
        for selector in hook.selectors
    )


class VerdictNotes:
    """The program that forgets them, while it is wanted.

    Args:
        shared: Has the map.
    """

    def __init__(self, shared: SharedMaps) -> None:
        self._shared = shared
        self._undo: contextlib.ExitStack | None = None

    def begin(self) -> None:
        """Forget from now on; twice does nothing.

        Raises:
            KernelError: nothing stays.
        """
        if self._undo is not None:
            return
        with contextlib.ExitStack() as undo, self._shared.named("notes"):
            opened = self._shared.open("syscall", undo)
            for program in opened.programs.values():
                program.autoload = program.name == "forget_verdict"
            opened.load()
            undo.enter_context(opened.programs["forget_verdict"].attach())
            self._undo = undo.pop_all()

    def restore(self) -> None:
        """Take over what an earlier agent has pinned, if it had begun."""
        pins = self._shared.pins
        links = pins.links("notes") if pins else ()
        if links:
            self._undo = contextlib.ExitStack()
            for link in links:
                self._undo.enter_context(link)

    def leave(self) -> None:
        """Let go of it; what is pinned goes on."""
        self._undo = None

    def end(self) -> None:
        """Leave them alone; twice does nothing."""
        if self._undo is not None:
            self._undo.close()
            self._undo = None
