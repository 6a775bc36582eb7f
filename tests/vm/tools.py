# SPDX-License-Identifier: Apache-2.0
"""What the host needs for guests: packages, a current QEMU, and an accelerator."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.vm.packages import PackageError, fetch_packages, unpack_packages

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.vm.kernels import PackageSet

__all__ = ["Tools", "choose_acceleration", "prepare_tools"]

#: Installed: they bring QEMU's libraries, virtiofsd and what the initramfs is made of.
_HOST_PACKAGES = ("qemu-system-x86", "busybox-static", "kmod", "zstd")
_EMULATION = "tcg,thread=multi"
#: How much longer than natively something may take in a guest.
_SLOWNESS_EMULATED = 15
_SLOWNESS_KVM = 2


@dataclass(frozen=True, slots=True)
class Tools:
    """QEMU's command with its data folders, and the accelerator."""

    qemu: tuple[str, ...]
    acceleration: str

    @property
    def slowness(self) -> int:
        """By how much the tests' deadlines grow in a guest."""
        return _SLOWNESS_KVM if self.acceleration == "kvm" else _SLOWNESS_EMULATED

    @property
    def processor(self) -> str:
        """The processor that the guest sees.

        Five levels of page tables cost emulation time and bring nothing.
        """
        return "host" if self.acceleration == "kvm" else "max,la57=off"


def prepare_tools(
    qemu: PackageSet, cache: Path, acceleration: str, say: Callable[[str], None]
) -> Tools:
    """Install and unpack what is missing.

    Args:
        qemu: The packages of a current QEMU.
        cache: The folder for downloads.
        acceleration: As QEMU's -accel; empty: what the machine has.
        say: Gets a line for each thing that takes time.

    Raises:
        PackageError: something cannot be had.
    """
    _install_packages(cache, say)
    files = fetch_packages(qemu, cache, say)
    folder = cache / "qemu"
    stamp = folder / "made-of"
    made_of = "\n".join(file.name for file in files)
    if not stamp.exists() or stamp.read_text() != made_of:
        say("unpacking QEMU")
        shutil.rmtree(folder, ignore_errors=True)
        unpack_packages(files, folder)
        stamp.write_text(made_of)
    program = folder / "usr/bin/qemu-system-x86_64"
    data = [str(folder / "usr/share" / name) for name in ("qemu", "seabios")]
    data += ["/usr/share/seabios", "/usr/share/qemu"]
    command = (str(program), *(word for path in data for word in ("-L", path)))
    if not acceleration:
        acceleration, reason = choose_acceleration(
            Path("/proc/cpuinfo").read_text(), can_use_kvm=_can_use_kvm()
        )
        say(reason)
    return Tools(command, acceleration)


def choose_acceleration(processors: str, *, can_use_kvm: bool) -> tuple[str, str]:
    """QEMU's accelerator and the reason for it, given /proc/cpuinfo.

    A /dev/kvm without vmx or svm emulates privileged code itself, and does not get
    through the boot of an ordinary kernel.
    """
    has_extensions = re.search(r"^flags\s*:.* (vmx|svm)\b", processors, re.MULTILINE)
    if can_use_kvm and has_extensions:
        return "kvm", "guests run on /dev/kvm"
    if can_use_kvm:
        return _EMULATION, "software emulation: the CPU of /dev/kvm has no vmx or svm"
    return _EMULATION, "software emulation: no usable /dev/kvm"


def _can_use_kvm() -> bool:
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _install_packages(cache: Path, say: Callable[[str], None]) -> None:
    shown = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status} ", *_HOST_PACKAGES],
        capture_output=True,
        text=True,
        check=False,
    )
    if shown.stdout.split() == ["installed"] * len(_HOST_PACKAGES):
        return
    say(f"installing {', '.join(_HOST_PACKAGES)}")
    log = cache / "apt.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    install = ("apt-get", "install", "-y", "-qq", "--no-install-recommends")
    with log.open("wb") as output:
        for command in (("apt-get", "update", "-qq"), (*install, *_HOST_PACKAGES)):
            done = subprocess.run(
                command,
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                stdout=output,
                stderr=output,
                check=False,
            )
            if done.returncode:
                tail = "\n".join(log.read_text().splitlines()[-5:])
                raise PackageError(f"{' '.join(command)} failed:\n{tail}")
