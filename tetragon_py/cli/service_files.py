# SPDX-License-Identifier: Apache-2.0
"""Where the files of the service are, and how they get there and away.

Nothing that somebody has changed is overwritten, nothing is half written. What is done
comes out as lines for people.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tetragon_py.cli.marked_file import is_changed, remove_file, write_file
from tetragon_py.errors import TetragonError
from tetragon_py.service.unit import UNIT, configuration_text, network_text

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["RefusedError", "ServiceFiles", "Systemd", "systemd"]

_INSTALL = "tetragon-py install-service"
_FOLDERS = ("etc/tetragon-py", "var/log/tetragon-py")


class RefusedError(TetragonError):
    """What was asked for cannot be done as it was asked for."""

    exit_status = 2


class Systemd(NamedTuple):
    """The host's service manager."""

    command: str
    version: int  #: 0: unknown
    is_running: bool

    def run(self, *words: str) -> None:
        """Run systemctl.

        Raises:
            TetragonError: With what it says.
        """
        done = subprocess.run(  # noqa: S603 - words of this program
            [self.command, *words], capture_output=True, text=True, check=False
        )
        if done.returncode:
            said = " ".join(done.stderr.split())
            raise TetragonError(f"systemctl {' '.join(words)} failed: {said}")


def systemd(running: Path = Path("/run/systemd/system")) -> Systemd | None:
    """The host's systemd, None if it has none."""
    command = shutil.which("systemctl")
    if command is None:
        return None
    done = subprocess.run(  # noqa: S603 - found in PATH
        [command, "--version"], capture_output=True, text=True, check=False
    )
    _, _, rest = done.stdout.partition(" ")
    number = rest.split()[0] if rest.split() else ""
    return Systemd(command, int(number) if number.isdecimal() else 0, running.is_dir())


class ServiceFiles:
    """The files of the service below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.unit = root / "etc/systemd/system" / UNIT
        self.network = self.unit.with_name(f"{UNIT}.d") / "network.conf"
        self.configuration = root / "etc/tetragon-py/tetragon-py.yaml"
        self.pins = root / "sys/fs/bpf/tetragon-py"

    def install(
        self, unit: str, *, has_network: bool, is_forced: bool = False
    ) -> Iterator[str]:
        """Put everything in place, and yield what was done.

        Args:
            unit: The text of the unit.
            has_network: With the drop-in for the network.
            is_forced: Replace the unit though it was changed. The configuration is
                kept in any case.

        Raises:
            TetragonError: Something cannot be written.
        """
        for name in ("etc/tetragon-py/conf.d", "etc/tetragon-py/tetragon.tp.d"):
            yield from self._make(self._root / name)
        yield from self._make(self._root / "var/log/tetragon-py")
        yield from _place(self.configuration, configuration_text())
        yield from _place(self.unit, unit, is_forced=is_forced)
        if has_network:
            yield from _place(self.network, network_text(), is_forced=is_forced)

    def check_unchanged(self) -> None:
        """Refuse if somebody has changed what `remove` would remove.

        Raises:
            RefusedError: With the paths.
        """
        changed = [str(path) for path in self._units() if is_changed(path)]
        if changed:
            text = f"changed by somebody: {', '.join(changed)}"
            raise RefusedError(f"{text}; --force removes it anyway")

    def remove(self, *, is_purge: bool) -> Iterator[str]:
        """Remove the unit, its drop-in, and what the kernel keeps for the service.

        Args:
            is_purge: Configuration, policies and exported events too.

        Raises:
            TetragonError: Something cannot be removed.
        """
        for path in self._units():
            remove_file(path)
            yield f"removed  {path}"
        folder = self.network.parent
        if folder.is_dir():
            if any(folder.iterdir()):
                yield f"kept     {folder}: it has drop-ins of yours"
            else:
                folder.rmdir()
        yield from _remove_tree(self.pins)
        for name in _FOLDERS:
            path = self._root / name
            if is_purge:
                yield from _remove_tree(path)
            elif path.exists():
                yield f"kept     {path}: --purge removes it"

    def _units(self) -> list[Path]:
        return [path for path in (self.unit, self.network) if path.exists()]

    # Those above it as well, all with the usual mode: what is private is in the files.
    def _make(self, folder: Path) -> Iterator[str]:
        if folder.is_dir():
            return
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        try:
            for path in reversed(missing):
                path.mkdir(exist_ok=True)
                path.chmod(0o755)
        except OSError as error:
            raise TetragonError(f"{folder} cannot be made: {error.strerror}") from error
        yield f"made     {folder}"


def _place(path: Path, text: str, *, is_forced: bool = False) -> Iterator[str]:
    if not path.exists():
        write_file(path, text, _INSTALL)
        yield f"wrote    {path}"
    elif is_changed(path) and not is_forced:
        yield f"kept     {path}: changed by somebody"
    elif path.read_text(errors="replace").partition("\n")[2] != text:
        write_file(path, text, _INSTALL)
        yield f"updated  {path}"
    else:
        yield f"is there {path}"


def _remove_tree(folder: Path) -> Iterator[str]:
    if not folder.exists():
        return
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise TetragonError(f"{folder} cannot be removed: {error}") from error
    yield f"removed  {folder}"
