# SPDX-License-Identifier: Apache-2.0
"""What unit tests are fed with: records as the kernel packs them, events, processes."""

from __future__ import annotations

import dataclasses
from typing import Any

from tetragon_py.abi import _generated as c
from tetragon_py.abi import record
from tetragon_py.events.process import (
    CgroupInfo,
    Credentials,
    ExecEvent,
    ExitEvent,
    ForkEvent,
    Namespaces,
    Process,
    ProcessKey,
)

NO_CREDENTIALS = Credentials(*[0] * 15)
HOST = Namespaces(*range(4026531000, 4026531010))
NO_CGROUP = CgroupInfo(*[""] * 7)
CHILD, PARENT = ProcessKey(5_000, 42), ProcessKey(3_000, 17)
#: The variable fields of an exec record, in the order of their bytes.
EXEC_FIELDS = (
    *("filename", "interpreter", "executable", "cwd", "tty", "cgroup"),
    *("arguments", "environment"),
)
#: The other fields behind header and keys, in order, with a value of their own each.
EXEC_NUMBERS = {
    "flags": c.EXEC_AFTER_FORK,
    "tid_before": 43,
    "nspid": 7,
    "links": 1,
    "inode": 1 << 40,
    "cgroup_id": 9001,
    "device": 8 << 20 | 1,
    "mode": 0o100755,
    "arguments_bytes": 12,
    "environment_bytes": 34,
    "cwd_flags": 0,
    "executable_flags": 0,
}


def header(size: int, kind: int, lane: int = c.LANE_LIFECYCLE) -> tuple[int, ...]:
    """CPU 3, number 11, at 6000 ns."""
    return (size, kind, lane, 3, 11, 6_000)


def fork_record(
    process: ProcessKey = CHILD,
    parent: ProcessKey = PARENT,
    nspid: int = 0,
    namespaces: Namespaces | None = None,
) -> bytes:
    """An event_fork."""
    return record.EVENT_FORK.pack(
        *header(record.EVENT_FORK.size, c.EVENT_FORK),
        *process,
        *parent,
        namespaces is not None,
        nspid,
        record.NAMESPACES.pack(*(namespaces or [0] * 10)),
    )


def exec_record(
    texts: dict[str, bytes] | None = None,
    *,
    process: ProcessKey = CHILD,
    parent: ProcessKey = PARENT,
    lengths: list[int] | None = None,
    size: int | None = None,
    credentials: Credentials = NO_CREDENTIALS,
    namespaces: Namespaces = HOST,
    **numbers: int,
) -> bytes:
    """An event_exec; `lengths` and `size` instead of the true ones."""
    texts = texts or {}
    body = b"".join(texts.get(name, b"") for name in EXEC_FIELDS)
    body += bytes(-len(body) % 8)
    true_size = record.EVENT_EXEC.size + len(body)
    true_lengths = [len(texts.get(name, b"")) for name in EXEC_FIELDS]
    return (
        record.EVENT_EXEC.pack(
            *header(true_size if size is None else size, c.EVENT_EXEC),
            *process,
            *parent,
            *(EXEC_NUMBERS | numbers).values(),
            *(lengths or true_lengths),
            record.CREDENTIALS.pack(*credentials),
            record.NAMESPACES.pack(*namespaces),
        )
        + body
    )


def exit_record(process: ProcessKey = CHILD, status: int = 0, tid: int = 42) -> bytes:
    """An event_exit."""
    return record.EVENT_EXIT.pack(
        *header(record.EVENT_EXIT.size, c.EVENT_EXIT), *process, status, tid
    )


def image_record(
    process: ProcessKey = CHILD,
    parent: ProcessKey = PARENT,
    comm: bytes = b"sleep",
    *,
    kernel_thread: bool = False,
    flags: int = 0,
) -> bytes:
    """A task_image."""
    return record.TASK_IMAGE.pack(
        *process,
        *parent,
        flags,
        7,
        kernel_thread,
        9001,
        comm.ljust(16, b"\0"),
        record.CREDENTIALS.pack(*NO_CREDENTIALS),
        record.NAMESPACES.pack(*HOST),
    )


def exec_event(**changes: Any) -> ExecEvent:
    """A plain exec of /usr/bin/curl by root in /root, after a fork."""
    process = changes.get("process", CHILD)
    event = ExecEvent(
        boottime_ns=process[0],
        process=process,
        parent=PARENT,
        flags=c.EXEC_AFTER_FORK,
        nspid=0,
        tid_before=process[1],
        filename=b"/usr/bin/curl",
        interpreter=b"",
        executable=b"/usr/bin/curl",
        executable_flags=0,
        cwd=b"/root",
        cwd_flags=0,
        tty=b"",
        cgroup_path=b"/",
        cgroup_id=1,
        arguments=b"curl\0",
        arguments_bytes=5,
        environment=b"",
        environment_bytes=0,
        inode=77,
        links=1,
        device=8 << 20 | 1,
        mode=0o100755,
        credentials=NO_CREDENTIALS,
        namespaces=HOST,
        cpu=3,
        sequence=11,
    )
    return dataclasses.replace(event, **changes)


def fork_event(
    process: ProcessKey = CHILD, parent: ProcessKey = PARENT, **changes: Any
) -> ForkEvent:
    """A fork that leaves the namespaces."""
    event = ForkEvent(process[0], process, parent, 0, None, 3, 11)
    return dataclasses.replace(event, **changes)


def exit_event(process: ProcessKey = CHILD, status: int = 0) -> ExitEvent:
    """An exit at 9000 ns."""
    return ExitEvent(9_000, process, status, process[1], 3, 12)


def process_of(image: ExecEvent, **changes: Any) -> Process:
    """The process of an image, without parent."""
    made = Process(
        key=image.process,
        exec_id=b"%d" % image.process[1],
        image=image,
        parent=None,
        parent_exec_id=b"",
        cgroup=NO_CGROUP,
        namespaces=image.namespaces,
        in_init_tree=False,
        forked=False,
    )
    return dataclasses.replace(made, **changes)
