# SPDX-License-Identifier: Apache-2.0
"""The precompiled `struct.Struct` of each C struct that Python reads or writes."""

from __future__ import annotations

from struct import Struct

from tetragon_py.abi import _generated as c

__all__ = [
    "CREDENTIALS",
    "EVENT_EXIT",
    "EVENT_FORK",
    "EXEC_HEAD",
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
TASK_IMAGE = _flat(c.TASK_IMAGE_FORMAT, _KEY, _KEY)
LOSS_SOURCE = Struct(c.LOSS_SOURCE_FORMAT)
#: One entry of a batch's index: offset, type.
INDEX = Struct("=II")
