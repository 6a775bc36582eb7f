# SPDX-License-Identifier: Apache-2.0
"""What unit tests are fed with: records as the kernel packs them, events, processes."""

from __future__ import annotations

import dataclasses
import struct
from typing import TYPE_CHECKING, Any

from tetragon_py.abi import _generated as c
from tetragon_py.abi import record
from tetragon_py.decode.hook import decode_hook
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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tetragon_py.events.hook import HookEvent

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


def argument(
    kind: int,
    data: bytes = b"",
    *,
    slot: int = 0,
    flags: int = 0,
    depth: int = 0,
    error: int = 0,
) -> bytes:
    """A captured argument; `error` instead of data."""
    head = record.ARGUMENT_HEAD.pack(
        slot | kind << 8 | flags << 16 | depth << 24, -error if error else len(data)
    )
    return head if error else head + data + bytes(8 - len(data) % 8)


def number(kind: int, value: int, slot: int = 0) -> bytes:
    """An argument of a type whose values are integers."""
    return argument(kind, (value % (1 << 64)).to_bytes(8, "little"), slot=slot)


def match_bytes(
    policy: int = 5,
    selector: int = 0,
    actions: int = c.ACTION_POST,
    done: int | None = None,
    error: int = 0,
    mechanism: int = 0,
) -> bytes:
    """A hook_match; all that was asked for is done unless `done` says otherwise."""
    return record.HOOK_MATCH.pack(
        *(policy, selector, actions, actions if done is None else done),
        *(mechanism, error),
    )


def hook_record(
    arguments: Sequence[bytes] = (),
    matches: Sequence[bytes] = (match_bytes(),),
    *,
    process: ProcessKey = CHILD,
    **changes: int,
) -> bytes:
    """An event_hook of hook 9 by thread 43; `changes` of its numbers."""
    body = b"".join((*arguments, *matches))
    numbers = {
        "size": record.EVENT_HOOK.size + len(body),
        "tid": 43,
        "hook": 9,
        "generation": 2,
        "match_count": len(matches),
        "argument_count": len(arguments),
        "flags": 0,
        "entry_ns": 0,
    }
    assert changes.keys() <= numbers.keys(), changes
    size, *others = (numbers | changes).values()
    head = record.EVENT_HOOK.pack(
        *header(size, c.EVENT_HOOK, c.LANE_POLICY), *process, *others
    )
    return head + body


def repeat_record(
    tgid: int = 42, policy: int = 5, **changes: int
) -> tuple[bytes, bytes]:
    """Key and value of the map "repeats"."""
    numbers = dict.fromkeys(c.REPEAT_FIELDS, 0) | {"start_boottime_ns": 5_000}
    assert changes.keys() <= numbers.keys(), changes
    key = struct.pack(c.REPEAT_KEY_FORMAT, tgid, policy)
    return key, struct.pack(c.REPEAT_FORMAT, *(numbers | changes).values())


def path_argument(
    path: bytes = b"/etc/passwd",
    kind: int = c.ARGUMENT_FILE,
    slot: int = 0,
    **changes: int,
) -> bytes:
    """A regular file rw-r--r--, opened for reading."""
    numbers = {
        "inode": 77,
        "device": 8 << 20 | 1,
        "mode": 0o100644,
        "open_flags": 0,
        "flags": 0,
    }
    assert changes.keys() <= numbers.keys(), changes
    packed = record.ARGUMENT_PATH.pack(*(numbers | changes).values())
    return argument(kind, packed + path, slot=slot)


def sock_argument(
    kind: int = c.ARGUMENT_SOCK,
    slot: int = 0,
    name: bytes = b"",
    **changes: int | bytes,
) -> bytes:
    """A connected TCP socket over IPv4."""
    numbers: dict[str, int | bytes] = {
        "cookie": 1 << 63,
        "family": 2,
        "protocol": 6,
        "type": 1,
        "state": 1,
        "source_port": 4321,
        "destination_port": 443,
        "mark": 0,
        "priority": 0,
        "hash": 0,
        "length": 0,
        "security_path_length": 0,
        "security_path_original_length": 0,
        "source_address": bytes([10, 0, 0, 1]),
        "destination_address": bytes([1, 1, 1, 1]),
    }
    assert changes.keys() <= numbers.keys(), changes
    packed = record.ARGUMENT_SOCK.pack(*(numbers | changes).values())
    return argument(kind, packed + name, slot=slot)


def hook_event(
    arguments: Sequence[bytes] = (),
    matches: Sequence[bytes] = (match_bytes(),),
    **changes: Any,
) -> HookEvent:
    """The event of such a record."""
    return decode_hook(hook_record(arguments, matches, **changes), 0)


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
