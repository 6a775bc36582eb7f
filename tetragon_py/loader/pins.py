# SPDX-License-Identifier: Apache-2.0
"""What outlives the agent in the BPF file system: maps, links and programs.

    /sys/fs/bpf/<name>/            mode 0700; locked (flock) by the agent that uses it
        <number>/                  all that one agent has loaded: a world
            maps/<map>
            links/<owner>:<n>:<program>
            programs/<owner>:<n>:<program>

A link keeps its program attached. Names are all there is to say what a link is for: an
owner is "process", "stand-in", "dispatcher", "notes", "hook-17" or "guard-3".
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tetragon_py.errors import KernelError, TetragonError
from tetragon_py.libbpf import Link, PinnedMap, PinnedProgram

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tetragon_py.libbpf import Program

__all__ = ["BPFFS", "PinRoot", "Pins"]

BPFFS = Path("/sys/fs/bpf")
_MOUNTS = Path("/proc/self/mounts")
_LOCKS = Path("/proc/locks")
_LIBC = ctypes.CDLL(None, use_errno=True)
_FOLDERS = ("maps", "links", "programs")


class Pins:
    """One world. For one thread.

    Args:
        folder: Its folder, which is made if it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.number = int(folder.name)
        self._owner = ""
        #: Owners that this kernel lets nobody pin: they end with the agent.
        self.unkept: set[str] = set()
        #: What is here stays when the agent ends, whatever the reason.
        self.is_kept = False
        for path in (folder, *(folder / name for name in _FOLDERS)):
            path.mkdir(mode=0o700, exist_ok=True)
        self._next = 1 + max((_order(path) for path in self._all()), default=0)

    def map_path(self, name: str) -> str:
        """Where a map is pinned."""
        return str(self.folder / "maps" / name)

    def maps(self) -> set[str]:
        """Names of the maps that are pinned."""
        return {path.name for path in self._list("maps")}

    def open_map(self, name: str) -> PinnedMap:
        """One of them; the caller closes it."""
        return PinnedMap(self.map_path(name))

    @contextlib.contextmanager
    def named(self, owner: str) -> Iterator[None]:
        """Links that are made meanwhile belong to `owner`."""
        before, self._owner = self._owner, owner
        try:
            yield
        finally:
            self._owner = before

    def keep(self, program: Program, link: Link) -> None:
        """Pin a new link with its program; who closes the link removes both."""
        name = self._new_name(program)
        try:
            link.pin(str(self.folder / "links" / name))
        except KernelError as error:
            if error.errno != errno.EINVAL:  # it is no link, see Link.pin
                raise
            self.unkept.add(self._owner)
            return
        path = str(self.folder / "programs" / name)
        program.pin(path)
        link.add_pin(path)

    def attach(self, program: PinnedProgram) -> Link:
        """Attach one of `programs`, as `keep` does."""
        name = self._new_name(program)
        link = program.attach(str(self.folder / "links" / name))
        path = str(self.folder / "programs" / name)
        program.pin(path)
        link.add_pin(path)
        return link

    def keep_program(self, program: Program, undo: contextlib.ExitStack) -> None:
        """Pin a program that is not attached yet; `undo` removes the pin."""
        path = self.folder / "programs" / self._new_name(program)
        program.pin(str(path))
        undo.callback(path.unlink, missing_ok=True)

    def links(self, owner: str) -> list[Link]:
        """The links of an owner, in their order; who closes one detaches."""
        found = []
        for path in self._of("links", owner):
            link = Link.open_pinned(str(path))
            link.add_pin(str(self.folder / "programs" / path.name))
            found.append(link)
        return found

    def attached(self, owner: str) -> set[str]:
        """Names of the programs of an owner that have both pins."""
        names = [
            {path.name for path in self._of(folder, owner)}
            for folder in ("links", "programs")
        ]
        return {name.rpartition(":")[2] for name in set.intersection(*names)}

    def programs(
        self, owner: str, undo: contextlib.ExitStack
    ) -> dict[str, PinnedProgram]:
        """The programs of an owner by name, in the order of their links."""
        return {
            _program(path): undo.enter_context(PinnedProgram(str(path), _program(path)))
            for path in self._of("programs", owner)
        }

    def owners(self) -> set[str]:
        """Who has links here."""
        return {path.name.partition(":")[0] for path in self._all()}

    def remove_owner(self, owner: str) -> None:
        """Detach what belongs to an owner, unless somebody else holds it."""
        for folder in ("links", "programs"):
            for path in self._of(folder, owner):
                path.unlink(missing_ok=True)

    def detach(self) -> None:
        """Detach all; the maps stay."""
        for owner in sorted(self.owners()):
            self.remove_owner(owner)

    def remove(self) -> None:
        """Remove the whole world, whatever is in it."""
        _remove_tree(self.folder)

    def _new_name(self, program: Program | PinnedProgram) -> str:
        number, self._next = self._next, self._next + 1
        return f"{self._owner}:{number}:{program.name}"

    def _all(self) -> list[Path]:
        found = [*self._list("links"), *self._list("programs")]
        return [path for path in found if path.name.count(":") == 2]

    def _of(self, folder: str, owner: str) -> list[Path]:
        found = [
            path
            for path in self._list(folder)
            if path.name.count(":") == 2 and path.name.startswith(f"{owner}:")
        ]
        return sorted(found, key=_order)

    def _list(self, folder: str) -> list[Path]:
        return list((self.folder / folder).iterdir())


class PinRoot:
    """The folder of all worlds of one name. A context manager that unlocks at its end.

    Args:
        name: Below the BPF file system.
        mount: Mount that file system if it is missing, and make the folder.
    """

    def __init__(self, name: str, *, mount: bool) -> None:
        self.folder = BPFFS / name
        self._fd = -1
        if mount:
            _mount()
            try:
                self.folder.mkdir(mode=0o700, exist_ok=True)
                self.folder.chmod(0o700)
            except OSError as error:
                raise TetragonError(
                    f"{self.folder} cannot be made: {error.strerror}; "
                    "keep-sensors-on-exit needs it"
                ) from error

    def lock(self) -> int | None:
        """Take the lock; the pid of the agent that has it, 0 if that is hidden."""
        try:
            self._fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return self._holder()
        return None

    def worlds(self) -> list[Pins]:
        """All worlds, the oldest first; what else is in the folder is removed."""
        found = []
        for path in self.folder.iterdir():
            if path.name.isdecimal() and path.is_dir():
                found.append(Pins(path))
            else:
                _remove_tree(path)
        return sorted(found, key=lambda pins: pins.number)

    def new_world(self) -> Pins:
        """An empty one, with a higher number than all."""
        worlds = self.worlds()
        number = worlds[-1].number + 1 if worlds else 1
        return Pins(self.folder / str(number))

    @property
    def exists(self) -> bool:
        """Whether an agent has been here."""
        return self.folder.is_dir()

    def close(self) -> None:
        """Unlock, and remove the folder if it is empty."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):  # not empty
                self.folder.rmdir()
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _holder(self) -> int:
        found = os.fstat(self._fd)
        place = (os.major(found.st_dev), os.minor(found.st_dev), found.st_ino)
        wanted = f"{place[0]:02x}:{place[1]:02x}:{place[2]}"
        with contextlib.suppress(OSError):
            for line in _LOCKS.read_text().splitlines():
                words = line.split()
                if "FLOCK" in words and wanted in words:
                    return int(words[words.index(wanted) - 1])
        return 0


def _mount() -> None:
    """See that the BPF file system is there, as systemd mounts it."""
    if any(
        line.split()[1:3] == [str(BPFFS), "bpf"]
        for line in _MOUNTS.read_text().splitlines()
    ):
        return
    if _LIBC.mount(b"bpf", str(BPFFS).encode(), b"bpf", 0xE, b"mode=700") < 0:
        reason = os.strerror(ctypes.get_errno())
        raise TetragonError(
            f"the BPF file system cannot be mounted at {BPFFS}: {reason}; "
            "keep-sensors-on-exit needs it"
        )


def _remove_tree(path: Path) -> None:
    if not stat.S_ISDIR(path.lstat().st_mode):
        path.unlink(missing_ok=True)
        return
    # links first: what is attached must not look at maps that have no name any more
    for inner in sorted(path.iterdir(), key=lambda one: one.name != "links"):
        _remove_tree(inner)
    path.rmdir()


def _order(path: Path) -> int:
    number = path.name.split(":")[1]
    return int(number) if number.isdecimal() else 0


def _program(path: Path) -> str:
    return path.name.rpartition(":")[2]
