# SPDX-License-Identifier: Apache-2.0
"""Boots one guest, runs one command in it, and tells how it ended.

A kernel image and a command come in; the command's output passes by while it runs; its
status and the times go out, with the console's last lines if the guest died or hung.
"""

from __future__ import annotations

import contextlib
import shlex
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.vm import cpio
from tests.vm.children import Children
from tests.vm.ports import Limits, Ports
from tests.vm.shares import serve_share, shares_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.vm.image import Image
    from tests.vm.shares import Share
    from tests.vm.tools import Tools

__all__ = ["Command", "Outcome", "run_in_guest", "setup_archive"]

_BOOT = Path(__file__).with_name("boot")
_CPUS = 2
_MEMORY_MIB = 2048
_COMMAND_LINE = (
    "console=ttyS0 loglevel=4 panic=-1 oops=panic no_timer_check tsc=reliable audit=0 "
    "random.trust_cpu=on net.ifnames=0 cryptomgr.notests mitigations=off"
)
_CONSOLE_LINES = 50


@dataclass(frozen=True, slots=True)
class Command:
    """What the guest runs, as root."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    writable: Path  # a folder of the host, writable under the same path
    limits: Limits
    needs_systemd: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended; `problem` is empty if the command came to its own end."""

    status: int
    boot_seconds: float | None  # until the command could start
    seconds: float
    problem: str


def run_in_guest(
    image: Image, tools: Tools, command: Command, command_line: str = ""
) -> Outcome:
    """Boot, run, kill. Nothing stays behind.

    Args:
        image: The kernel.
        tools: QEMU.
        command: What to run in the guest.
        command_line: More options of the kernel.
    """
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        # Short: socket paths have at most 107 bytes.
        run = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="guest-")))
        children = stack.enter_context(Children())
        ports = stack.enter_context(Ports())
        shares = shares_of(command.folder, image.modules, command.writable)
        initramfs = run / "initramfs"
        initramfs.write_bytes(
            image.initramfs.read_bytes() + setup_archive(command, image, shares)
        )
        arguments = [
            *tools.qemu,
            *_machine(tools),
            *("-kernel", str(image.vmlinux), "-initrd", str(initramfs)),
            *("-append", f"{_COMMAND_LINE} {command_line}".strip()),
            *("-serial", f"file:{run / 'console'}"),
            *ports.arguments,
        ]
        for share in shares:
            arguments += serve_share(share, run, children)
        children.start(arguments, run / "qemu.log", ports.guest_descriptors)
        ports.close_guest_side()
        end = ports.pump(command.limits)
        seconds = time.monotonic() - started
        problem = f"{end.problem}\n{_last_words(run)}" if end.problem else ""
        boot_seconds = end.ready_at and end.ready_at - started
    return Outcome(end.status, boot_seconds, seconds, problem)


def setup_archive(command: Command, image: Image, shares: list[Share]) -> bytes:
    """What is different for each run, appended to the kernel's initramfs."""
    exports = [
        f"export {name}={shlex.quote(value)}\n"
        for name, value in command.environment.items()
    ]
    script = (
        f"{''.join(exports)}cd {shlex.quote(str(command.folder))} || exit\n"
        f"exec {shlex.join(command.arguments)}\n"
    )
    folders = {"modules": f"/lib/modules/{image.release}"}
    settings = (
        f"system_manager={'systemd' if command.needs_systemd else ''}\n"
        f"checkout={shlex.quote(str(command.folder))}\n"
    )
    mounts = [
        f"{share.tag}\t{folders.get(share.tag, share.folder)}\n"
        for share in shares
        if share.tag != "root"
    ]
    return cpio.pack(
        [
            cpio.directory("guest"),
            cpio.file("guest/settings", settings.encode()),
            cpio.file("guest/shares", "".join(mounts).encode()),
            cpio.file("guest/command", script.encode()),
            cpio.file("guest/run", (_BOOT / "run.sh").read_bytes()),
            cpio.file("guest/systemd", (_BOOT / "systemd.sh").read_bytes()),
            cpio.file("init", (_BOOT / "init.sh").read_bytes(), 0o755),
        ]
    )


def _machine(tools: Tools) -> list[str]:
    return [
        *("-nodefaults", "-no-user-config", "-display", "none", "-monitor", "none"),
        "-no-reboot",
        *("-machine", "q35,usb=off,smbus=off,sata=off,memory-backend=memory"),
        *("-accel", tools.acceleration, "-cpu", tools.processor),
        *("-smp", str(_CPUS), "-m", f"{_MEMORY_MIB}M"),
        "-object",  # shared with the servers of the folders
        f"memory-backend-memfd,id=memory,size={_MEMORY_MIB}M,share=on",
    ]


# The end of the console, and whatever QEMU and the servers complained about.
def _last_words(run: Path) -> str:
    parts = []
    for path in (run / "console", *sorted(run.glob("*.log"))):
        text = path.read_text(errors="replace") if path.exists() else ""
        lines = [
            line
            for line in text.splitlines()
            # virtiofsd, whenever QEMU ends
            if line.strip() and "virtio_loop: Unexpected poll revents" not in line
        ]
        if lines:
            parts += [f"--- {path.name}", *lines[-_CONSOLE_LINES:]]
    return "\n".join(parts) or "(nothing on the console)"
