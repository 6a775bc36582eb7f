# SPDX-License-Identifier: Apache-2.0
"""The processes that live when the agent starts.

The task iterator says which there are and who they are; /proc adds arguments and paths,
if it is still the same image. A process that exits or calls exec meanwhile is told by
the live stream, which is attached before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tetragon_py.abi import _generated as c
from tetragon_py.decode.process import decode_images
from tetragon_py.enrich.procfs import read_process
from tetragon_py.errors import KernelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tetragon_py.enrich.procfs import ProcfsImage
    from tetragon_py.events.process import ExecEvent

__all__ = ["scan_processes"]


def scan_processes(
    images: bytes,
    living: Callable[[], dict[int, int]],
    procfs: str,
    arguments_max: int,
    environment_max: int,
) -> list[ExecEvent]:
    """Complete the iterator's images from /proc.

    Args:
        images: The iterator's output.
        living: Reads the kernel's process table: tgid -> start of its image.
        procfs: Where the host's procfs is mounted.
        arguments_max: Bytes of arguments that are read.
        environment_max: Bytes of environment that are read; 0: none.
    """
    found = []
    for event, is_kernel_thread in decode_images(images):
        image = None
        if not is_kernel_thread:
            image = _read(event, procfs, arguments_max, environment_max)
        found.append((event, image))
    # What was read belongs to the image only if no exec came in between. Who exited
    # meanwhile is kept: its exit event follows.
    current = living()
    for event, image in found:
        same = current.get(event.process.tgid) == event.process.start_boottime_ns
        if image is not None and same and not image.torn:
            _complete(event, image)
    return [event for event, _ in found]


def _read(
    event: ExecEvent, procfs: str, arguments_max: int, environment_max: int
) -> ProcfsImage | None:
    try:
        return read_process(
            procfs,
            event.process.tgid,
            event.process.start_boottime_ns,
            arguments_max_bytes=arguments_max,
            environment_max_bytes=environment_max,
        )
    except KernelError as error:
        event.errors = {"procfs": error.errno}
        return None


def _complete(event: ExecEvent, image: ProcfsImage) -> None:
    event.filename = image.executable or image.comm
    event.executable = image.executable
    event.executable_flags = _path_flags(
        deleted=image.executable_deleted, unreachable=image.executable_unreachable
    )
    event.cwd = image.cwd
    event.cwd_flags = _path_flags(
        deleted=image.cwd_deleted, unreachable=image.cwd_unreachable
    )
    event.tty = image.tty
    event.cgroup_path = image.cgroup_path
    event.arguments = image.arguments
    event.arguments_bytes = len(image.arguments)
    event.environment = image.environment
    event.environment_bytes = len(image.environment)
    if image.arguments_cut:
        event.flags |= c.EXEC_ARGUMENTS_CUT
    if image.environment_cut:
        event.flags |= c.EXEC_ENVIRONMENT_CUT
    event.inode = image.inode
    event.links = image.links
    event.device = image.device
    event.mode = image.mode
    event.errors = image.missing or None


def _path_flags(*, deleted: bool, unreachable: bool) -> int:
    return (c.PATH_DELETED if deleted else 0) | (
        c.PATH_UNREACHABLE if unreachable else 0
    )
