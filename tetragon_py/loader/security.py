# SPDX-License-Identifier: Apache-2.0
"""Programs in LSM hooks: by BPF LSM, else by fmod_ret on the function security_*."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.enforcement.calls import IO_URING_CALLS
from tetragon_py.errors import KernelError, UnsupportedError, VerifierError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tetragon_py.compiler.plan import AttachPoint
    from tetragon_py.compiler.target import Signature
    from tetragon_py.libbpf import PinnedProgram, Program
    from tetragon_py.loader.pins import Pins
    from tetragon_py.loader.shared import SharedMaps

__all__ = [
    "COMPAT_ABIS",
    "Guards",
    "SecurityPrograms",
    "SecurityTarget",
    "lsm_hook_of",
    "parameter_constants",
    "security_function",
]

#: ABIs of 32-bit programs.
COMPAT_ABIS = frozenset({"i386", "arm32"})
_REGISTERS = 6  # raw arguments of a hit
#: What the verifier lets programs read without the helper, and pointers to that.
_READABLE = frozenset(("integer", "enum"))
_READABLE_BEHIND = frozenset(("struct", "union", "integer"))
#: Hooks whose function is not "security_" and their name.
_FUNCTIONS = {
    "bprm_check_security": "security_bprm_check",
    "file_alloc_security": "security_file_alloc",
    "inode_alloc_security": "security_inode_alloc",
    "msg_queue_alloc_security": "security_msg_queue_alloc",
    "sem_alloc_security": "security_sem_alloc",
    "settime": "security_settime64",
    "shm_alloc_security": "security_shm_alloc",
    "sk_alloc_security": "security_sk_alloc",
    "socket_sock_rcv_skb": "security_sock_rcv_skb",
    "userns_create": "security_create_user_ns",
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


def parameter_constants(
    signature: Signature | None, target: SecurityTarget
) -> dict[str, int]:
    """The constants of bpf/lib/parameters.bpf.h for a function."""
    bits = 0
    known = signature.parameters if signature else ()
    for index, parameter in enumerate(known[:_REGISTERS]):
        found = parameter.type
        behind = found.to.kind if found.kind == "pointer" and found.to else ""
        if found.kind in _READABLE or behind in _READABLE_BEHIND:
            bits |= 1 << index
    return {"parameters": bits, "has_func_arg": "get_func_arg" in target.features}


def security_function(hook: str, target: SecurityTarget) -> str | None:
    """The function that calls an LSM hook, if it has the same parameters."""
    name = _FUNCTIONS.get(hook, f"security_{hook}")
    wanted, found = target.lsm_hook(hook), target.function(name)
    if wanted is None or found is None:
        return None
    same = [p.type for p in wanted.parameters] == [p.type for p in found.parameters]
    return name if same else None


def lsm_hook_of(function: str, target: SecurityTarget) -> str | None:
    """The LSM hook that a function calls, if it has the same parameters."""
    by_function = {name: hook for hook, name in _FUNCTIONS.items()}
    hook = by_function.get(function, function.removeprefix("security_"))
    return hook if security_function(hook, target) == function else None


class SecurityPrograms:
    """Loads bpf/lsm.bpf.c for a hook, as the kernel can have it."""

    def __init__(self, shared: SharedMaps) -> None:
        self._shared = shared
        self._can_forbid_preemption: bool | None = None

    def load(
        self,
        role: Literal["decide", "guard"],
        hook: str,
        number: int,
        target: SecurityTarget,
        undo: contextlib.ExitStack,
    ) -> Program:
        """Load and attach; `undo` takes it away.

        Raises:
            KernelError, UnsupportedError: nothing stays.
        """
        signature = target.lsm_hook(hook)
        if signature is None:  # libbpf would keep a descriptor open
            raise UnsupportedError(f"LSM hook {hook}", "another version")
        ways = self._ways(hook, target)
        constants = {
            "hook_number": number,
            **parameter_constants(signature, target),
            "has_task_registers": "task_registers" in target.features,
        }
        if self._can_forbid_preemption is None:
            known = target.function("bpf_preempt_disable")
            self._can_forbid_preemption = known is not None
        *others, (last, last_function) = ways
        for way, function in others:
            # Newer kernels refuse programs in some LSM hooks.
            with contextlib.suppress(KernelError):
                return self._attach(f"{role}_{way}", function, constants, undo)
        return self._attach(f"{role}_{last}", last_function, constants, undo)

    @staticmethod
    def _ways(hook: str, target: SecurityTarget) -> list[tuple[str, str]]:
        ways = []
        if "lsm" in target.features:
            ways.append(("lsm", hook))  # libbpf puts bpf_lsm_ before it
        function = security_function(hook, target)
        if function is not None and "fmod_ret" in target.features:
            ways.append(("fmod", function))
        if not ways:
            reason = "its list lsm= is without bpf, and no function has the same"
            raise UnsupportedError(f"LSM hook {hook}", "5.7", reason)
        return ways

    def _attach(
        self,
        name: str,
        function: str,
        constants: Mapping[str, int],
        undo: contextlib.ExitStack,
    ) -> Program:
        with contextlib.ExitStack() as attempt:
            program = self._load(name, function, constants, attempt)
            attempt.enter_context(program.attach())
            undo.enter_context(attempt.pop_all())
        return program

    def _load(
        self,
        name: str,
        function: str,
        constants: Mapping[str, int],
        undo: contextlib.ExitStack,
    ) -> Program:
        # Only the attempt tells: up to Linux 6.14 the verifier lets nobody call global
        # functions then.
        if self._can_forbid_preemption:
            forbidding = {**constants, "can_forbid_preemption": 1}
            with contextlib.suppress(VerifierError):
                return self._load_once(name, function, forbidding, undo)
        program = self._load_once(name, function, constants, undo)
        self._can_forbid_preemption = False
        return program

    def _load_once(
        self,
        name: str,
        function: str,
        constants: Mapping[str, int],
        undo: contextlib.ExitStack,
    ) -> Program:
        with contextlib.ExitStack() as attempt:
            opened = self._shared.open("lsm", attempt)
            for constant, value in constants.items():
                opened.set_constant(constant, value)
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
    program: Program | PinnedProgram
    undo: contextlib.ExitStack
    calls: dict[int, int] = field(default_factory=dict)  # hook -> row
    io_uring: list[int] = field(default_factory=list)  # hooks, by their row


class Guards:
    """LSM hooks in which system calls are decided: one program for each LSM hook.

    Args:
        shared: Has the map.
        programs: Loads them.
    """

    def __init__(self, shared: SharedMaps, programs: SecurityPrograms) -> None:
        self._shared = shared
        self._map = shared.maps["guards"]
        self._programs = programs
        self._guards: dict[str, _Guard] = {}
        self._next = 1

    def add(
        self, point: AttachPoint, hook: int, target: SecurityTarget
    ) -> Program | PinnedProgram:
        """Have a hook decide about its system call; the program that runs for it.

        Raises:
            KernelError, UnsupportedError: nothing stays.
        """
        number = target.syscall_number(point.name, point.abi)
        if number is None:
            raise UnsupportedError(f"system call {point.name}", "another version")
        is_compat = point.abi in COMPAT_ABIS
        row = number | (c.GUARD_COMPAT if is_compat else 0)
        guard = self._guards.get(point.through) or self._load(point.through, target)
        guard.calls[hook] = row
        self._write(guard, row, hook)
        has_io_uring = point.name in IO_URING_CALLS and not is_compat
        if has_io_uring and len(guard.io_uring) < c.GUARD_IO_URING_MAX:
            guard.io_uring.append(hook)
            self._write(guard, c.GUARD_IO_URING + len(guard.io_uring) - 1, hook)
        return guard.program

    def remove(self, through: str, hook: int) -> None:
        """Take a hook away, and the program with the last of its hooks."""
        guard = self._guards[through]
        row = guard.calls.pop(hook)
        # Of a hook that took its place, or whose place it took.
        others = [other for other, its in guard.calls.items() if its == row]
        if others:
            self._write(guard, row, others[-1])
        else:
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
            del self._guards[through]

    def of_hook(self, hook: int) -> tuple[str, Program | PinnedProgram] | None:
        """LSM hook and program of a hook that one of them decides for."""
        for through, guard in self._guards.items():
            if hook in guard.calls:
                return through, guard.program
        return None

    def save(self) -> dict[str, Any]:
        """What `restore` needs, apart from what is pinned."""
        guards = {
            through: (guard.number, dict(guard.calls), list(guard.io_uring))
            for through, guard in self._guards.items()
        }
        return {"next": self._next, "guards": guards}

    def restore(self, saved: Mapping[str, Any], pins: Pins) -> None:
        """Take over what an earlier agent has pinned."""
        self._next = saved["next"]
        for through, (number, calls, io_uring) in saved["guards"].items():
            undo, owner = contextlib.ExitStack(), f"guard-{number}"
            [program] = pins.programs(owner, undo).values()
            for link in pins.links(owner):
                undo.enter_context(link)
            self._guards[through] = _Guard(
                number, program, undo, dict(calls), list(io_uring)
            )

    def forget_others(self) -> set[str]:
        """Remove what no hook of these has written; whose links are wanted."""
        ours = {
            _key(guard, row)
            for guard in self._guards.values()
            for row in (
                *guard.calls.values(),
                *(c.GUARD_IO_URING + i for i in range(len(guard.io_uring))),
            )
        }
        for key in list(self._map.keys()):
            if key not in ours:
                self._map.delete(key)
        return {f"guard-{guard.number}" for guard in self._guards.values()}

    def _load(self, lsm_hook: str, target: SecurityTarget) -> _Guard:
        owner = self._shared.named(f"guard-{self._next}")
        with contextlib.ExitStack() as undo, owner:
            number = self._next
            program = self._programs.load("guard", lsm_hook, number, target, undo)
            guard = _Guard(self._next, program, undo.pop_all())
        self._next += 1
        self._guards[lsm_hook] = guard
        return guard

    def _write(self, guard: _Guard, row: int, hook: int) -> None:
        self._map.update(_key(guard, row), hook.to_bytes(4, "little"))

    def _delete(self, guard: _Guard, row: int) -> None:
        self._map.delete(_key(guard, row))


def _key(guard: _Guard, row: int) -> bytes:
    return guard.number.to_bytes(4, "little") + row.to_bytes(4, "little")
