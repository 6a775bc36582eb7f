# SPDX-License-Identifier: Apache-2.0
"""Makes what QEMU boots of an unpacked kernel package: vmlinux and initramfs.

vmlinux is the ELF file inside of the package's bzImage, entered through PVH: neither
decompression nor address randomisation in emulation. The initramfs has busybox and the
modules that are needed to reach the host's root file system.
"""

from __future__ import annotations

import lzma
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.vm import cpio
from tests.vm.bzimage import unpack_kernel
from tests.vm.packages import fetch_packages, unpack_packages
from vmlinux.btf import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.vm.kernels import Kernel

__all__ = ["Image", "prepare_image"]

_MODULES = ("virtio_pci", "virtio_console", "virtiofs", "overlay")
_APPLETS = (
    *("sh", "mount", "umount", "mkdir", "cat", "insmod", "ip", "hostname", "ln"),
    *("chmod", "reboot", "sleep", "switch_root", "uname", "sed"),
)
_FOLDERS = ("bin", "dev", "proc", "sys", "modules", "lower", "upper", "new", "guest")


@dataclass(frozen=True, slots=True)
class Image:
    """What is booted; `modules` is the package's folder of kernel modules."""

    release: str
    vmlinux: Path
    initramfs: Path
    modules: Path


def prepare_image(kernel: Kernel, cache: Path, say: Callable[[str], None]) -> Image:
    """Fetch, unpack and convert what the cache has not got yet.

    Raises:
        PackageError: the archive does not give it.
        ImageError: the package holds no kernel that can be read.
    """
    files = fetch_packages(kernel.packages, cache, say)
    folder = cache / "kernels" / kernel.name
    stamp = folder / "made-of"
    made_of = "\n".join(file.name for file in files)
    if not stamp.exists() or stamp.read_text() != made_of:
        say(f"unpacking {', '.join(file.stem for file in files)}")
        shutil.rmtree(folder, ignore_errors=True)
        unpack_packages(files, folder / "root")
        _convert(folder)
        stamp.write_text(made_of)
    modules = _modules_folder(folder / "root")
    return Image(modules.name, folder / "vmlinux", folder / "initramfs", modules)


def _modules_folder(root: Path) -> Path:
    folders = list((root / "usr/lib/modules").iterdir())
    if len(folders) != 1:
        raise ImageError(f"not one kernel in {root}: {folders}")
    return folders[0]


def _convert(folder: Path) -> None:
    root = folder / "root"
    modules = _modules_folder(root)
    release = modules.name
    image = next(
        path
        for path in (modules / "vmlinuz", root / "boot" / f"vmlinuz-{release}")
        if path.exists()
    )
    (folder / "vmlinux").write_bytes(unpack_kernel(image.read_bytes()))
    configuration = next(
        path
        for path in (modules / "config", root / "boot" / f"config-{release}")
        if path.exists()
    )
    subprocess.run(["/sbin/depmod", "-b", root, release], check=True)
    entries = [cpio.directory(name) for name in _FOLDERS]
    entries += [
        cpio.Entry("dev/console", b"", stat.S_IFCHR | 0o600, (5, 1)),
        cpio.file("bin/busybox", Path("/bin/busybox").read_bytes(), 0o755),
        cpio.file("config", configuration.read_bytes()),
    ]
    entries += [cpio.symlink(f"bin/{name}", "busybox") for name in _APPLETS]
    needed = _needed_modules(root, release)
    entries += [cpio.file(f"modules/{path.name}", _plain(path)) for path in needed]
    order = "".join(f"{path.name}\n" for path in needed)
    entries.append(cpio.file("modules/order", order.encode()))
    (folder / "initramfs").write_bytes(cpio.pack(entries))


# In the order in which they have to be inserted.
def _needed_modules(root: Path, release: str) -> list[Path]:
    found: dict[Path, None] = {}
    for name in _MODULES:
        done = subprocess.run(
            ["/sbin/modprobe", "-d", root, "-S", release, "--show-depends", name],
            capture_output=True,
            text=True,
            check=True,
        )
        for line in done.stdout.splitlines():
            word, _, path = line.strip().partition(" ")
            if word == "insmod":  # else it is built in
                found[Path(path)] = None
    return list(found)


def _plain(module: Path) -> bytes:
    content = module.read_bytes()
    if module.suffix == ".xz":
        return lzma.decompress(content)
    if module.suffix == ".zst":
        command = ["zstd", "-dcq", str(module)]
        return subprocess.run(command, check=True, capture_output=True).stdout
    return content
