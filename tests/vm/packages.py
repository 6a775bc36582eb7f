# SPDX-License-Identifier: Apache-2.0
"""Fetches Debian packages of any suite, and unpacks them; nothing is installed.

apt runs with a state folder per set of suites below the cache, so that the host's
sources, lists and pins stay as they are.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from vmlinux.sources import SourceError, archive_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.vm.kernels import PackageSet

__all__ = ["PackageError", "fetch_packages", "newest_parts", "unpack_packages"]

_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_DEPENDS = re.compile(r"^ *\|?Depends: (\S+)$", re.MULTILINE)
_VERSION = re.compile(r"^Version: (\S+)$", re.MULTILINE)


class PackageError(Exception):
    """The archive cannot be read, or has not got the package."""


def fetch_packages(
    wanted: PackageSet, cache: Path, say: Callable[[str], None]
) -> list[Path]:
    """The package files below `cache`; those that are not there are downloaded.

    A version that the archive has dropped is replaced by the newest of the same suite
    and flavour, and `say` gets a line about it.

    Raises:
        PackageError: no network, or no such package at all.
    """
    folder = cache / "packages"
    folder.mkdir(parents=True, exist_ok=True)
    found = [_cached(folder, *item) for item in wanted.versions.items()]
    if None not in found:
        return [path for path in found if path]
    apt = _Apt(wanted.suites, cache / "apt")
    say(f"reading {', '.join(wanted.suites)}")
    apt.update()
    versions = wanted.versions
    if not all(apt.has(*item) for item in versions.items()):
        versions = apt.newest(wanted)
        names = ", ".join(f"{name} {version}" for name, version in versions.items())
        say(f"kernels.toml is behind, the archive has: {names}")
    return [
        _cached(folder, name, version) or apt.download(name, version, folder, say)
        for name, version in versions.items()
    ]


def unpack_packages(files: list[Path], folder: Path) -> None:
    """Unpack package files over each other; usr/lib is /lib, as on merged systems."""
    for part in ("bin", "sbin", "lib"):
        (folder / "usr" / part).mkdir(parents=True, exist_ok=True)
        if not (folder / part).is_symlink():
            (folder / part).symlink_to(f"usr/{part}")
    for file in files:
        with subprocess.Popen(
            ["dpkg-deb", "--fsys-tarfile", str(file)], stdout=subprocess.PIPE
        ) as package:
            done = subprocess.run(
                ["tar", "-x", "--keep-directory-symlink", "-C", str(folder)],
                stdin=package.stdout,
                capture_output=True,
                text=True,
                check=False,
            )
        if package.returncode or done.returncode:
            raise PackageError(f"{file} is damaged, delete it: {done.stderr.strip()}")


def newest_parts(image: str, depends: list[str]) -> list[str]:
    """The packages that make up a kernel, given its image package and what that needs.

    Since Linux 7 Debian's image package is empty: kernel, modules and configuration are
    packages of their own.
    """
    version = image.removeprefix("linux-image-")
    if f"linux-binary-{version}" in depends:
        return [f"linux-{part}-{version}" for part in ("binary", "modules", "base")]
    return [image]


def _cached(folder: Path, name: str, version: str) -> Path | None:
    # the epoch's colon is escaped in file names
    pattern = f"{name}_{version.replace(':', '%3a')}_*.deb"
    return next(iter(folder.glob(pattern)), None)


# A line of sources.list, on the host's own mirror.
def _source(suite: str) -> str:
    archive = "debian-security" if suite.endswith("-security") else "debian"
    try:
        uri = archive_uri(archive)
    except SourceError as error:
        raise PackageError(str(error)) from error
    return f"deb [signed-by={_KEYRING}] {uri} {suite} main\n"


# apt with a private state that knows some suites of the host's architecture.
class _Apt:
    def __init__(self, suites: tuple[str, ...], states: Path) -> None:
        self._suites = ", ".join(suites)
        state = states.resolve() / "+".join(suites)
        for folder in ("lists", "archives"):
            (state / folder / "partial").mkdir(parents=True, exist_ok=True)
        (state / "status").touch()
        (state / "sources.list").write_text("".join(map(_source, suites)))
        settings = {
            "Dir::Etc::sourcelist": state / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "Dir::State::lists": state / "lists",
            "Dir::State::status": state / "status",
            "Dir::Cache": state,
            "APT::Sandbox::User": "root",
            "APT::Update::Error-Mode": "any",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
        }
        self._options = [f"-o{key}={value}" for key, value in settings.items()]

    def update(self) -> None:
        done = self._run("apt-get", "update", "-qq")
        if done.returncode:
            raise PackageError(f"cannot read {self._suites}: {done.stderr.strip()}")

    def has(self, name: str, version: str) -> bool:
        shown = self._run("apt-cache", "show", f"{name}={version}")
        return shown.returncode == 0 and bool(shown.stdout.strip())

    def newest(self, wanted: PackageSet) -> Mapping[str, str]:
        names = list(wanted.versions)
        if wanted.newest:
            images = [
                name
                for name in self._depends(wanted.newest)
                if name.startswith("linux-image-")
            ]
            if not images:
                raise PackageError(
                    f"no {wanted.newest} in {self._suites}: name another "
                    "kernel in kernels.toml"
                )
            names = newest_parts(images[0], self._depends(images[0]))
        return {name: self._candidate(name) for name in names}

    def download(
        self, name: str, version: str, folder: Path, say: Callable[[str], None]
    ) -> Path:
        say(f"downloading {name} {version}")
        with tempfile.TemporaryDirectory(dir=folder) as partial:
            done = self._run(
                "apt-get", "download", "-qq", f"{name}={version}", folder=partial
            )
            files = list(Path(partial).glob("*.deb"))
            if done.returncode or len(files) != 1:
                raise PackageError(
                    f"cannot download {name} {version}: {done.stderr.strip()}"
                )
            return files[0].replace(folder / files[0].name)

    def _depends(self, name: str) -> list[str]:
        options = ("--no-recommends", "--no-suggests", "--no-breaks")
        return _DEPENDS.findall(
            self._run("apt-cache", "depends", *options, name).stdout
        )

    def _candidate(self, name: str) -> str:
        shown = self._run("apt-cache", "show", "--no-all-versions", name).stdout
        found = _VERSION.search(shown)
        if found is None:
            raise PackageError(f"no {name} in {self._suites}")
        return found[1]

    def _run(
        self, program: str, *arguments: str, folder: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *self._options, *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
