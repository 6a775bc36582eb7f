# SPDX-License-Identifier: Apache-2.0
"""User names from the host's /etc/passwd.

In comes a user id and the time, out goes a name. Only the file is read: other sources
of the name service may ask the network, and would make the agent wait for it.
"""

from __future__ import annotations

import os
from typing import Final

__all__ = ["UserNames"]

_FIELD_COUNT: Final = 7
_UID_MAX: Final = 2**32 - 1


class UserNames:
    """Maps user ids to names, and notices when the file changes. Not thread-safe."""

    #: How often the file is looked at.
    CHECK_NS = 1_000_000_000

    def __init__(self, path: str = "/etc/passwd") -> None:
        self._path = path
        self._names: dict[int, str] = {}
        self._version: tuple[int, int, int] | None = None
        self._next_check_ns: int | None = None

    def lookup(self, uid: int, now_ns: int) -> str:
        """Return the name of `uid`, "" if it has none.

        Args:
            uid: As the initial user namespace numbers it.
            now_ns: Any clock that does not go back; the same one in each call.
        """
        if self._next_check_ns is None or now_ns >= self._next_check_ns:
            self._next_check_ns = now_ns + self.CHECK_NS
            self._refresh()
        return self._names.get(uid, "")

    def _refresh(self) -> None:
        # A file that cannot be read leaves the names as they were: editors replace it.
        try:
            if self._version == _version(os.stat(self._path)):  # noqa: PTH116 - one system call
                return
            with open(self._path, "rb") as file:  # noqa: PTH123 - as above
                version = _version(os.fstat(file.fileno()))
                names = _parse(file.read())
        except OSError:
            return
        self._version = version
        self._names = names


def _version(stat: os.stat_result) -> tuple[int, int, int]:
    # With inode and size: the clock of mtime is coarser than two edits may be apart.
    return stat.st_mtime_ns, stat.st_ino, stat.st_size


def _parse(text: bytes) -> dict[int, str]:
    names: dict[int, str] = {}
    for line in text.split(b"\n"):
        fields = line.split(b":")
        # "+" and "-" are the name service's own lines.
        if len(fields) != _FIELD_COUNT or fields[0][:1] in {b"", b"#", b"+", b"-"}:
            continue
        if not fields[2].isdigit() or len(fields[2]) > len(str(_UID_MAX)):
            continue
        uid = int(fields[2])
        if uid <= _UID_MAX:
            # The first line of a uid counts, as in getpwuid(3).
            names.setdefault(uid, fields[0].decode("utf-8", "replace"))
    return names
