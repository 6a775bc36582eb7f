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
    for event in decode_images(images):
        image = None
        if not event.image.is_kernel:
            image = _read(event, procfs, arguments_max, environment_max)
        found.append((event, image))
    # What was read belongs to the image only if no exec came in between. Who exited
    # meanwhile is kept: its exit event follows.
    current = living()
    completed = []
    for event, image in found:
        same = current.get(event.process.tgid) == event.process.start_boottime_ns
        usable = image is not None and same and not image.torn
        completed.append(_complete(event, image) if image and usable else event)
    return completed


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
        event.image.errors = {"procfs": error.errno}
        return None


def _complete(event: ExecEvent, found: ProcfsImage) -> ExecEvent:
    image = event.image
    image.filename = found.executable
    image.executable = found.executable
    image.executable_flags = _path_flags(
        deleted=found.executable_deleted, unreachable=found.executable_unreachable
    )
    image.cwd = found.cwd
    image.cwd_flags = _path_flags(
        deleted=found.cwd_deleted, unreachable=found.cwd_unreachable
    )
    image.tty = found.tty
    image.cgroup_path = found.cgroup_path
    image.inode = found.inode
    image.links = found.links
    image.device = found.device
    image.mode = found.mode
    image.errors = found.missing or None
    flags = event.flags
    if found.arguments_cut:
        flags |= c.EXEC_ARGUMENTS_CUT
    if found.environment_cut:
        flags |= c.EXEC_ENVIRONMENT_CUT
    return event._replace(
        flags=flags,
        arguments=found.arguments,
        arguments_bytes=len(found.arguments),
        environment=found.environment,
        environment_bytes=len(found.environment),
    )


def _path_flags(*, deleted: bool, unreachable: bool) -> int:
    return (c.PATH_DELETED if deleted else 0) | (
        c.PATH_UNREACHABLE if unreachable else 0
    )
