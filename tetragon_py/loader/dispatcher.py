# SPDX-License-Identifier: Apache-2.0
"""The dispatcher: one program on each of two tracepoints serves all hooked calls.

It is attached while there is a hook of a system call. Which hook that is says the map
"syscalls", by the number of the call.
"""

from __future__ import annotations

import contextlib
import errno
from struct import Struct
from typing import TYPE_CHECKING, Any

from tetragon_py.abi import _generated as c
from tetragon_py.errors import KernelError
from tetragon_py.libbpf import PinnedProgram

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tetragon_py.libbpf import Link, Program
    from tetragon_py.loader.pins import Pins
    from tetragon_py.loader.shared import SharedMaps

__all__ = ["Dispatcher"]

_SYSCALL_HOOKS = Struct(c.SYSCALL_HOOKS_FORMAT)
_NUMBER_BYTES = 4
_OWNER = "dispatcher"


class Dispatcher:
    """Its programs and its map. For one thread.

    Args:
        shared: Has the map.
    """

    def __init__(self, shared: SharedMaps) -> None:
        self._shared = shared
        self._undo = contextlib.ExitStack()
        self._hooks: dict[int, tuple[int, bool]] = {}  # row, 32-bit calls
        self._sees_returns = False
        self._leave: Program | PinnedProgram
        #: At entry and at return.
        self.programs: Sequence[Program | PinnedProgram] = ()

    def __contains__(self, hook: int) -> bool:
        return hook in self._hooks

    @property
    def is_last(self) -> bool:
        """Whether there is just one hook."""
        return len(self._hooks) == 1

    def add(
        self,
        hook: int,
        row: int,
        *,
        is_compat: bool,
        wants_return: bool,
    ) -> None:
        """Have a hook see a system call, instead of one that sees it already.

        Args:
            hook: Its number.
            row: Number of the call.
            is_compat: In the table of 32-bit programs.
            wants_return: The hook sees the call return.

        Raises:
            KernelError: nothing has changed.
        """
        if not self._hooks:
            self._load()
        if wants_return:
            self.see_returns()
        self._hooks[hook] = (row, is_compat)
        self._write((row, is_compat), hook)

    def clear(self, hook: int) -> None:
        """Let the call of a hook be seen by nobody.

        A hook that took its place keeps it, one whose place it took has it again.
        """
        place = self._hooks[hook]
        sharers = [number for number, one in self._hooks.items() if one == place]
        sharers.remove(hook)
        self._write(place, sharers[-1] if sharers else 0)

    def remove(self, hook: int) -> bool:
        """Forget a hook that was cleared; whether it was the last: then `close`."""
        del self._hooks[hook]
        return not self._hooks

    def see_returns(self) -> None:
        """From now on what is loaded sees system calls return."""
        if not self._sees_returns:
            with self._shared.named(_OWNER):
                link = self._attach(self._leave)
            self._undo.enter_context(link)
            self._sees_returns = True

    def close(self) -> None:
        """Detach it; twice does nothing."""
        self._undo.close()

    # ---- for the next agent ----

    def save(self) -> dict[str, Any]:
        """What `restore` needs, apart from what is pinned."""
        return {"hooks": dict(self._hooks), "sees_returns": self._sees_returns}

    def restore(self, saved: Mapping[str, Any], pins: Pins) -> None:
        """Take over what an earlier agent has pinned."""
        self._hooks = dict(saved["hooks"])
        if not self._hooks:
            return
        self._sees_returns = saved["sees_returns"]
        self._undo.callback(pins.remove_owner, _OWNER)
        found = pins.programs(_OWNER, self._undo)
        self._leave = found.pop("exit_syscall")
        [enter] = found.values()
        self.programs = [enter, self._leave]
        for link in pins.links(_OWNER):
            self._undo.enter_context(link)

    def forget_others(self) -> set[str]:
        """Remove what no hook of these has written; whose links are wanted."""
        table = self._shared.maps["syscalls"]
        places = {place: number for number, place in self._hooks.items()}
        for key, value in table.items():
            row = int.from_bytes(key, "little")
            ours = [places.get((row, compat), 0) for compat in (False, True)]
            if value != _SYSCALL_HOOKS.pack(*ours):
                table.update(key, _SYSCALL_HOOKS.pack(*ours))
        return {_OWNER} if self._hooks else set()

    def leave(self) -> None:
        """Let go of it; what is pinned stays attached."""
        self._undo.pop_all()

    def _load(self) -> None:
        with contextlib.ExitStack() as undo, self._shared.named(_OWNER):
            opened = self._shared.open("syscall", undo)
            opened.load()
            enter = opened.programs["enter_syscall"]
            self._leave = opened.programs["exit_syscall"]
            self.programs = [enter, self._leave]
            if self._shared.pins is not None:
                self._shared.pins.keep_program(self._leave, undo)
            undo.enter_context(enter.attach())
            self._undo = undo.pop_all()
            self._sees_returns = False

    def _attach(self, program: Program | PinnedProgram) -> Link:
        if not isinstance(program, PinnedProgram):
            return program.attach()
        if self._shared.pins is None:
            raise KernelError(f"attach {program.name}", errno.ENOENT)
        return self._shared.pins.attach(program)

    def _write(self, place: tuple[int, bool], hook: int) -> None:
        row, is_compat = place
        key = row.to_bytes(_NUMBER_BYTES, "little")
        found = self._shared.maps["syscalls"].lookup(key)
        value = list(_SYSCALL_HOOKS.unpack(found)) if found else [0, 0]
        value[is_compat] = hook
        self._shared.maps["syscalls"].update(key, _SYSCALL_HOOKS.pack(*value))
