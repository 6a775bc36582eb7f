# SPDX-License-Identifier: Apache-2.0
"""A hit as policies see it: values of arguments, and facts about the process.

Made up by the generators, judged by the evaluator, put into the kernel by kernel.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tetragon_py.policy.model.arguments import ArgumentType
    from tetragon_py.policy.model.kernel_names import Namespace
    from tetragon_py.policy.model.selectors import CapabilitySet

__all__ = [
    "Address",
    "ArgumentKey",
    "Captured",
    "File",
    "Hit",
    "Image",
    "Process",
    "Socket",
    "UnixName",
    "Unreadable",
]

Address: TypeAlias = IPv4Address | IPv6Address


class Unreadable(NamedTuple):
    """The value could not be read, or there was no room for it (errno 0)."""

    errno: int


class File(NamedTuple):
    """A file, path, dentry or descriptor."""

    path: bytes
    mode: int  #: st_mode


class Socket(NamedTuple):
    """A socket, packet or socket address. No addresses: the family has none."""

    family: int
    protocol: int = 0
    state: int = 0
    source: Address | None = None
    destination: Address | None = None
    source_port: int = 0
    destination_port: int = 0


class UnixName(NamedTuple):
    """The address of a Unix socket; abstract names begin with a NUL."""

    family: int
    name: bytes


#: Numbers are in the range of their type. Bytes: text of any kind.
Captured: TypeAlias = int | bytes | File | Socket | UnixName | Unreadable


class ArgumentKey(NamedTuple):
    """What a policy names an argument by. Equal keys have the same value in a hit."""

    source: str  #: "args" of a function, "fields" of a tracepoint, "data", "returnArg"
    number: int  #: its `index`
    type: ArgumentType
    resolve: str = ""
    at_return: bool = False


class Image(NamedTuple):
    """What a process ran until it or a child of it executed something else."""

    pid: int
    namespace_pid: int  #: in its own pid namespace
    binary: bytes


@dataclass(frozen=True, slots=True)
class Process:
    """Who hit. `images`: from the oldest ancestor to what the process runs.

    Two images in a row with the same pid are an exec without a fork.
    """

    images: tuple[Image, ...]
    namespaces: Mapping[Namespace, int]
    capabilities: Mapping[CapabilitySet, int]
    exec_namespaces: Mapping[Namespace, int]  #: at its last exec
    exec_capabilities: Mapping[CapabilitySet, int]

    @property
    def pid(self) -> int:
        """Its pid in the initial namespace."""
        return self.images[-1].pid


@dataclass(frozen=True, slots=True)
class Hit:
    """One hit. `room_before`: part of the free room that comes before the arguments."""

    process: Process
    arguments: Mapping[ArgumentKey, Captured]
    room_before: float = 0.0
