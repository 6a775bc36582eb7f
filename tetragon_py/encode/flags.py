# SPDX-License-Identifier: Apache-2.0
"""The word list "flags" of a process in Tetragon's JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tetragon_py.abi import _generated as c

if TYPE_CHECKING:
    from tetragon_py.events.process import Process

__all__ = ["flag_words"]

_USUAL = {0: "execve", c.EXEC_AFTER_FORK: "execve clone"}
_PRIVILEGES = c.EXEC_SETUID | c.EXEC_SETGID | c.EXEC_FILE_CAPS


def flag_words(process: Process) -> str:
    """Words in Tetragon's order: how the process came about, what is missing of it."""
    image = process.image
    if not process.known:
        return "unknown"
    if process.forked:
        return "execve"
    unusual = (
        image.errors or image.from_procfs or process.in_init_tree or len(image.cwd) < 2
    )
    if not unusual and not image.cwd_flags:
        words = _USUAL.get(image.flags & ~_PRIVILEGES)
        if words:
            return words
    return " ".join(_words(process))


def _words(process: Process) -> list[str]:
    image = process.image
    errors = image.errors or {}
    cwd_is_wrong = image.cwd_flags & (c.PATH_CUT | c.PATH_UNREACHABLE)
    told = {
        "procFS" if image.from_procfs else "execve": True,
        "errorEnvs": "environment" in errors,
        "truncArgs": image.flags & c.EXEC_ARGUMENTS_CUT,
        "miss": image.flags & c.EXEC_PARENT_UNKNOWN,
        "errorFilename": "filename" in errors,
        "errorArgs": "arguments" in errors,
        "nocwd": not image.cwd and not image.from_procfs,
        "rootcwd": image.cwd == b"/",
        "errorCWD": "cwd" in errors,
        "clone": image.flags & c.EXEC_AFTER_FORK and not image.from_procfs,
        "errorPathResolutionCwd": cwd_is_wrong,
        "inInitTree": process.in_init_tree,
    }
    return [word for word, holds in told.items() if holds]
