# SPDX-License-Identifier: Apache-2.0
"""Hooks are tried out: what a call claims to hit, it hits, and nothing else happens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tetragon_py.compiler.plan import AttachPoint
from tetragon_py.loader import triggers
from tetragon_py.loader.kernel import KernelTarget
from tetragon_py.loader.triggers import trigger

if TYPE_CHECKING:
    import ctypes


def test_every_call_is_refused_or_changes_nothing(monkeypatch):
    """All of them with -1 and zeros: an errno, or the number of something that is."""
    target = KernelTarget()
    abi = target.native_abi
    results: dict[int, int] = {}

    class Libc:
        def syscall(self, *arguments: ctypes.c_long) -> None:
            result = real.syscall(*arguments)
            results[arguments[0].value] = result if result >= 0 else -1

    real = triggers._LIBC
    monkeypatch.setattr(triggers, "_LIBC", Libc())
    names = sorted(triggers._REFUSED_CALLS)
    points = [AttachPoint("syscall", name, abi) for name in names]
    before = {path.name for path in Path("/proc/self/fd").iterdir()}
    hit = trigger(points, target)
    harmless = {"getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getpgid"}

    assert {point.name for point in hit} == {
        name for name in names if target.syscall_number(name, abi) is not None
    }
    assert {
        name
        for name in names
        if results.get(target.syscall_number(name, abi) or -1, -1) >= 0
    } <= harmless
    assert {path.name for path in Path("/proc/self/fd").iterdir()} == before


def test_other_hooks_are_not_claimed():
    """Of another ABI, or a function that only some files pass: nothing is promised."""
    target = KernelTarget()
    points = [
        AttachPoint("syscall", "reboot", target.native_abi),
        AttachPoint("syscall", "openat", "i386"),
        AttachPoint("function", "tcp_connect"),
        AttachPoint("function", "security_file_open"),
    ]

    assert trigger(points, target) == {points[3]}
