# SPDX-License-Identifier: Apache-2.0
"""The running kernel as the compiler's `Target`.

Answers come from BTF, /proc/kallsyms, tracefs and the probes; each is read at the first
question that needs it. Without root some cannot be had: `KernelTarget.unjudged` says
which and why.
"""

from __future__ import annotations

import os
from collections.abc import Set as AbstractSet
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.target import CType, Signature
from tetragon_py.libbpf import features
from tetragon_py.libbpf.btf import KIND_FUNC, KIND_TYPEDEF, MODULES, Btf
from tetragon_py.libbpf.maps import can_create
from tetragon_py.loader.kernel_types import TypeReader
from tetragon_py.loader.symbols import Symbols
from tetragon_py.loader.syscalls import Syscalls
from tetragon_py.loader.tracefs import Tracefs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from tetragon_py.compiler.plan import PointKind
    from tetragon_py.compiler.target import Member, TracepointField
    from tetragon_py.loader.symbols import Symbol

__all__ = ["KernelTarget", "read_namespaces"]

#: struct namespaces of bpf/abi/process.h: also the names of the files in /proc/PID/ns
_NAMESPACES = (
    *("uts", "ipc", "mnt", "pid", "pid_for_children", "net", "time"),
    *("time_for_children", "cgroup", "user"),
)
_PROC = Path("/proc")
_HASH = 1  # BPF_MAP_TYPE_HASH
_VOID = CType("void")
#: A function that each tracepoint has, since Linux commit d25e37d89dd2 ("tracepoint:
#: Optimize using static_call()") (v5.10): it tells whose the tracepoint is.
_TRACEPOINT_SYMBOL = "__traceiter_{}"
#: Its members are the LSM hooks; bpf_lsm_* is the name of other functions too.
_LSM_HOOKS = "security_list_options"


class KernelTarget:
    """What a policy set is compiled against, as long as `is_current`.

    Modules come and go, and what was read (symbols: some megabytes) is kept as long as
    this lives. For one thread.
    """

    def __init__(
        self,
        symbols: Symbols | None = None,
        tracefs: Tracefs | None = None,
        proc: Path = _PROC,
    ) -> None:
        self._symbols = symbols or Symbols()
        self._tracefs = tracefs or Tracefs()
        self._proc = proc
        self._changeable = self._read_changeable()
        self._functions = _Functions(self._symbols)
        self._syscalls = Syscalls(os.uname().machine, self._functions.has_entry)
        self._modules: dict[str, TypeReader | None] = {}
        self._names: dict[str, tuple[str, ...]] = {}

    @property
    def is_current(self) -> bool:
        """Whether the kernel still has the same modules and the same dynamic events."""
        return self._changeable == self._read_changeable()

    @property
    def native_abi(self) -> str:
        """The ABI of 64-bit programs."""
        return self._syscalls.native_abi

    @cached_property
    def text_bytes_max(self) -> int:
        """Longest text that a hash key holds: without root as on the newest kernels."""
        if os.geteuid() != 0 or can_create(_HASH, c.LONG_TEXT_KEY_SIZE, 4):
            return c.LONG_TEXT_BYTES
        return c.SHORT_TEXT_BYTES

    @cached_property
    def features(self) -> frozenset[str]:
        """The features that the kernel has; each is probed when it is asked for."""
        # all that the protocol's users do is ask for members
        return cast("frozenset[str]", _Probed())

    @cached_property
    def host_namespaces(self) -> Mapping[str, int]:
        """The namespaces of process 1, or this process's if those may not be read."""
        return read_namespaces(self._proc / "1") or read_namespaces(self._proc / "self")

    def has_symbol(self, name: str) -> bool:
        """Whether the kernel or a module has a function of this name."""
        return self._functions.has(name)

    def symbol(self, name: str) -> Symbol | None:
        """Whose function this is, and how many have the name; from /proc/kallsyms."""
        return self._symbols.find(name)

    def function(self, name: str) -> Signature | None:
        """The signature of a kernel function from BTF, vmlinux's first."""
        return self._first(name, name, TypeReader.function)

    def syscall_number(self, name: str, abi: str) -> int | None:
        """The number of a system call, or None."""
        return self._syscalls.number(name, abi)

    def syscall_names(self, abi: str) -> Collection[str]:
        """All calls of an ABI that the kernel has, in the order of their numbers."""
        return self._syscalls.names(abi)

    def syscall_entry(self, name: str, abi: str) -> str | None:
        """The kernel function of a system call; None: to be seen by its number only."""
        return self._syscalls.entry(name, abi)

    def tracepoint(
        self, subsystem: str, event: str
    ) -> tuple[TracepointField, ...] | None:
        """The fields of a tracepoint from its format file."""
        return self._tracefs.fields(subsystem, event)

    def raw_tracepoint(self, name: str) -> Signature | None:
        """The arguments of a raw tracepoint, without the hidden first one."""
        witness = _TRACEPOINT_SYMBOL.format(name)
        found = self._first(f"btf_trace_{name}", witness, TypeReader.function_type)
        return found and Signature(found.parameters[1:], _VOID)

    def lsm_hook(self, name: str) -> Signature | None:
        """The signature of bpf_lsm_<name>."""
        if not self._vmlinux or (self._lsm_hooks and name not in self._lsm_hooks):
            return None
        return self._vmlinux.function(f"bpf_lsm_{name}")

    def names(self, kind: PointKind) -> Collection[str]:
        """All names of a kind, sorted.

        Of functions those that ftrace can hook, where it tells, else all.
        """
        if kind not in self._names:
            self._names[kind] = tuple(sorted(self._list(kind)))
        return self._names[kind]

    def struct(self, name: str, module: str = "") -> CType | None:
        """The struct or union of this tag, or a typedef of one."""
        reader = self._reader(module)
        return reader.record(name) if reader else None

    def members(self, struct: CType) -> tuple[Member, ...]:
        """The members of a struct or union that came from here."""
        reader = self._reader(struct.module)
        return reader.members(struct.id) if reader and struct.id else ()

    @property
    def unjudged(self) -> dict[str, str]:
        """What cannot be told here, with the reason; as far as it was asked for.

        Keys: "types", "functions", "tracepoints", "features", "host namespaces".
        """
        problems = {
            "types": "" if self._vmlinux else f"{MODULES}/vmlinux is missing",
            "functions": self._symbols.problem,
            "tracepoints": self._tracefs.problem,
            "features": "" if os.geteuid() == 0 else "only root may try them",
            "host namespaces": ""
            if read_namespaces(self._proc / "1")
            else "those of process 1 may not be read: this process's are taken",
        }
        return {subject: reason for subject, reason in problems.items() if reason}

    @property
    def _vmlinux(self) -> TypeReader | None:
        return self._functions.vmlinux

    @cached_property
    def _lsm_hooks(self) -> frozenset[str]:
        union = self.struct(_LSM_HOOKS)
        members = self.members(union) if union else ()
        return frozenset(hook.name for hook in members)

    # Of a module name, size and address: who uses it does not matter.
    def _read_changeable(self) -> tuple[frozenset[tuple[str, ...]], str]:
        try:
            lines = (self._proc / "modules").read_text().splitlines()
        except OSError:
            lines = []
        columns = (line.split() for line in lines)
        modules = frozenset((*words[:2], *words[5:6]) for words in columns)
        return modules, self._tracefs.dynamic_events()

    # From vmlinux, else from the module that the symbol `witness` belongs to.
    def _first(
        self,
        name: str,
        witness: str,
        look_up: Callable[[TypeReader, str], Signature | None],
    ) -> Signature | None:
        if not self._vmlinux:
            return None
        found = look_up(self._vmlinux, name)
        if found is None and (symbol := self._symbols.find(witness)) and symbol.module:
            reader = self._reader(symbol.module)
            return look_up(reader, name) if reader else None
        return found

    def _reader(self, module: str) -> TypeReader | None:
        if module in {"", "vmlinux"}:
            return self._vmlinux
        # users write a module's name as its file is called
        name = module.replace("-", "_")
        if name not in self._modules:
            self._modules[name] = self._open(name)
        return self._modules[name]

    def _open(self, module: str) -> TypeReader | None:
        if not self._vmlinux or not module.replace("_", "").isalnum():
            return None
        types = Btf.open(MODULES / module, self._vmlinux.types)
        return TypeReader(types, self._vmlinux, module) if types else None

    def _list(self, kind: PointKind) -> Collection[str]:
        if kind == "syscall":
            return self.syscall_names(self.native_abi)
        if kind == "tracepoint":
            return self._tracefs.events
        if kind == "raw_tracepoint":
            return self._typed(KIND_TYPEDEF, "btf_trace_")
        if kind == "lsm":
            found = self._typed(KIND_FUNC, "bpf_lsm_")
            return self._lsm_hooks.intersection(found) or found
        listed = self._tracefs.functions or self._symbols.functions
        return listed or self._typed(KIND_FUNC, "")

    def _typed(self, kind: int, prefix: str) -> list[str]:
        return self._vmlinux.types.names(kind, prefix) if self._vmlinux else []


class _Functions:
    """Which functions the kernel has: BTF knows at once, the rest is searched for.

    Not a part of the target, so that nothing there refers to itself: its megabytes go
    with the last reference.
    """

    def __init__(self, symbols: Symbols) -> None:
        self._symbols = symbols
        self._entries: dict[str, frozenset[str]] = {}

    @cached_property
    def vmlinux(self) -> TypeReader | None:
        types = Btf.kernel()
        return TypeReader(types) if types else None

    def has(self, name: str) -> bool:
        return self._is_typed(name) or self._symbols.find(name) is not None

    # Hundreds may be asked for at once: those without BTF take one search in all.
    def has_entry(self, prefix: str, call: str) -> bool:
        name = prefix + call
        if self._is_typed(name):
            return True
        if prefix not in self._entries:
            self._entries[prefix] = self._symbols.beginning_with(prefix)
        return name in self._entries[prefix]

    def _is_typed(self, name: str) -> bool:
        return bool(self.vmlinux and self.vmlinux.find(name, KIND_FUNC))


class _Probed(AbstractSet[str]):
    """The names of the features that the kernel has.

    A probe takes up to 0.1 s (it waits for the kernel to detach), so each is made when
    it is needed.
    """

    def __contains__(self, name: object) -> bool:
        return name in features.FEATURES and features.probe(str(name)).available

    def __iter__(self) -> Iterator[str]:
        return (name for name in features.FEATURES if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def read_namespaces(process: Path) -> dict[str, int]:
    """Kind -> inode number of a process's namespaces; empty if it may not be read."""
    found = {}
    for name in _NAMESPACES:
        try:
            found[name] = (process / "ns" / name).stat().st_ino
        except FileNotFoundError:
            continue  # this kernel has no such kind
        except OSError:
            return {}
    return found
