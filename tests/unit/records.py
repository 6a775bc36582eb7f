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
    Image,
    Namespaces,
    Process,
    ProcessKey,
)

NO_CREDENTIALS = Credentials(*[0] * 15)
HOST = Namespaces(*range(4026531000, 4026531010))
NO_CGROUP = CgroupInfo(*[""] * 7)
CHILD, PARENT = ProcessKey(5_000, 42), ProcessKey(3_000, 17)
#: The texts of an image, in the order of their bytes; with those that follow it.
IMAGE_TEXTS = ("filename", "interpreter", "executable", "cwd", "tty", "cgroup")
EXEC_FIELDS = (*IMAGE_TEXTS, "arguments", "environment")
#: The other fields of an exec and of its image, in order, each with its own value.
EXEC_NUMBERS = {
    "flags": c.EXEC_AFTER_FORK,
    "tid_before": 43,
    "nspid": 7,
    "arguments_bytes": 12,
    "environment_bytes": 34,
}
IMAGE_NUMBERS = {
    "inode": 1 << 40,
    "cgroup_id": 9001,
    "links": 1,
    "device": 8 << 20 | 1,
    "mode": 0o100755,
    "cwd_flags": 0,
    "executable_flags": 0,
}
_IMAGE_FIELDS = frozenset(field.name for field in dataclasses.fields(Image))
#: Whose errors an event has itself; all others are the image's.
_EXEC_ERRORS = frozenset({"arguments", "environment"})


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
    image_bytes: int | None = None,
    size: int | None = None,
    credentials: Credentials = NO_CREDENTIALS,
    namespaces: Namespaces = HOST,
    **numbers: int,
) -> bytes:
    """An event_exec; `lengths`, `image_bytes` and `size` instead of the true ones."""
    texts = texts or {}
    unknown = numbers.keys() - EXEC_NUMBERS.keys() - IMAGE_NUMBERS.keys()
    assert not unknown, unknown
    body = b"".join(texts.get(name, b"") for name in EXEC_FIELDS)
    image_body_bytes = sum(len(texts.get(name, b"")) for name in IMAGE_TEXTS)
    true_image_bytes = record.IMAGE.size + image_body_bytes
    body += bytes(-len(body) % 8)
    true_size = c.EVENT_EXEC_SIZE + len(body)
    told = lengths or [len(texts.get(name, b"")) for name in EXEC_FIELDS]
    own = {name: numbers.get(name, value) for name, value in EXEC_NUMBERS.items()}
    its = {name: numbers.get(name, value) for name, value in IMAGE_NUMBERS.items()}
    return (
        record.EXEC_HEAD.pack(
            *header(true_size if size is None else size, c.EVENT_EXEC),
            *process,
            *parent,
            *(own["flags"], own["tid_before"], own["nspid"]),
            true_image_bytes if image_bytes is None else image_bytes,
            *(own["arguments_bytes"], own["environment_bytes"]),
            *told[len(IMAGE_TEXTS) :],
        )
        + record.IMAGE.pack(
            *its.values(),
            *told[: len(IMAGE_TEXTS)],
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


def image_of(**changes: Any) -> Image:
    """/usr/bin/curl by root in /root."""
    image = Image(
        filename=b"/usr/bin/curl",
        interpreter=b"",
        executable=b"/usr/bin/curl",
        executable_flags=0,
        cwd=b"/root",
        cwd_flags=0,
        tty=b"",
        cgroup_path=b"/",
        cgroup_id=1,
        inode=77,
        links=1,
        device=8 << 20 | 1,
        mode=0o100755,
        credentials=NO_CREDENTIALS,
        namespaces=HOST,
    )
    return dataclasses.replace(image, **changes)


def exec_event(**changes: Any) -> ExecEvent:
    """A plain exec of /usr/bin/curl by root in /root, after a fork.

    Args:
        changes: Fields of the event or of its image; `errors` goes to both by name.
    """
    process = changes.get("process", CHILD)
    errors = changes.pop("errors", None) or {}
    own = {name: error for name, error in errors.items() if name in _EXEC_ERRORS}
    its = {name: error for name, error in errors.items() if name not in _EXEC_ERRORS}
    image = {name: changes.pop(name) for name in _IMAGE_FIELDS & changes.keys()}
    event = ExecEvent(
        boottime_ns=process[0],
        process=process,
        parent=PARENT,
        flags=c.EXEC_AFTER_FORK,
        nspid=0,
        tid_before=process[1],
        image=image_of(**image, errors=its or None),
        arguments=b"curl\0",
        arguments_bytes=5,
        environment=b"",
        environment_bytes=0,
        cpu=3,
        sequence=11,
        errors=own or None,
    )
    return event._replace(**changes)


def fork_event(
    process: ProcessKey = CHILD, parent: ProcessKey = PARENT, **changes: Any
) -> ForkEvent:
    """A fork that leaves the namespaces."""
    event = ForkEvent(process[0], process, parent, 0, None, 3, 11)
    return event._replace(**changes)


def exit_event(process: ProcessKey = CHILD, status: int = 0) -> ExitEvent:
    """An exit at 9000 ns."""
    return ExitEvent(9_000, process, status, process[1], 3, 12)


def process_of(event: ExecEvent, **changes: Any) -> Process:
    """The process of an exec, without parent."""
    made = Process(
        key=event.process,
        exec_id=b"%d" % event.process[1],
        exec=event,
        parent=None,
        parent_exec_id=b"",
        cgroup=NO_CGROUP,
        namespaces=event.image.namespaces,
        in_init_tree=False,
        forked=False,
    )
    return dataclasses.replace(made, **changes)
