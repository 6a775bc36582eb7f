# SPDX-License-Identifier: Apache-2.0
"""Attach points: which programs serve a hook on this kernel, loaded and attached.

Attaching comes before a generation points to the hook, detaching after none does: so
an attached hook that nobody wants runs a few instructions and ends.
"""

from __future__ import annotations

import contextlib
import resource
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from tetragon_py.abi import _generated as c
from tetragon_py.errors import KernelError, UnsupportedError
from tetragon_py.loader.dispatcher import Dispatcher
from tetragon_py.loader.security import (
    COMPAT_ABIS,
    Guards,
    SecurityPrograms,
    lsm_hook_of,
    parameter_constants,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import TypeAlias

    from tetragon_py.compiler.plan import AttachPoint
    from tetragon_py.compiler.target import Signature
    from tetragon_py.libbpf import BpfObject, Link, PinnedProgram, Program
    from tetragon_py.loader.pins import Pins
    from tetragon_py.loader.shared import SharedMaps

    AnyProgram: TypeAlias = Program | PinnedProgram

__all__ = ["HookTarget", "Hooks", "syscall_symbol"]

#: For a function by trampoline, with arguments by number.
_TRAMPOLINE = ("fentry", "fexit", "get_func_arg")
_REGISTERS = 6  # raw arguments of a hit
_SYSCALL_PREFIXES = {
    "x64": "__x64_sys_",
    "i386": "__ia32_sys_",
    "arm64": "__arm64_sys_",
    "arm32": "__arm64_compat_sys_",
}


class HookTarget(Protocol):
    """What has to be known of the kernel to attach: a part of the compiler's Target."""

    @property
    def features(self) -> frozenset[str]:
        """The features that the kernel has (names of libbpf.features)."""

    def function(self, name: str) -> Signature | None:
        """The signature of a function that has a type."""

    def syscall_number(self, name: str, abi: str) -> int | None:
        """The number of a system call in the table of an ABI."""

    def raw_tracepoint(self, name: str) -> Signature | None:
        """The parameters of a raw tracepoint."""

    def lsm_hook(self, name: str) -> Signature | None:
        """The parameters of an LSM hook."""


class Hooks:
    """The hooks that are attached, by number. For one thread.

    Args:
        shared: Whose objects the programs are.
        target: The kernel, for the hooks that come; may be replaced.
    """

    def __init__(self, shared: SharedMaps, target: HookTarget) -> None:
        _allow_descriptors()
        self._shared = shared
        self.target = target
        self._security = SecurityPrograms(shared)
        self._guards = Guards(shared, self._security)
        self._undo: dict[int, contextlib.ExitStack] = {}
        self._programs: dict[int, Sequence[AnyProgram]] = {}
        self._probes: dict[int, list[Link]] = {}  # kprobes, which count themselves
        #: Of all hooks of system calls.
        self.dispatcher = Dispatcher(shared)
        self._missed_before = 0  # by hooks that are gone
        self._counting = threading.Lock()
        self._next = 1
        self._free: deque[int] = deque()  # the longest unused is the next

    def attach(
        self,
        point: AttachPoint,
        *,
        wants_return: bool,
        wants_denial: bool = False,
        prefers_fmod: bool = False,
    ) -> int:
        """Load and attach; the number of the new hook.

        With `wants_denial` it can replace what the function returns; LSM hooks and
        guards always can. That is done by BPF LSM where there is a choice, as its
        programs are never skipped; with `prefers_fmod` by fmod_ret.

        Raises:
            KernelError, UnsupportedError: nothing of this hook stays.
        """
        number = self._free.popleft() if self._free else self._next
        if number >= c.HOOKS_MAX:
            raise UnsupportedError(f"{c.HOOKS_MAX} hooks", "no version", str(point))
        deny = self._attach_denial if prefers_fmod else self._attach_security
        with contextlib.ExitStack() as undo:
            attach = {
                "syscall": self._attach_syscall,
                "function": deny if wants_denial else self._attach_function,
                "call": self._attach_call,
                "guard": self._attach_guard,
                "tracepoint": self._attach_tracepoint,
                "raw_tracepoint": self._attach_raw_tracepoint,
                "lsm": self._attach_lsm,
            }[point.kind]
            with self._shared.named(f"hook-{number}"):
                self._programs[number] = attach(point, number, undo, wants_return)
            self._undo[number] = undo.pop_all()
        self._next = max(self._next, number + 1)
        return number

    def detach(self, number: int) -> None:
        """Take a hook away; its number is free then."""
        with self._counting:
            programs = self._programs.pop(number)
            is_last = number in self.dispatcher and self.dispatcher.is_last
            if number not in self.dispatcher or is_last:
                self._missed_before += _missed(programs)
            self._missed_before += _missed_by(self._probes.pop(number, ()))
        self._undo.pop(number).close()
        self._free.append(number)
        if number in self.dispatcher and self.dispatcher.remove(number):
            self.dispatcher.close()

    def programs(self, number: int) -> Sequence[AnyProgram]:
        """The programs that run for a hook; the dispatcher's are shared by many."""
        return self._programs[number]

    def missed(self) -> int:
        """Hits that no program ran for, by the kernel's own count; only grows.

        Any thread may ask: what is counted is closed only after it was counted last.
        """
        with self._counting:
            by_programs = _missed(
                program
                for programs in list(self._programs.values())
                for program in programs
            )
            by_probes = sum(map(_missed_by, list(self._probes.values())))
            return self._missed_before + by_programs + by_probes

    # ---- for the next agent ----

    def save(self) -> dict[str, Any]:
        """What `restore` needs, apart from what is pinned."""
        return {
            "next": self._next,
            "free": list(self._free),
            "missed": self._missed_before,
            "numbers": list(self._undo),
            "probes": list(self._probes),
            "dispatcher": self.dispatcher.save(),
            "guards": self._guards.save(),
        }

    def restore(
        self,
        saved: Mapping[str, Any],
        points: Mapping[int, AttachPoint],
        pins: Pins,
    ) -> None:
        """Take over what an earlier agent has pinned, as it is.

        Args:
            saved: From its `save`.
            points: Those of the hooks that are wanted; the others are detached.
            pins: Where it is.
        """
        self._next, self._missed_before = saved["next"], saved["missed"]
        self._free.extend(saved["free"])
        self._guards.restore(saved["guards"], pins)
        self.dispatcher.restore(saved["dispatcher"], pins)
        for number in saved["numbers"]:
            self._restore_hook(number, saved, pins, points.get(number))
            if number not in points:
                self.detach(number)

    def _restore_hook(
        self,
        number: int,
        saved: Mapping[str, Any],
        pins: Pins,
        point: AttachPoint | None,
    ) -> None:
        undo = self._undo[number] = contextlib.ExitStack()
        if number in self.dispatcher:
            self._programs[number] = self.dispatcher.programs
            undo.callback(self.dispatcher.clear, number)
            return
        guard = self._guards.of_hook(number)
        if guard is not None:
            through, program = guard
            self._programs[number] = [program]
            undo.callback(self._guards.remove, through, number)
            return
        owner = f"hook-{number}"
        self._programs[number] = list(pins.programs(owner, undo).values())
        links = pins.links(owner)
        for link in links:
            undo.enter_context(link)
        if number in saved["probes"]:
            self._probes[number] = links

    def forget_others(self) -> None:
        """Remove what no hook of these has written or attached."""
        ours = self.dispatcher.forget_others() | self._guards.forget_others()
        ours |= {f"hook-{number}" for number in self._undo}
        pins = self._shared.pins
        if pins is not None:
            for owner in pins.owners() - ours:
                if owner.startswith(("hook-", "guard-", "dispatcher")):
                    pins.remove_owner(owner)

    def leave(self) -> None:
        """Let go of all; what is pinned stays attached."""
        self._undo.clear()
        self.dispatcher.leave()

    def close(self) -> None:
        """Detach all."""
        for number in list(self._undo):
            self.detach(number)
        self.dispatcher.close()

    # ---- one kind each ----

    def _attach_syscall(
        self,
        point: AttachPoint,
        number: int,
        undo: contextlib.ExitStack,
        wants_return: bool,  # noqa: FBT001
    ) -> Sequence[AnyProgram]:
        row = self.target.syscall_number(point.name, point.abi)
        if row is None:
            raise UnsupportedError(f"system call {point.name}", "another version")
        is_compat = point.abi in COMPAT_ABIS
        self.dispatcher.add(
            number,
            row,
            is_compat=is_compat,
            wants_return=wants_return,
        )
        undo.callback(self.dispatcher.clear, number)
        return self.dispatcher.programs

    def _attach_function(
        self,
        point: AttachPoint,
        number: int,
        undo: contextlib.ExitStack,
        wants_return: bool,  # noqa: FBT001
    ) -> Sequence[AnyProgram]:
        features = self.target.features
        has_trampoline = all(name in features for name in _TRAMPOLINE)
        if has_trampoline and self.target.function(point.name):
            with contextlib.ExitStack() as attempt, contextlib.suppress(KernelError):
                opened = self._open("function", number, attempt)
                opened.set_constant("has_func_arg", 1)
                programs = self._attach_traced(
                    opened, point.name, "enter_fentry", attempt, wants_return
                )
                undo.enter_context(attempt.pop_all())
                return programs
        opened = self._open("function", number, undo)
        return self._attach_probes(opened, point, number, undo, wants_return)

    def _attach_probes(
        self,
        opened: BpfObject,
        point: AttachPoint,
        number: int,
        undo: contextlib.ExitStack,
        wants_return: bool,  # noqa: FBT001
    ) -> Sequence[AnyProgram]:
        names = ("exit_kprobe", "enter_kprobe")[not wants_return :]
        programs = [opened.programs[name] for name in names]
        for program in programs:
            program.autoload = True
        opened.load()
        self._probes[number] = [
            undo.enter_context(
                program.attach_kprobe(
                    point.name, at_return=program.name == "exit_kprobe"
                )
            )
            for program in programs
        ]
        return programs

    def _attach_tracepoint(
        self,
        point: AttachPoint,
        number: int,
        undo: contextlib.ExitStack,
        wants_return: bool,  # noqa: FBT001 - it has none
    ) -> Sequence[AnyProgram]:
        program = self._load_one("tracepoint", "hit_tracepoint", number, undo)
        subsystem, event = point.name.split("/", 1)
        undo.enter_context(program.attach_tracepoint(subsystem, event))
        return [program]

    def _attach_raw_tracepoint(
        self,
        point: AttachPoint,
        number: int,
        undo: contextlib.ExitStack,
        wants_return: bool,  # noqa: FBT001 - it has none
    ) -> Sequence[AnyProgram]:
        opened = self._open("tracepoint", number, undo)
        _set_parameters(opened, self.target.raw_tracepoint(point.name))
        program = opened.programs["hit_raw_tp"]
        program.autoload = True
        opened.load()
        undo.enter_context(program.attach_raw_tracepoint(point.name))
        return [program]

    def _attach_lsm(
        self,
        point: AttachPoint,
        number: int,
        undo: contextlib.ExitStack,
        wants_return: bool,  # noqa: FBT001 - it has none
    ) -> Sequence[AnyProgram]:
        return [self._security.load("decide", point.name, number, self.target, undo)]

    def _attach_guard(
        self,
        point: AttachPoint,
        number: int,
        undo: contextlib.ExitStack,
        wants_return: bool,  # noqa: FBT001 - it has none
    ) -> Sequence[AnyProgram]:
        program = self._guards.add(point, number, self.target)
        undo.callback(self._guards.remove, point.through, number)
        return [program]

    # ---- by what replaces the result ----

    def _attach_security(
        self,
        point: AttachPoint,
        number: int,
        undo: contextlib.ExitStack,
        wants_return: bool,  # noqa: FBT001
    ) -> Sequence[AnyProgram]:
        hook = lsm_hook_of(point.name, self.target)
        if hook is None or wants_return or "lsm" not in self.target.features:
            return self._attach_denial(point, number, undo, wants_return)
        return [self._security.load("decide", hook, number, self.target, undo)]

    def _attach_denial(
        self,
        point: AttachPoint,
        number: int,
        undo: contextlib.ExitStack,
        wants_return: bool,  # noqa: FBT001
    ) -> Sequence[AnyProgram]:
        if "fmod_ret" not in self.target.features:
            return self._attach_override(point, number, undo, wants_return)
        opened = self._open("function", number, undo)
        _set_constants(opened, self.target.function(point.name), self.target)
        return self._attach_traced(
            opened, point.name, "override_fmod", undo, wants_return
        )

    def _attach_call(
        self,
        point: AttachPoint,
        number: int,
        undo: contextlib.ExitStack,
        wants_return: bool,  # noqa: FBT001
    ) -> Sequence[AnyProgram]:
        opened = self._open("function", number, undo)
        symbol = syscall_symbol(point)
        return self._attach_traced(opened, symbol, "override_call", undo, wants_return)

    def _attach_traced(
        self,
        opened: BpfObject,
        function: str,
        name: str,
        undo: contextlib.ExitStack,
        wants_return: bool,  # noqa: FBT001
    ) -> Sequence[AnyProgram]:
        names = ("exit_fentry", name)[not wants_return :]
        programs = [opened.programs[one] for one in names]
        for program in programs:
            program.autoload = True
            program.set_target(function)
        opened.load()
        for program in programs:
            undo.enter_context(program.attach())
        return programs

    def _attach_override(
        self,
        point: AttachPoint,
        number: int,
        undo: contextlib.ExitStack,
        wants_return: bool,  # noqa: FBT001
    ) -> Sequence[AnyProgram]:
        opened = self._open("function", number, undo)
        opened.set_constant("can_override", 1)
        return self._attach_probes(opened, point, number, undo, wants_return)

    def _open(self, name: str, number: int, undo: contextlib.ExitStack) -> BpfObject:
        opened = self._shared.open(name, undo)
        opened.set_constant("hook_number", number)
        return opened

    def _load_one(
        self, name: str, program: str, number: int, undo: contextlib.ExitStack
    ) -> Program:
        opened = self._open(name, number, undo)
        opened.programs[program].autoload = True
        opened.load()
        return opened.programs[program]


def _allow_descriptors() -> None:
    """Each object holds some forty descriptors: take as many as this process may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _missed(programs: Iterable[AnyProgram]) -> int:
    by_fd = {program.fd: program for program in programs}
    return sum(program.info().recursion_misses for program in by_fd.values())


def _missed_by(probes: Iterable[Link]) -> int:
    return sum(probe.missed() for probe in probes)


def _set_constants(
    opened: BpfObject, signature: Signature | None, target: HookTarget
) -> None:
    for name, value in parameter_constants(signature, target).items():
        opened.set_constant(name, value)


def _set_parameters(opened: BpfObject, signature: Signature | None) -> None:
    count = len(signature.parameters) if signature else 0
    opened.set_constant("parameters", min(count, _REGISTERS))


def syscall_symbol(point: AttachPoint) -> str:
    """The function of a system call, as the kernel names it: "__x64_sys_openat"."""
    return _SYSCALL_PREFIXES[point.abi] + point.name
