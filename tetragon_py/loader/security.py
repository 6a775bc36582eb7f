# SPDX-License-Identifier: Apache-2.0
"""Programs in LSM hooks: by BPF LSM, or by fmod_ret where the kernel does not run it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.enforcement.calls import IO_URING_CALLS
from tetragon_py.errors import UnsupportedError, VerifierError

if TYPE_CHECKING:
    from tetragon_py.compiler.plan import AttachPoint
    from tetragon_py.compiler.target import Signature
    from tetragon_py.libbpf import Program
    from tetragon_py.loader.shared import SharedMaps

__all__ = ["COMPAT_ABIS", "Guards", "SecurityPrograms", "security_function"]

#: ABIs of 32-bit programs.
COMPAT_ABIS = frozenset({"i386", "arm32"})
_REGISTERS = 6  # raw arguments of a hit
#: Hooks whose function is not "security_" and their name.
_FUNCTIONS = {
    "bprm_check_security": "security_bprm_check",
    "file_alloc_security": "security_file_alloc",
    "inode_alloc_security": "security_inode_alloc",
    "msg_queue_alloc_security": "security_msg_queue_alloc",
    "sem_alloc_security": "security_sem_alloc",
    "shm_alloc_security": "security_shm_alloc",
}


class SecurityTarget(Protocol):
    """A part of the compiler's Target."""

    @property
    def features(self) -> frozenset[str]:
        """The features that the kernel has."""

    def function(self, name: str) -> Signature | None:
        """The signature of a function that has a type."""

    def lsm_hook(self, name: str) -> Signature | None:
        """The parameters of an LSM hook."""

    def syscall_number(self, name: str, abi: str) -> int | None:
        """The number of a system call in the table of an ABI."""


def security_function(hook: str, target: SecurityTarget) -> str | None:
    """The function that calls an LSM hook, if it has the same parameters."""
    name = _FUNCTIONS.get(hook, f"security_{hook}")
    wanted, found = target.lsm_hook(hook), target.function(name)
    if wanted is None or found is None:
        return None
    same = [p.type for p in wanted.parameters] == [p.type for p in found.parameters]
    return name if same else None


class SecurityPrograms:
    """Loads bpf/lsm.bpf.c for a hook, as the kernel can have it.

    Args:
        shared: Whose objects the programs are.
        target: The kernel.
    """

    def __init__(self, shared: SharedMaps, target: SecurityTarget) -> None:
        self._shared = shared
        self._target = target
        self._can_forbid_preemption: bool | None = None

    def load(
        self,
        role: Literal["decide", "guard"],
        hook: str,
        number: int,
        undo: contextlib.ExitStack,
    ) -> Program:
        """Load and attach; `undo` takes it away.

        Raises:
            KernelError, UnsupportedError: nothing stays.
        """
        signature = self._target.lsm_hook(hook)
        if signature is None:  # libbpf would keep a descriptor open
            raise UnsupportedError(f"LSM hook {hook}", "another version")
        way, function = "lsm", hook  # libbpf puts bpf_lsm_ before it
        if "lsm" not in self._target.features:
            found = security_function(hook, self._target)
            if found is None or "fmod_ret" not in self._target.features:
                raise UnsupportedError(f"LSM hook {hook}", "bpf in its list lsm=")
            way, function = "fmod", found
        with contextlib.ExitStack() as attempt:
            program = self._load(f"{role}_{way}", function, number, signature, attempt)
            attempt.enter_context(program.attach())
            undo.enter_context(attempt.pop_all())
        return program

    def _load(
        self,
        name: str,
        function: str,
        number: int,
        signature: Signature,
        undo: contextlib.ExitStack,
    ) -> Program:
        if self._can_forbid_preemption is None:
            known = self._target.function("bpf_preempt_disable")
            self._can_forbid_preemption = known is not None
        # Only the attempt tells: up to Linux 6.14 the verifier lets nobody call global
        # functions then.
        if self._can_forbid_preemption:
            try:
                return self._load_once(name, function, number, signature, undo, 1)
            except VerifierError:
                self._can_forbid_preemption = False
        return self._load_once(name, function, number, signature, undo, 0)

    def _load_once(
        self,
        name: str,
        function: str,
        number: int,
        signature: Signature,
        undo: contextlib.ExitStack,
        forbids_preemption: int,
    ) -> Program:
        with contextlib.ExitStack() as attempt:
            opened = self._shared.open("lsm", attempt)
            opened.set_constant("hook_number", number)
            parameters = min(len(signature.parameters), _REGISTERS)
            opened.set_constant("parameters", parameters)
            opened.set_constant("can_forbid_preemption", forbids_preemption)
            helper = "task_registers" in self._target.features
            opened.set_constant("has_task_registers", helper)
            program = opened.programs[name]
            program.autoload = True
            program.set_target(function)
            opened.load()
            undo.enter_context(attempt.pop_all())
        return program


@dataclass(slots=True)
class _Guard:
    """The program of one LSM hook, and which of its rows in `guards` are whose."""

    number: int
    program: Program
    undo: contextlib.ExitStack
    calls: dict[int, int] = field(default_factory=dict)  # row -> hook
    io_uring: list[int] = field(default_factory=list)  # hooks, by their row


class Guards:
    """LSM hooks in which system calls are decided: one program for each LSM hook.

    Args:
        shared: Has the map.
        programs: Loads them.
        target: The kernel.
    """

    def __init__(
        self, shared: SharedMaps, programs: SecurityPrograms, target: SecurityTarget
    ) -> None:
        self._map = shared.maps["guards"]
        self._programs = programs
        self._target = target
        self._guards: dict[str, _Guard] = {}
        self._next = 1

    def add(self, point: AttachPoint, hook: int) -> Program:
        """Have a hook decide about its system call; the program that runs for it.

        Raises:
            KernelError, UnsupportedError: nothing stays.
        """
        row = self._row(point)
        guard = self._guards.get(point.through) or self._load(point.through)
        guard.calls[row] = hook
        self._write(guard, row, hook)
        if self._has_io_uring(point) and len(guard.io_uring) < c.GUARD_IO_URING_MAX:
            guard.io_uring.append(hook)
            self._write(guard, c.GUARD_IO_URING + len(guard.io_uring) - 1, hook)
        return guard.program

    def remove(self, point: AttachPoint, hook: int) -> None:
        """Take a hook away, and the program with the last of its hooks."""
        guard = self._guards[point.through]
        row = self._row(point)
        if guard.calls.get(row) == hook:
            del guard.calls[row]
            self._delete(guard, row)
        if hook in guard.io_uring:
            # No gap: the program reads them up to the first that is not there.
            last = guard.io_uring.pop()
            if last != hook:
                place = guard.io_uring.index(hook)
                guard.io_uring[place] = last
                self._write(guard, c.GUARD_IO_URING + place, last)
            self._delete(guard, c.GUARD_IO_URING + len(guard.io_uring))
        if not guard.calls:
            guard.undo.close()
            del self._guards[point.through]

    def _load(self, lsm_hook: str) -> _Guard:
        with contextlib.ExitStack() as undo:
            program = self._programs.load("guard", lsm_hook, self._next, undo)
            guard = _Guard(self._next, program, undo.pop_all())
        self._next += 1
        self._guards[lsm_hook] = guard
        return guard

    def _row(self, point: AttachPoint) -> int:
        number = self._target.syscall_number(point.name, point.abi)
        if number is None:
            raise UnsupportedError(f"system call {point.name}", "another version")
        return number | (c.GUARD_COMPAT if point.abi in COMPAT_ABIS else 0)

    @staticmethod
    def _has_io_uring(point: AttachPoint) -> bool:
        return point.abi not in COMPAT_ABIS and point.name in IO_URING_CALLS

    def _write(self, guard: _Guard, row: int, hook: int) -> None:
        self._map.update(_key(guard, row), hook.to_bytes(4, "little"))

    def _delete(self, guard: _Guard, row: int) -> None:
        self._map.delete(_key(guard, row))


def _key(guard: _Guard, row: int) -> bytes:
    return guard.number.to_bytes(4, "little") + row.to_bytes(4, "little")
