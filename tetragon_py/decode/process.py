# SPDX-License-Identifier: Apache-2.0
"""fork, exec and exit records -> events.

On the hot path: one `unpack_from` per record, one slice per variable field. Credentials
and namespaces repeat from process to process, so equal bytes give the same object.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING

from tetragon_py.abi import _generated as c
from tetragon_py.abi.record import (
    CREDENTIALS,
    EVENT_EXEC,
    EVENT_EXIT,
    EVENT_FORK,
    NAMESPACES,
    TASK_IMAGE,
)
from tetragon_py.errors import DecodeError
from tetragon_py.events.process import (
    Credentials,
    ExecEvent,
    ExitEvent,
    ForkEvent,
    Namespaces,
    ProcessKey,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["decode_exec", "decode_exit", "decode_fork", "decode_images"]

_FIELD_NAMES = (
    "filename",
    "interpreter",
    "executable",
    "cwd",
    "tty",
    "cgroup",
    "arguments",
    "environment",
)
_unpack_fork = EVENT_FORK.unpack_from
_unpack_exec = EVENT_EXEC.unpack_from
_unpack_exit = EVENT_EXIT.unpack_from
_FORK_SIZE, _EXEC_SIZE, _EXIT_SIZE = EVENT_FORK.size, EVENT_EXEC.size, EVENT_EXIT.size


@lru_cache(maxsize=4096)
def _credentials(raw: bytes) -> Credentials:
    return Credentials._make(CREDENTIALS.unpack(raw))


@lru_cache(maxsize=4096)
def _namespaces(raw: bytes) -> Namespaces:
    return Namespaces._make(NAMESPACES.unpack(raw))


@lru_cache(maxsize=4096)
def _cgroup_path(names: bytes) -> bytes:
    """The path of cgroup names that come innermost first, each ended by a NUL."""
    return b"/" + b"/".join(reversed(names.split(b"\0")[:-1]))


def decode_fork(data: memoryview, offset: int) -> ForkEvent:
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
    return ForkEvent(
        boottime_ns,
        ProcessKey(start, tgid),
        ProcessKey(parent_start, parent_tgid),
        nspid,
        _namespaces(namespaces) if changed else None,
        cpu,
        sequence,
    )


def decode_exec(data: memoryview, offset: int) -> ExecEvent:
    """One event_exec at `offset`, with its variable fields.

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
            links,
            inode,
            cgroup_id,
            device,
            mode,
            arguments_bytes,
            environment_bytes,
            cwd_flags,
            executable_flags,
            *lengths,
            credentials,
            namespaces,
        ) = _unpack_exec(data, offset)
    except struct.error as error:
        raise DecodeError("exec is cut", type=c.EVENT_EXEC) from error
    errors = None
    if min(lengths) < 0:
        errors = {
            name: -length
            for name, length in zip(_FIELD_NAMES, lengths, strict=True)
            if length < 0
        }
        lengths = [max(length, 0) for length in lengths]
    if _EXEC_SIZE + sum(lengths) > size or offset + size > len(data):
        raise DecodeError("exec is cut", type=c.EVENT_EXEC, size=size)
    at = offset + _EXEC_SIZE
    text = bytes(data[at : offset + size])
    n_file, n_interp, n_exe, n_cwd, n_tty, n_cgroup, n_args, n_env = lengths
    interp_at = n_file
    exe_at = interp_at + n_interp
    cwd_at = exe_at + n_exe
    tty_at = cwd_at + n_cwd
    cgroup_at = tty_at + n_tty
    args_at = cgroup_at + n_cgroup
    env_at = args_at + n_args
    cwd = text[cwd_at:tty_at]
    if not cwd and not cwd_flags and not (errors and "cwd" in errors):
        cwd = b"/"  # the way up to the root has no names
    return ExecEvent(
        boottime_ns,
        ProcessKey(start, tgid),
        ProcessKey(parent_start, parent_tgid),
        flags,
        nspid,
        tid_before,
        text[:n_file],
        text[interp_at:exe_at],
        text[exe_at:cwd_at],
        executable_flags,
        cwd,
        cwd_flags,
        text[tty_at:cgroup_at],
        _cgroup_path(text[cgroup_at:args_at]),
        cgroup_id,
        text[args_at:env_at],
        arguments_bytes,
        text[env_at : env_at + n_env],
        environment_bytes,
        inode,
        links,
        device,
        mode,
        _credentials(credentials),
        _namespaces(namespaces),
        cpu,
        sequence,
        errors,
    )


def decode_exit(data: memoryview, offset: int) -> ExitEvent:
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
    return ExitEvent(boottime_ns, ProcessKey(start, tgid), status, tid, cpu, sequence)


def decode_images(data: bytes) -> Iterator[tuple[ExecEvent, bool]]:
    """The task iterator's output: for each process what the kernel knows of it.

    Yields the event, which lacks paths and arguments, and whether it is a kernel thread
    (its `filename` is then its name in brackets).
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
        event = ExecEvent(
            boottime_ns=start,
            process=ProcessKey(start, tgid),
            parent=ProcessKey(parent_start, parent_tgid),
            flags=flags,
            nspid=nspid,
            tid_before=tgid,
            filename=b"[%b]" % name if kernel_thread else name,
            interpreter=b"",
            executable=b"",
            executable_flags=0,
            cwd=b"",
            cwd_flags=0,
            tty=b"",
            cgroup_path=b"",
            cgroup_id=cgroup_id,
            arguments=b"",
            arguments_bytes=0,
            environment=b"",
            environment_bytes=0,
            inode=0,
            links=0,
            device=0,
            mode=0,
            credentials=_credentials(credentials),
            namespaces=_namespaces(namespaces),
            cpu=0,
            sequence=0,
            from_procfs=True,
        )
        yield event, bool(kernel_thread)
