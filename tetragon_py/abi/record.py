# SPDX-License-Identifier: Apache-2.0
"""The precompiled `struct.Struct` of each C struct that Python reads or writes."""

from __future__ import annotations

from struct import Struct

from tetragon_py.abi import _generated as c

__all__ = [
    "ARGUMENT_BPF",
    "ARGUMENT_BUFFER",
    "ARGUMENT_HEAD",
    "ARGUMENT_MODULE",
    "ARGUMENT_PATH",
    "ARGUMENT_PERF_EVENT",
    "ARGUMENT_SOCK",
    "ARGUMENT_USER_NAMESPACE",
    "CREDENTIALS",
    "EVENT_EXIT",
    "EVENT_FORK",
    "EVENT_HOOK",
    "EXEC_HEAD",
    "HOOK_MATCH",
    "IMAGE",
    "INDEX",
    "LOSS_SOURCE",
    "NAMESPACES",
    "PROCESS_ENTRY",
    "PROCESS_KEY",
    "TASK_IMAGE",
]


def _flat(outer: str, *inner: str) -> Struct:
    """The struct with its leading nested structs (`24s16s...`) opened.

    One `unpack_from` then reads header and keys, which every record needs.
    """
    for layout in inner:
        head = f"{Struct(layout).size}s"
        before, after = outer.split(head, 1)
        outer = before + layout.lstrip("<") + after
    return Struct(outer)


_HEADER, _KEY = c.EVENT_HEADER_FORMAT, c.PROCESS_KEY_FORMAT

PROCESS_KEY = Struct(_KEY)
PROCESS_ENTRY = _flat(c.PROCESS_ENTRY_FORMAT, _KEY)
CREDENTIALS = Struct(c.CREDENTIALS_FORMAT)
NAMESPACES = Struct(c.NAMESPACES_FORMAT)
EVENT_FORK = _flat(c.EVENT_FORK_FORMAT, _HEADER, _KEY, _KEY)
#: Up to the image, which has its own struct.
EXEC_HEAD = _flat(
    c.EVENT_EXEC_FORMAT.removesuffix(f"{c.IMAGE_SIZE}s"), _HEADER, _KEY, _KEY
)
IMAGE = Struct(c.IMAGE_FORMAT)
EVENT_EXIT = _flat(c.EVENT_EXIT_FORMAT, _HEADER, _KEY)
EVENT_HOOK = _flat(c.EVENT_HOOK_FORMAT, _HEADER, _KEY)
HOOK_MATCH = Struct(c.HOOK_MATCH_FORMAT)
#: The four bytes before the length as one number: arguments with the same are alike.
ARGUMENT_HEAD = Struct(c.ARGUMENT_HEAD_FORMAT.replace("BBBB", "I", 1))
ARGUMENT_BUFFER = Struct(c.ARGUMENT_BUFFER_FORMAT)
ARGUMENT_PATH = Struct(c.ARGUMENT_PATH_FORMAT)
ARGUMENT_SOCK = Struct(c.ARGUMENT_SOCK_FORMAT)
ARGUMENT_USER_NAMESPACE = Struct(c.ARGUMENT_USER_NAMESPACE_FORMAT)
ARGUMENT_MODULE = Struct(c.ARGUMENT_MODULE_FORMAT)
ARGUMENT_BPF = Struct(c.ARGUMENT_BPF_FORMAT)
ARGUMENT_PERF_EVENT = Struct(c.ARGUMENT_PERF_EVENT_FORMAT)
TASK_IMAGE = _flat(c.TASK_IMAGE_FORMAT, _KEY, _KEY)
LOSS_SOURCE = Struct(c.LOSS_SOURCE_FORMAT)
#: One entry of a batch's index: offset, type.
INDEX = Struct("=II")
