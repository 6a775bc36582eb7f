# SPDX-License-Identifier: Apache-2.0
"""The process that runs the fuzz: the kernel asks for its pids, namespaces and sets."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fuzz.hit import Image, Process
from tetragon_py.policy.model.kernel_names import CAPABILITIES, Namespace
from tetragon_py.policy.model.selectors import CapabilitySet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

__all__ = ["host_namespaces", "other_capabilities", "read_myself"]

_FILES = {
    Namespace.UTS: "uts",
    Namespace.IPC: "ipc",
    Namespace.MNT: "mnt",
    Namespace.PID: "pid",
    Namespace.PID_FOR_CHILDREN: "pid_for_children",
    Namespace.NET: "net",
    Namespace.TIME: "time",
    Namespace.TIME_FOR_CHILDREN: "time_for_children",
    Namespace.CGROUP: "cgroup",
    Namespace.USER: "user",
}
_FIELDS = {
    CapabilitySet.EFFECTIVE: "CapEff",
    CapabilitySet.INHERITABLE: "CapInh",
    CapabilitySet.PERMITTED: "CapPrm",
}
#: What loading tables and running programs takes.
_NEEDED = ("SYS_ADMIN", "BPF", "PERFMON", "SYS_RESOURCE", "NET_ADMIN", "SETPCAP")
_CAPABILITY_VERSION_3 = 0x20080522


def host_namespaces() -> dict[Namespace, int]:
    """Namespaces for a process 1: made up, half of them are those of this process."""
    own = read_myself().namespaces
    return {name: i ^ number & 1 for number, (name, i) in enumerate(own.items())}


def read_myself() -> Process:
    """The running process as it is now, with the capabilities of this thread."""
    status = Path("/proc/thread-self/status").read_text()
    pids = _field(status, "NStgid").split()
    namespaces = _namespaces()
    capabilities = {s: int(_field(status, f), 16) for s, f in _FIELDS.items()}
    image = Image(int(pids[0]), int(pids[-1]), b"/")
    return Process((image,), namespaces, capabilities, namespaces, capabilities)


@contextlib.contextmanager
def other_capabilities(rng: Random) -> Iterator[Process]:
    """Drop some effective capabilities of this thread and inherit some, for a while."""
    before = read_myself().capabilities
    kept = rng.getrandbits(64)
    for name in _NEEDED:
        kept |= 1 << CAPABILITIES[name]
    permitted = before[CapabilitySet.PERMITTED]
    _set_capabilities(permitted & kept, permitted, permitted & rng.getrandbits(64))
    try:
        yield read_myself()
    finally:
        _set_capabilities(
            before[CapabilitySet.EFFECTIVE],
            permitted,
            before[CapabilitySet.INHERITABLE],
        )


def _set_capabilities(effective: int, permitted: int, inheritable: int) -> None:
    sets = (effective, permitted, inheritable)
    low = (number & 0xFFFFFFFF for number in sets)
    data = struct.pack("=6I", *low, *(number >> 32 for number in sets))
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    if ctypes.CDLL(None, use_errno=True).capset(header, data):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _field(status: str, name: str) -> str:
    found = re.search(rf"^{name}:\s*(.+)$", status, re.MULTILINE)
    assert found, name
    return found[1]


def _namespaces() -> dict[Namespace, int]:
    found = {}
    for namespace, name in _FILES.items():
        with contextlib.suppress(FileNotFoundError):
            found[namespace] = Path(f"/proc/self/ns/{name}").stat().st_ino
    return found
