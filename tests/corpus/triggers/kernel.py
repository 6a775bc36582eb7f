# SPDX-License-Identifier: Apache-2.0
"""The kernel's own objects: BPF programs and maps, perf events, modules, terminals."""

from __future__ import annotations

import base64
import contextlib
import ctypes
import lzma
import os
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from tests.corpus.triggers.files import permission
from tests.corpus.triggers.processes import as_program
from tests.corpus.triggers.system import (
    CLONE_NEWNS,
    CLONE_NEWUSER,
    call,
    in_child,
    syscall,
)

if TYPE_CHECKING:
    from tests.corpus.told import Told
    from tests.corpus.triggers.system import Place

_BPF_MAP_CREATE, _BPF_PROG_LOAD, _BPF_LINK_CREATE = 0, 5, 28
_ARRAY = 2
_SOCKET_FILTER, _CGROUP_SKB = 1, 8
#: The two clocks get a type of their own: not so this one.
_PERF_TYPE_SOFTWARE, _PAGE_FAULTS = 1, 2
#: r0 = 1; exit
_RETURN_1 = bytes.fromhex("b700000001000000 9500000000000000")
#: A family that no module serves any more (DECnet).
_FAMILY = 12
_MODULE = "dummy"
#: Revision 2, effective; CAP_NET_RAW is permitted.
_FILE_CAPABILITIES = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)
_MS_REC, _MS_PRIVATE = 1 << 14, 1 << 18


def bpf_call(command: int, attributes: bytes) -> int:
    """A bpf() that has to succeed; its descriptor."""
    buffer = ctypes.create_string_buffer(attributes.ljust(128, b"\0"), 128)
    return call("bpf", command, buffer, 128)


def load_program(kind: int, name: bytes) -> int:
    """Load a program that returns 1."""
    code = ctypes.create_string_buffer(_RETURN_1)
    licence = ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack(
        "<IIQQIIQII16sII",
        *(kind, len(_RETURN_1) // 8),
        *(ctypes.addressof(code), ctypes.addressof(licence)),
        *(0, 0, 0, 0, 0),
        name,
        *(0, 0),
    )
    return bpf_call(_BPF_PROG_LOAD, attributes)


def filter_packets() -> None:
    """Have a BPF program look at what leaves, as long as this process lives."""
    program = load_program(_CGROUP_SKB, b"corpus_skb")
    group = os.open("/sys/fs/cgroup", os.O_RDONLY)
    egress = 1
    bpf_call(_BPF_LINK_CREATE, struct.pack("<IIII", program, group, egress, 0))


def use_bpf(place: Place) -> Told:
    """Make a map, load a program, open a perf event, list the BPF file system."""
    attributes = struct.pack("<7I", _ARRAY, 4, 8, 17, 0, 0, 0) + b"corpus_map"
    bpf_call(_BPF_MAP_CREATE, attributes)
    load_program(_SOCKET_FILTER, b"corpus_prog")
    size = 64  # PERF_ATTR_SIZE_VER0
    event = struct.pack("<IIQ", _PERF_TYPE_SOFTWARE, size, _PAGE_FAULTS)
    buffer = ctypes.create_string_buffer(event.ljust(size, b"\0"), size)
    call("perf_event_open", buffer, 0, -1, -1, 0)
    list(Path("/sys/fs/bpf").iterdir())
    has_create = "security_bpf_map_create" in Path("/proc/kallsyms").read_text()
    return {
        "permission": permission("/sys/fs/bpf"),
        "map_function": f"security_bpf_map_{'create' if has_create else 'alloc'}",
    }


def request_modules(place: Place) -> Told:
    """A socket of no family, and a module that is none."""
    try:
        socket.socket(_FAMILY, socket.SOCK_DGRAM)
    except OSError:
        path = place.scratch / "none.ko"
        path.write_bytes(b"no module")
        file = os.open(path, os.O_RDONLY)
        syscall("finit_module", file, b"\0", 0)
        return {
            "request": f"net-pf-{_FAMILY}",
            "path": str(path),
            "permission": permission(path),
        }
    raise AssertionError(f"there is a module for family {_FAMILY}")


def load_module(place: Place) -> Told:
    """All that, and a module that is one: loaded and unloaded."""
    told = request_modules(place)
    folder = Path("/lib/modules", os.uname().release)
    [found] = folder.rglob(f"{_MODULE}.ko*")
    data = found.read_bytes()
    path = place.scratch / f"{_MODULE}.ko"
    path.write_bytes(lzma.decompress(data) if found.suffix == ".xz" else data)
    file = os.open(path, os.O_RDONLY)
    call("finit_module", file, b"numdummies=0\0", 0)
    os.close(file)
    call("delete_module", _MODULE.encode() + b"\0", os.O_NONBLOCK)
    return {**told, "module": _MODULE, "module_path": str(path)}


def write_terminal(place: Place) -> Told:
    """Write to a terminal."""
    _, terminal = os.openpty()
    data = b"corpus on a terminal\n"
    os.write(terminal, data)
    return {
        "data": base64.b64encode(data).decode(),
        "path": os.ttyname(terminal),
        "permission": permission(os.ttyname(terminal)),
    }


def map_library(place: Place) -> Told:
    """Sshd maps a library with the version of the policy, and so does this process."""
    path = place.scratch / "liblzma.so.5.6.1"
    path.write_bytes(bytes(4096))
    code = (
        "import mmap, sys; file = open(sys.argv[1], 'rb');"
        "mmap.mmap(file.fileno(), 4096, mmap.MAP_PRIVATE, mmap.PROT_READ)"
    )
    as_program(Path("/usr/sbin/sshd"), "-c", code, str(path))
    return {"path": str(path), "permission": permission(path)}


def copy_up(place: Place) -> Told:
    """Copy a file with capabilities up, here and in a user namespace's overlay."""
    layers = [place.scratch / name for name in ("lower", "upper", "work", "merged")]
    for layer in layers:
        layer.mkdir()
    lower, upper, work, merged = layers
    for name in ("here", "there"):
        (lower / name).touch()
        os.setxattr(lower / name, "security.capability", _FILE_CAPABILITIES)
    options = f"lowerdir={lower},upperdir={upper},workdir={work}".encode()
    target = str(merged).encode() + b"\0"

    def copy(name: str) -> None:
        call("unshare", CLONE_NEWNS)
        call("mount", b"none\0", b"/\0", 0, _MS_REC | _MS_PRIVATE, 0)
        call("mount", b"over\0", target, b"overlay\0", 0, options + b"\0")
        with contextlib.suppress(OSError):
            (merged / name).chmod(0o700)

    def copy_as_user() -> None:
        call("unshare", CLONE_NEWUSER)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text("0 0 1")
        Path("/proc/self/gid_map").write_text("0 0 1")
        copy("there")

    in_child(lambda: copy("here"))
    in_child(copy_as_user)
    return {}
