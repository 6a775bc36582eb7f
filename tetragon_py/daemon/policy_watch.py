# SPDX-License-Identifier: Apache-2.0
"""Notices that policy files have changed, and waits until whoever writes is done.

Two calls of the C library by ctypes: inotify_simple looks for that library by running
other programs, which nothing that runs as root should do.
"""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING, Final

import structlog

from tetragon_py.policy.source import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tetragon_py.daemon.control import Control

__all__ = ["PolicyWatch"]

log = structlog.get_logger("watch")
#: Quiet for so long: whoever writes several files is done.
_SETTLE_SECONDS = 0.5
#: Who never stops writing has what there is read this often.
_PATIENCE_SECONDS = 10.0
_BUFFER_BYTES = 1 << 16
_HEAD: Final = Struct("=iIII")  # struct inotify_event: wd, mask, cookie, bytes of name
# <sys/inotify.h>; writing goes on as long as there are IN_MODIFY.
_MODIFY, _ATTRIB, _CLOSE_WRITE = 0x2, 0x4, 0x8
_MOVED, _CREATE, _DELETE = 0x40 | 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _OVERFLOW, _IGNORED = 0x400, 0x800, 0x4000, 0x8000
_ONLYDIR = 0x1000000
_IN_FOLDER = _MODIFY | _ATTRIB | _CLOSE_WRITE | _MOVED | _CREATE | _DELETE
_MASK: Final = _IN_FOLDER | _DELETE_SELF | _MOVE_SELF | _ONLYDIR
#: The link that a mounted ConfigMap switches.
_CONFIG_MAP = "..data"


class PolicyWatch:
    """The directories that policies come from. For the control side.

    Args:
        paths: Files and directories; they need not exist.
        control: Tells when there is something to read.
        reload: Called when files have changed and then are left alone.

    Raises:
        OSError: There is no inotify to be had.
    """

    def __init__(
        self, paths: Iterable[Path], control: Control, reload: Callable[[], object]
    ) -> None:
        self._paths = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100 - links stay
        self._control = control
        self._reload = reload
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._call("inotify_init1", os.O_NONBLOCK | os.O_CLOEXEC)
        #: Watch -> names that matter in that directory; None: all that look like it.
        self._wanted: dict[int, set[str] | None] = {}
        self._first = self._last = 0.0
        control.watch(self._fd, self._look)
        self._renew()

    def close(self) -> None:
        """Watch no more."""
        self._control.forget(self._fd)
        os.close(self._fd)

    def _renew(self) -> None:
        """Watch what is there now: directories come and go."""
        self._wanted = {}
        for path in self._paths:
            if path.is_dir():
                self._add(path, None)
            folder, name = path.parent, path.name
            while not folder.is_dir() and folder != folder.parent:
                folder, name = folder.parent, folder.name
            self._add(folder, name)

    def _add(self, folder: Path, name: str | None) -> None:
        try:
            watch = self._call(
                "inotify_add_watch", self._fd, os.fsencode(folder), _MASK
            )
        except OSError as error:
            log.warning(
                "directory is not watched", folder=str(folder), error=error.strerror
            )
            return
        names = self._wanted.setdefault(watch, set())
        if name is None:
            self._wanted[watch] = None
        elif names is not None:
            names.add(name)

    def _look(self) -> None:
        if not any([self._matters(*event) for event in self._events()]):  # noqa: C419 - all are read
            return
        now = self._last = time.monotonic()
        if not self._first:
            self._first = now
            self._control.after(_SETTLE_SECONDS, self._settle)

    def _settle(self) -> None:
        now = time.monotonic()
        quiet = now - self._last
        if quiet < _SETTLE_SECONDS and now - self._first < _PATIENCE_SECONDS:
            self._control.after(_SETTLE_SECONDS - quiet, self._settle)
            return
        self._first = 0.0
        self._renew()
        self._reload()

    def _matters(self, watch: int, mask: int, name: str) -> bool:
        if mask & _OVERFLOW:
            return True
        if mask & _IGNORED or watch not in self._wanted:
            return False
        names = self._wanted[watch]
        if names is not None:
            return name in names
        looks_like_policy = Path(name).suffix in SUFFIXES and name[0] != "."
        return not name or looks_like_policy or name == _CONFIG_MAP

    def _events(self) -> Iterator[tuple[int, int, str]]:
        try:
            data = os.read(self._fd, _BUFFER_BYTES)
        except BlockingIOError:
            return
        at = 0
        while at < len(data):
            watch, mask, _, size = _HEAD.unpack_from(data, at)
            at += _HEAD.size + size
            yield watch, mask, os.fsdecode(data[at - size : at].rstrip(b"\0"))

    def _call(self, name: str, *arguments: object) -> int:
        result: int = getattr(self._libc, name)(*arguments)
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), name)
        return result
