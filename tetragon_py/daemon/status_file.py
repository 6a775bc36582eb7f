# SPDX-License-Identifier: Apache-2.0
"""The agent's state as a file that others read: written whole or not at all.

It names the process that wrote it by pid and start, so that a file which a dead agent
has left behind is known as such.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tetragon_py.errors import TetragonError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["STATUS_NAME", "Found", "StatusFile", "read_status"]

STATUS_NAME: Final = "status.json"
_FOLDER_MODE = 0o750
_FILE_MODE = 0o640
_START_FIELD = 19  # of /proc/PID/stat, counted from the state: field 22
_SIZE_MAX_BYTES = 16 << 20


class StatusFile:
    """`status.json` in a folder. For one thread.

    Args:
        folder: The runtime directory; made if it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / STATUS_NAME
        self._who = {"pid": os.getpid(), "pid_start": _start_of(os.getpid())}

    def write(self, state: Mapping[str, Any]) -> None:
        """Replace what it said.

        Raises:
            OSError: It cannot be written; what it said before stays.
        """
        folder = self._path.parent
        # One level only: a folder above that is missing is a mistake.
        if not folder.is_dir():
            folder.mkdir(mode=_FOLDER_MODE)
            folder.chmod(_FOLDER_MODE)  # whatever the umask
        body = {**self._who, "written_boottime_ns": _now_ns(), **state}
        fresh = self._path.with_name(f".{STATUS_NAME}.new")
        fresh.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        with open(os.open(fresh, flags, _FILE_MODE), "wb") as file:  # noqa: PTH123 - of a descriptor
            os.fchmod(file.fileno(), _FILE_MODE)
            file.write(json.dumps(body, indent=1).encode() + b"\n")
        fresh.replace(self._path)


@dataclass(frozen=True, slots=True)
class Found:
    """What a status file says, and what is to be said about it.

    Attributes:
        state: The agent's own words.
        age_seconds: Since it was written.
        is_alive: Whether the process that wrote it lives.
    """

    state: Mapping[str, Any]
    age_seconds: float
    is_alive: bool


def read_status(folder: Path) -> Found | None:
    """Read the state of the agent; None if there never was one.

    Raises:
        TetragonError: The file is there and cannot be read.
    """
    path = folder / STATUS_NAME
    try:
        with path.open("rb") as file:
            state = json.loads(file.read(_SIZE_MAX_BYTES))
        pid, start = int(state["pid"]), int(state["pid_start"])
        written = int(state["written_boottime_ns"])
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise TetragonError(f"{path}: permission denied: try it with sudo") from error
    except OSError as error:
        raise TetragonError(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise TetragonError(f"{path} is not a status file: remove it") from error
    try:
        is_alive = _start_of(pid) == start
    except OSError:
        is_alive = False
    return Found(state, max(0.0, (_now_ns() - written) / 1e9), is_alive)


def _start_of(pid: int) -> int:
    """When a process began, in clock ticks since boot."""
    text = Path(f"/proc/{pid}/stat").read_bytes()
    return int(text.rpartition(b")")[2].split()[_START_FIELD])


def _now_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
