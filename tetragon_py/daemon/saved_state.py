# SPDX-License-Identifier: Apache-2.0
"""What the next agent has to know apart from what is pinned: <name>/<world>/.

    state     who wrote it, which version, and the policies in force
    journal   processes, see daemon.journal
    told      losses and repeats that were told

In the runtime directory: that outlives the agent and not the boot, as pins do. The
first line of `state` is JSON that any version can read; the rest is only for the same.
"""

from __future__ import annotations

import os
import pickle
import shutil
import zlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["Header", "SavedState"]

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Header:
    """Two agents of which these are equal can go on with the same programs and maps."""

    version: str
    objects: str  # digest of the BPF objects
    abi: str  # digest of what both sides know of maps and records
    limits: list[Any]
    format: int = _FORMAT

    @classmethod
    def read(cls, line: bytes) -> Header | None:
        """One from its line; None if it is not readable or of another format."""
        try:
            found = cls(**orjson.loads(line))
        except (TypeError, ValueError):
            return None
        return found if found.format == _FORMAT else None


class SavedState:
    """The files of one world. Its folder is made when something is written.

    Args:
        parent: The folder of all worlds.
        number: Of the world.
    """

    def __init__(self, parent: Path, number: int) -> None:
        self.folder = parent / str(number)
        self.journal_path = self.folder / "journal"

    def read_header(self) -> Header | None:
        """Who wrote the state; None if there is none that can be read."""
        try:
            with (self.folder / "state").open("rb") as file:
                return Header.read(file.readline())
        except OSError:
            return None

    def read(self) -> Any:  # noqa: ANN401 - what `write` was given
        """The state; None if it is not readable. Of the same version only."""
        try:
            data = (self.folder / "state").read_bytes()
            return _loads(zlib.decompress(data.partition(b"\n")[2]))
        except Exception:  # noqa: BLE001 - whatever is wrong with it, it cannot be used
            return None

    def write(self, header: Header, state: object) -> None:
        """Replace the state in one step."""
        packed = zlib.compress(pickle.dumps(state, pickle.HIGHEST_PROTOCOL), 1)
        self._replace("state", orjson.dumps(asdict(header)) + b"\n" + packed)

    def read_told(self) -> Any:  # noqa: ANN401 - what `write_told` was given
        """What was told; None if nothing was."""
        try:
            return _loads((self.folder / "told").read_bytes())
        except Exception:  # noqa: BLE001 - the same
            return None

    def write_told(self, told: object) -> None:
        """Replace what was told in one step."""
        self._replace("told", pickle.dumps(told, pickle.HIGHEST_PROTOCOL))

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def remove_others(parent: Path, numbers: Iterable[int]) -> None:
        """Remove the states of worlds that are gone."""
        kept = {str(number) for number in numbers}
        if parent.is_dir():
            for folder in parent.iterdir():
                if folder.name.isdecimal() and folder.name not in kept:
                    shutil.rmtree(folder, ignore_errors=True)

    def make_folder(self) -> None:
        """Make the folder, for root only."""
        self.folder.parent.parent.mkdir(mode=0o750, exist_ok=True)
        for folder in (self.folder.parent, self.folder):
            folder.mkdir(mode=0o700, exist_ok=True)

    def _replace(self, name: str, data: bytes) -> None:
        self.make_folder()
        path = self.folder / f"{name}.new"
        with open(path, "wb", opener=_private) as file:
            file.write(data)
        path.rename(self.folder / name)


def _loads(data: bytes) -> Any:  # noqa: ANN401 - the caller knows
    return pickle.loads(data)  # noqa: S301 - root's own, in a folder for root only


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
