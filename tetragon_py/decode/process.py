# SPDX-License-Identifier: Apache-2.0
"""fork, exec and exit records -> events.

On the hot path: one `unpack_from` per record. Images, credentials and namespaces repeat
from process to process, so equal bytes give the same object.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING

from tetragon_py.abi import _generated as c
from tetragon_py.abi.record import (
    CREDENTIALS,
    EVENT_EXIT,
    EVENT_FORK,
    EXEC_HEAD,
    IMAGE,
    NAMESPACES,
    TASK_IMAGE,
)
from tetragon_py.errors import DecodeError
from tetragon_py.events.process import (
    Credentials,
    ExecEvent,
    ExitEvent,
    ForkEvent,
    Image,
    Namespaces,
    ProcessKey,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["decode_exec", "decode_exit", "decode_fork", "decode_images"]

_TEXT_NAMES = ("filename", "interpreter", "executable", "cwd", "tty", "cgroup")
_unpack_fork = EVENT_FORK.unpack_from
_unpack_exec = EXEC_HEAD.unpack_from
_unpack_exit = EVENT_EXIT.unpack_from
_unpack_image = IMAGE.unpack_from
_FORK_SIZE, _EXIT_SIZE = EVENT_FORK.size, EVENT_EXIT.size
_IMAGE_AT, _IMAGE_SIZE = EXEC_HEAD.size, IMAGE.size
#: Images of more bytes are not remembered: what is remembered is a few MB at most.
_REMEMBERED_BYTES = 1024
#: Makes a key or an event of a tuple without a Python frame.
_new = tuple.__new__


@lru_cache(maxsize=4096)
def _credentials(raw: bytes) -> Credentials:
    return Credentials._make(CREDENTIALS.unpack(raw))


@lru_cache(maxsize=4096)
def _namespaces(raw: bytes) -> Namespaces:
    return Namespaces._make(NAMESPACES.unpack(raw))


def _cgroup_path(names: bytes) -> bytes:
    """The path of cgroup names that come innermost first, each ended by a NUL."""
    return b"/" + b"/".join(reversed(names.split(b"\0")[:-1]))


def decode_fork(data: bytes, offset: int) -> ForkEvent:
    """One event_fork at `offset`.

    Raises:
        DecodeError: the record ends before its fields do.
    """
    try:
        (
            size,
            _type,
            _lane,
            cpu,
            sequence,
            boottime_ns,
            start,
            tgid,
            parent_start,
            parent_tgid,
            changed,
            nspid,
            namespaces,
        ) = _unpack_fork(data, offset)
    except struct.error as error:
        raise DecodeError("fork is cut", type=c.EVENT_FORK) from error
    if size < _FORK_SIZE:
        raise DecodeError("fork is cut", type=c.EVENT_FORK, size=size)
    return _new(
        ForkEvent,
        (
            boottime_ns,
            _new(ProcessKey, (start, tgid)),
            _new(ProcessKey, (parent_start, parent_tgid)),
            nspid,
            _namespaces(namespaces) if changed else None,
            cpu,
            sequence,
        ),
    )


def decode_exec(data: bytes, offset: int) -> ExecEvent:
    """One event_exec at `offset`, with its texts.

    Raises:
        DecodeError: the record ends before its fields do.
    """
    try:
        (
            size,
            _type,
            _lane,
            cpu,
            sequence,
            boottime_ns,
            start,
            tgid,
            parent_start,
            parent_tgid,
            flags,
            tid_before,
            nspid,
            image_bytes,
            arguments_bytes,
            environment_bytes,
            arguments_length,
            environment_length,
        ) = _unpack_exec(data, offset)
    except struct.error as error:
        raise DecodeError("exec is cut", type=c.EVENT_EXEC) from error
    errors = None
    if arguments_length < 0 or environment_length < 0:
        told = {"arguments": -arguments_length, "environment": -environment_length}
        errors = {name: error for name, error in told.items() if error > 0}
        arguments_length = max(arguments_length, 0)
        environment_length = max(environment_length, 0)
    image_at = offset + _IMAGE_AT
    arguments_at = image_at + image_bytes
    environment_at = arguments_at + arguments_length
    end = environment_at + environment_length
    if end > offset + size or offset + size > len(data):
        raise DecodeError("exec is cut", type=c.EVENT_EXEC, size=size)
    raw = data[image_at:arguments_at]
    remembered = image_bytes <= _REMEMBERED_BYTES
    return _new(
        ExecEvent,
        (
            boottime_ns,
            _new(ProcessKey, (start, tgid)),
            _new(ProcessKey, (parent_start, parent_tgid)),
            flags,
            nspid,
            tid_before,
            _remembered_image(raw) if remembered else _decode_image(raw),
            data[arguments_at:environment_at],
            arguments_bytes,
            data[environment_at:end],
            environment_bytes,
            cpu,
            sequence,
            errors,
            False,
        ),
    )


def _decode_image(raw: bytes) -> Image:
    """A struct image with its texts behind it."""
    try:
        (
            inode,
            cgroup_id,
            links,
            device,
            mode,
            cwd_flags,
            executable_flags,
            *lengths,
            credentials,
            namespaces,
        ) = _unpack_image(raw)
    except struct.error as error:
        raise DecodeError("image is cut", type=c.EVENT_EXEC, size=len(raw)) from error
    errors = {
        name: -length
        for name, length in zip(_TEXT_NAMES, lengths, strict=True)
        if length < 0
    }
    texts, at = [], _IMAGE_SIZE
    for length in lengths:
        end = at + max(length, 0)
        texts.append(raw[at:end])
        at = end
    if at > len(raw):
        raise DecodeError("image is cut", type=c.EVENT_EXEC, size=len(raw))
    filename, interpreter, executable, cwd, tty, cgroup = texts
    if not cwd and not cwd_flags and "cwd" not in errors:
        cwd = b"/"  # the way up to the root has no names
    return Image(
        filename,
        interpreter,
        executable,
        executable_flags,
        cwd,
        cwd_flags,
        tty,
        _cgroup_path(cgroup),
        cgroup_id,
        inode,
        links,
        device,
        mode,
        _credentials(credentials),
        _namespaces(namespaces),
        errors or None,
    )


@lru_cache(maxsize=2048)
def _remembered_image(raw: bytes) -> Image:
    image = _decode_image(raw)
    image.is_shared = True
    return image


def decode_exit(data: bytes, offset: int) -> ExitEvent:
    """One event_exit at `offset`.

    Raises:
        DecodeError: the record ends before its fields do.
    """
    try:
        (
            size,
            _type,
            _lane,
            cpu,
            sequence,
            boottime_ns,
            start,
            tgid,
            status,
            tid,
        ) = _unpack_exit(data, offset)
    except struct.error as error:
        raise DecodeError("exit is cut", type=c.EVENT_EXIT) from error
    if size < _EXIT_SIZE:
        raise DecodeError("exit is cut", type=c.EVENT_EXIT, size=size)
    key = _new(ProcessKey, (start, tgid))
    return _new(ExitEvent, (boottime_ns, key, status, tid, cpu, sequence))


def decode_images(data: bytes) -> Iterator[ExecEvent]:
    """The task iterator's output: for each process what the kernel knows of it.

    Paths and arguments are missing; the `filename` of a kernel thread is its name in
    brackets, that of a process is unknown.
    """
    whole = len(data) // TASK_IMAGE.size * TASK_IMAGE.size
    for values in TASK_IMAGE.iter_unpack(data[:whole]):
        (
            start,
            tgid,
            parent_start,
            parent_tgid,
            flags,
            nspid,
            kernel_thread,
            cgroup_id,
            comm,
            credentials,
            namespaces,
        ) = values
        name = comm.split(b"\0", 1)[0]
        image = Image(
            filename=b"[%b]" % name if kernel_thread else b"",
            cgroup_id=cgroup_id,
            credentials=_credentials(credentials),
            namespaces=_namespaces(namespaces),
            is_kernel=bool(kernel_thread),
        )
        yield ExecEvent(
            boottime_ns=start,
            process=ProcessKey(start, tgid),
            parent=ProcessKey(parent_start, parent_tgid),
            flags=flags,
            nspid=nspid,
            tid_before=tgid,
            image=image,
            from_procfs=True,
        )
