# SPDX-License-Identifier: Apache-2.0
"""Fetch a kernel package from a Debian archive and read the kernel image out of it.

The package may belong to another suite and another architecture than the host: apt runs
with a state folder of its own below the cache, so that the host's sources, lists and
architectures stay as they are. The package is downloaded and read, never installed.
"""

from __future__ import annotations

import re
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sources import SourceError, archive_uri

__all__ = ["Kernel", "PackageError", "fetch_package", "read_image"]

_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_IMAGE = re.compile(r"\./(boot/vmlinuz-[^/]+|usr/lib/modules/[^/]+/vmlinuz)")


class PackageError(Exception):
    """The archive does not give the package, or the package holds no kernel."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """One entry of kernels.toml: the package whose types a header is made of."""

    package: str
    version: str
    architecture: str
    suite: str
    archive: str

    @property
    def file_stem(self) -> str:
        """The package's file name without its ending, as the archive spells it."""
        version = self.version.replace(":", "%3a")
        return f"{self.package}_{version}_{self.architecture}"


def fetch_package(kernel: Kernel, cache: Path) -> Path:
    """Return the package file below `cache`; download it unless it is there.

    Raises:
        PackageError: no network, or the archive has dropped the package.
    """
    target = cache / "packages" / f"{kernel.file_stem}.deb"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    apt = _Apt(kernel, cache / "apt" / f"{kernel.suite}-{kernel.architecture}")
    apt.update()
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        apt.download(Path(folder))
        Path(folder, target.name).replace(target)
    return target


class _Apt:
    """apt with a private state folder that knows one suite of one architecture."""

    def __init__(self, kernel: Kernel, state: Path) -> None:
        self._kernel = kernel
        state = state.resolve()
        (state / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        (state / "archives" / "partial").mkdir(parents=True, exist_ok=True)
        (state / "status").touch()
        # The version is pinned, so an old signed list is as good.
        source = f"deb [signed-by={_KEYRING} check-valid-until=no]"
        try:
            named = "://" in kernel.archive
            uri = kernel.archive if named else archive_uri(kernel.archive)
        except SourceError as error:
            raise PackageError(str(error)) from error
        (state / "sources.list").write_text(f"{source} {uri} {kernel.suite} main\n")
        settings = {
            "Dir::Etc::sourcelist": state / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State::lists": state / "lists",
            "Dir::State::status": state / "status",
            "Dir::Cache": state,
            "APT::Architecture": kernel.architecture,
            "APT::Architectures": kernel.architecture,
            "APT::Sandbox::User": "root",
            "APT::Update::Error-Mode": "any",
        }
        self._options = [f"-o{key}={value}" for key, value in settings.items()]

    def update(self) -> None:
        done = self._run("apt-get", "update", "-qq")
        if done.returncode:
            raise PackageError(
                f"cannot read {self._kernel.suite} from {self._kernel.archive}: "
                f"{done.stderr.strip()}"
            )

    def download(self, folder: Path) -> None:
        kernel = self._kernel
        name = f"{kernel.package}={kernel.version}"
        done = self._run("apt-get", "download", "-qq", name, folder=folder)
        if done.returncode:
            raise PackageError(
                f"cannot download {kernel.package} {kernel.version} "
                f"({kernel.architecture}) from {kernel.suite} of {kernel.archive}:\n"
                f"{done.stderr.strip()}\n"
                "If the archive has dropped it, name another one in "
                "vmlinux/kernels.toml (package and version; "
                f"{self._describe_offers()}), or set archive to the address of the "
                "same archive at an earlier day"
            )

    # The newest packages of the same flavour.
    def _describe_offers(self) -> str:
        numbered = r"linux-image-\d[^-]*"
        flavour = re.sub(f"^{numbered}", "", self._kernel.package)
        done = self._run("apt-cache", "pkgnames", "linux-image-")
        pattern = re.compile(numbered + re.escape(flavour))
        names = [name for name in done.stdout.split() if pattern.fullmatch(name)]
        names.sort(key=lambda name: [int(part) for part in re.findall(r"\d+", name)])
        return "there are " + ", ".join(names[-3:]) if names else "there is none"

    def _run(
        self, program: str, *arguments: str, folder: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        # Arguments come from kernels.toml; no shell reads them.
        return subprocess.run(  # noqa: S603
            [program, *self._options, *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )


def read_image(package: Path) -> bytes:
    """Return the kernel image of a package file; nothing else of it is unpacked."""
    with subprocess.Popen(  # noqa: S603 - a file below our own cache
        ["dpkg-deb", "--fsys-tarfile", str(package)],  # noqa: S607 - as apt above
        stdout=subprocess.PIPE,
    ) as unpacking:
        try:
            with tarfile.open(fileobj=unpacking.stdout, mode="r|") as archive:
                for member in archive:
                    content = archive.extractfile(member) if member.isfile() else None
                    if content and _IMAGE.fullmatch(member.name):
                        return content.read()
        except tarfile.TarError as error:
            raise PackageError(f"{package} is damaged, delete it: {error}") from error
        finally:
            unpacking.kill()
    raise PackageError(f"{package} holds no kernel image")
