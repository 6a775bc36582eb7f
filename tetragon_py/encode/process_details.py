# SPDX-License-Identifier: Apache-2.0
"""The optional parts of a process in JSON.

Credentials, namespaces, the executable's properties, the environment, and the extended
keys. Each function gives a complete JSON value, or `b""` / `None` for "leave it out".
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import orjson

from tetragon_py.abi import _generated as c
from tetragon_py.encode.arguments import split_arguments
from tetragon_py.encode.names import capability_names, securebit_names
from tetragon_py.encode.text import json_value, marked_path

if TYPE_CHECKING:
    from tetragon_py.events.process import Credentials, ExecEvent, Namespaces, Process

__all__ = [
    "binary_properties",
    "capability_sets",
    "credentials_object",
    "environment_variables",
    "extended_keys",
    "namespaces_object",
]

_CREDENTIAL_NAMES = ("uid", "gid", "euid", "egid", "suid", "sgid", "fsuid", "fsgid")
_PRIVILEGES = (
    (c.EXEC_FILE_CAPS, "PRIVILEGES_RAISED_EXEC_FILE_CAP"),
    (c.EXEC_SETUID, "PRIVILEGES_RAISED_EXEC_FILE_SETUID"),
    (c.EXEC_SETGID, "PRIVILEGES_RAISED_EXEC_FILE_SETGID"),
)


@lru_cache(maxsize=1024)
def capability_sets(credentials: Credentials) -> bytes:
    """`cap`: the sets that are not empty."""
    sets = {
        "permitted": capability_names(credentials.permitted),
        "effective": capability_names(credentials.effective),
        "inheritable": capability_names(credentials.inheritable),
    }
    return orjson.dumps({name: names for name, names in sets.items() if names})


@lru_cache(maxsize=1024)
def credentials_object(credentials: Credentials) -> bytes:
    """`process_credentials`: the eight ids, also those that are 0."""
    ids: dict[str, object] = {
        name: getattr(credentials, name) for name in _CREDENTIAL_NAMES
    }
    if credentials.securebits:
        ids["securebits"] = securebit_names(credentials.securebits)
    return orjson.dumps(ids)


@lru_cache(maxsize=1024)
def namespaces_object(namespaces: Namespaces, host: Namespaces) -> bytes:
    """`ns`: those that this kernel has; `host` has the inodes of process 1."""
    return orjson.dumps(
        {
            name: {"inum": inode, "is_host": True} if inode == own else {"inum": inode}
            for name, inode, own in zip(
                namespaces._fields, namespaces, host, strict=True
            )
            if inode
        }
    )


def binary_properties(event: ExecEvent) -> bytes:
    """`binary_properties` of an exec: raised privileges, a file without a name."""
    image = event.image
    properties: dict[str, object] = {}
    if event.flags & c.EXEC_SETUID:
        properties["setuid"] = image.credentials.euid
    if event.flags & c.EXEC_SETGID:
        properties["setgid"] = image.credentials.egid
    raised = [word for bit, word in _PRIVILEGES if event.flags & bit]
    if raised:
        properties["privileges_changed"] = raised
    if image.inode and not image.links:
        path = image.executable.decode("utf-8", "replace")
        inode = {"number": str(image.inode), "links": 0}
        properties["file"] = {"inode": inode, "path": path}
    return json_value(properties) if properties else b""


def environment_variables(event: ExecEvent, names: frozenset[str]) -> bytes:
    """`environment_variables`, only those in `names` unless that is empty."""
    pairs = (entry.partition("=") for entry in split_arguments(event.environment))
    listed = [
        b'{"Key":%b,"Value":%b}' % (json_value(key), json_value(value))
        for key, _, value in pairs
        if not names or key in names
    ]
    return b"[%b]" % b",".join(listed) if listed else b""


def extended_keys(process: Process, arguments_max: int | None = None) -> bytes:
    """What Tetragon has no keys for, as `,"key":value,...` to be appended.

    Args:
        process: Whose.
        arguments_max: Bytes of argv that are shown; None: all.
    """
    event = process.exec
    image = event.image
    cgroup = process.cgroup
    path_flags = image.executable_flags
    if image.inode and not image.links:  # also a memfd, which has no directory
        path_flags |= c.PATH_DELETED
    executable = marked_path(image.executable, path_flags)
    texts = {
        "executable": executable,
        "interpreter": image.interpreter,
        "tty": image.tty,
        "cgroup": image.cgroup_path,
    }
    found: dict[str, object] = {
        "argv": split_arguments(event.arguments[:arguments_max])
    }
    found |= {key: value.decode("utf-8", "replace") for key, value in texts.items()}
    found |= {
        "unit": cgroup.unit,
        "user_unit": cgroup.user_unit,
        "slice": cgroup.slice,
        "session": cgroup.session,
        "container_id": cgroup.container_id,
        "container_runtime": cgroup.container_runtime,
        "truncated": _cut_fields(event, arguments_max),
        "errors": (image.errors or {}) | (event.errors or {}),
    }
    kept = {key: value for key, value in found.items() if value}
    if image.inode:
        kept["inode"] = {"number": str(image.inode), "links": image.links}
        kept["device"] = f"{image.device >> 20}:{image.device & 0xFFFFF}"
    return b"".join(
        b",%b:%b" % (json_value(key), json_value(value)) for key, value in kept.items()
    )


def _cut_fields(event: ExecEvent, arguments_max: int | None) -> list[str]:
    image = event.image
    is_cut = arguments_max is not None and len(event.arguments) > arguments_max
    marks = {
        "arguments": is_cut or event.flags & c.EXEC_ARGUMENTS_CUT,
        "environment_variables": event.flags & c.EXEC_ENVIRONMENT_CUT,
        "cwd": image.cwd_flags & c.PATH_CUT,
        "executable": image.executable_flags & c.PATH_CUT,
    }
    return [name for name, cut in marks.items() if cut]
