# SPDX-License-Identifier: Apache-2.0
"""The word list "flags" of a process in Tetragon's JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tetragon_py.abi import _generated as c

if TYPE_CHECKING:
    from tetragon_py.events.process import Process

__all__ = ["flag_words"]

_USUAL = {0: b"execve", c.EXEC_AFTER_FORK: b"execve clone"}
_PRIVILEGES = c.EXEC_SETUID | c.EXEC_SETGID | c.EXEC_FILE_CAPS


def flag_words(process: Process, *, arguments_cut: bool = False) -> bytes:
    """Words in Tetragon's order: how the process came about, what is missing of it.

    Args:
        process: Whose words.
        arguments_cut: Its arguments are not shown as a whole.
    """
    event = process.exec
    image = event.image
    if not process.known:
        return b"unknown"
    if process.forked:
        return b"execve truncArgs" if arguments_cut else b"execve"
    unusual = (
        image.errors
        or event.errors
        or event.from_procfs
        or process.in_init_tree
        or arguments_cut
    )
    if not unusual and not image.cwd_flags and len(image.cwd) > 1:
        words = _USUAL.get(event.flags & ~_PRIVILEGES)
        if words:
            return words
    return " ".join(_words(process, arguments_cut=arguments_cut)).encode()


def _words(process: Process, *, arguments_cut: bool) -> list[str]:
    event = process.exec
    image = event.image
    errors = (image.errors or {}) | (event.errors or {})
    cwd_is_wrong = image.cwd_flags & (c.PATH_CUT | c.PATH_UNREACHABLE)
    told = {
        "procFS" if event.from_procfs else "execve": True,
        "errorEnvs": "environment" in errors,
        "truncArgs": arguments_cut or event.flags & c.EXEC_ARGUMENTS_CUT,
        "miss": event.flags & c.EXEC_PARENT_UNKNOWN,
        "errorFilename": "filename" in errors,
        "errorArgs": "arguments" in errors,
        "nocwd": not image.cwd and not event.from_procfs,
        "rootcwd": image.cwd == b"/",
        "errorCWD": "cwd" in errors,
        "clone": event.flags & c.EXEC_AFTER_FORK and not event.from_procfs,
        "errorPathResolutionCwd": cwd_is_wrong,
        "inInitTree": process.in_init_tree,
    }
    return [word for word, holds in told.items() if holds]
