# SPDX-License-Identifier: Apache-2.0
"""BPF objects that are only noted: what would be loaded, and where attached."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

from tetragon_py.errors import KernelError, VerifierError

__all__ = ["FakeShared"]


class FakeMap:
    """A hash: keys and values as bytes."""

    def __init__(self):
        self.rows = {}

    def update(self, key, value):
        self.rows[key] = value

    def lookup(self, key):
        return self.rows.get(key)

    def delete(self, key):
        del self.rows[key]


class FakeProgram:
    """A program of an object; attached it is in the list of the kernel."""

    def __init__(self, name, kernel):
        self.name = name
        self.autoload = False
        self.target = ""
        self.fd = id(self)
        self._kernel = kernel

    def set_target(self, function):
        self.target = function

    def info(self):
        return SimpleNamespace(recursion_misses=0)

    def attach(self):
        return self._attached(self.target)

    def attach_kprobe(self, function, *, at_return):
        assert at_return is self.name.startswith("exit")
        return self._attached(function)

    @contextlib.contextmanager
    def _link(self, place):
        self._kernel.attached.append(place)
        yield SimpleNamespace(missed=lambda: self._kernel.missed.get(place, 0))
        self._kernel.attached.remove(place)

    def _attached(self, function):
        if function in self._kernel.cannot_attach:
            raise KernelError("attach", 22, function)
        return self._link(f"{self.name} {function}".strip())


class FakeObject:
    """An object: all programs that anybody asks for are in it."""

    def __init__(self, name, kernel):
        self.name = name
        self.constants = {}
        self.is_loaded = False
        self.programs = Programs(kernel)
        self._kernel = kernel

    def set_constant(self, name, value):
        self.constants[name] = value

    def load(self):
        if self._kernel.refused & self.constants.keys():
            raise VerifierError(self.name, 22, "")
        self.is_loaded = True


class Programs(dict[str, FakeProgram]):
    def __init__(self, kernel):
        super().__init__()
        self._kernel = kernel

    def __missing__(self, name):  # as if all objects had all programs
        self[name] = FakeProgram(name, self._kernel)
        return self[name]


class FakeShared:
    """SharedMaps without a kernel.

    Attributes:
        attached: "program function" of each link that is there.
        objects: Those that are open.
        refused: Constants with which the verifier lets nothing pass.
        cannot_attach: Functions.
        owners: Whose links were made, in their order.
        missed: Attached program -> hits that the kernel has counted as missed.
    """

    def __init__(self):
        self.pins = None
        self.owners = []
        self.maps = {"guards": FakeMap(), "syscalls": FakeMap()}
        self.attached = []
        self.objects = []
        self.refused = set()
        self.cannot_attach = set()
        self.missed = {}

    @contextlib.contextmanager
    def named(self, owner):
        self.owners.append(owner)
        yield

    def open(self, name, undo):
        made = FakeObject(name, self)
        self.objects.append(made)
        undo.callback(self.objects.remove, made)
        return made
