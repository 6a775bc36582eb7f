# SPDX-License-Identifier: Apache-2.0
"""What a process may do: each maker returns an action for a child of the test.

An action that the kernel refuses raises OSError; one that executes does not return.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import socket
import stat
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from tetragon_py.abi.syscalls import syscall_numbers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: In a child, with a file system of tests/e2e/library/places.py.
Action: TypeAlias = "Callable[[Path], object]"

_LIBC = ctypes.CDLL(None, use_errno=True)
_ABI = {"x86_64": "x64", "aarch64": "arm64"}[os.uname().machine]
_PORT = 80
_USER = 1000


def call(name: str, *arguments: object) -> int:
    """A system call by its name.

    Raises:
        OSError: It failed.
    """
    number = syscall_numbers(_ABI)[name]
    # as wide as registers: what is on the stack has no zeros above it
    wide = [ctypes.c_long(v) if isinstance(v, int) else v for v in arguments]
    result: int = _LIBC.syscall(number, *wide)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def opening(name: str, flags: int) -> Action:
    """Open a file of the place, or any by its absolute name."""
    return lambda place: os.close(os.open(place / name, flags))


def in_place(act: Callable[..., object], *names: str) -> Action:
    """Call with files of the place."""
    return lambda place: act(*(place / name for name in names))


def executing(name: str, *arguments: str) -> Action:
    """Execute a file of the place, or any by its absolute name."""
    return lambda place: os.execv(place / name, [name, *arguments])


def executing_descriptor(make: Callable[[Path], int]) -> Action:
    """Execute what a descriptor is, by its number."""

    def act(place: Path) -> None:
        number = make(place)
        os.execve(number, ["program"], {})

    return act


def mapping(name: str, protection: int) -> Action:
    """Map a file of the place."""

    def act(place: Path) -> None:
        number = os.open(place / name, os.O_RDONLY)
        mmap.mmap(number, 1, flags=mmap.MAP_PRIVATE, prot=protection)

    return act


def _socket(address: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.socket(family, socket.SOCK_DGRAM)


def connecting(address: str) -> Action:
    """Say where datagrams will go: nothing is sent."""
    return lambda place: _socket(address).connect((address, _PORT))


def sending(address: str) -> Action:
    """Send a datagram without connect."""
    return lambda place: _socket(address).sendto(b"x", (address, _PORT))


def as_user(act: Action) -> Action:
    """The same without root's power."""

    def act_as_user(place: Path) -> object:
        os.setresgid(_USER, _USER, _USER)
        os.setresuid(_USER, _USER, _USER)
        return act(place)

    return act_as_user


def with_child(act: Callable[[int], object]) -> Action:
    """Act on another process, by its pid."""

    def act_on_child(place: Path) -> None:
        pid = os.fork()
        if not pid:
            signal.pause()
        try:
            act(pid)
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    return act_on_child


# ---- single ones ----


def memory_program(place: Path) -> int:
    """A descriptor of a program in memory."""
    number = os.memfd_create("payload", 0)
    os.write(number, (place / "program").read_bytes())
    return number


def deleted_program(place: Path) -> int:
    """A descriptor of a program whose name is gone."""
    path = place / "gone"
    path.write_bytes((place / "program").read_bytes())
    path.chmod(0o755)
    number = os.open(path, os.O_RDONLY)
    path.unlink()
    return number


def shell_on(make: Callable[[], tuple[int, int]]) -> Action:
    """A shell whose standard input is the first descriptor of a pair."""

    def act(place: Path) -> None:
        end, _ = make()
        os.dup2(end, 0)
        os.execv("/bin/sh", ["sh", "-c", ":"])

    return act


def socket_pair() -> tuple[int, int]:
    """Two ends of a socket."""
    ends = socket.socketpair()
    return ends[0].detach(), ends[1].detach()


def become_root(place: Path) -> None:
    """As a set-uid program of root does."""
    os.setresuid(_USER, 0, 0)
    os.setuid(0)


def make_user_namespace(place: Path) -> None:
    """unshare(CLONE_NEWUSER)."""
    call("unshare", 0x10000000)


def mount_something(place: Path) -> None:
    """A tmpfs, in a mount namespace of its own."""
    call("unshare", 0x00020000)
    call("mount", b"tmpfs", os.fsencode(place / "var"), b"tmpfs", 0, 0)


def mount_the_new_way(place: Path) -> None:
    """fsopen, fsmount and move_mount: nothing has to be mounted for it to be asked."""
    call("unshare", 0x00020000)
    context = call("fsopen", b"tmpfs", 0)
    call("fsconfig", context, 6, 0, 0, 0)  # FSCONFIG_CMD_CREATE
    mount = call("fsmount", context, 0, 0)
    call("move_mount", mount, b"", -100, os.fsencode(place / "var"), 4)


def mount_by_mount(place: Path) -> None:
    """The program that may."""
    call("unshare", 0x00020000)
    os.execv("/usr/bin/mount", ["mount", "--make-rprivate", "/"])


def pivot_root(place: Path) -> None:
    """Refused afterwards: the root has to be a mount of its own."""
    call("unshare", 0x00020000)
    call("pivot_root", os.fsencode(place), os.fsencode(place))


def make_disk(place: Path) -> Path:
    """A node of a disk that there is not."""
    path = place / "disk"
    if not path.exists():
        os.mknod(path, stat.S_IFBLK | 0o600, os.makedev(7, 250))
    return path


def open_disk(flags: int) -> Action:
    """Open that."""
    return lambda place: os.open(make_disk(place), flags)


def bpf(command: int) -> Action:
    """bpf() with attributes that no command takes, of a size that every kernel has."""
    attributes = ctypes.create_string_buffer(b"\xff" * 48)
    return lambda place: call("bpf", command, attributes, 48)


def attach(pid: int) -> None:
    """PTRACE_ATTACH and PTRACE_DETACH."""
    call("ptrace", 16, pid, 0, 0)
    os.waitpid(pid, 0)
    call("ptrace", 17, pid, 0, 0)


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def copy_memory(name: str, pid: int) -> None:
    """process_vm_readv or process_vm_writev: the child has the same addresses."""
    text = ctypes.create_string_buffer(b"text")
    vector = _Vector(ctypes.addressof(text), 4)
    at = ctypes.byref(vector)
    call(name, pid, at, 1, at, 1, 0)


read_memory = partial(copy_memory, "process_vm_readv")
write_memory = partial(copy_memory, "process_vm_writev")


def look_at(pid: int) -> None:
    """What anybody may know of a process of the same user."""
    os.readlink(f"/proc/{pid}/exe")  # noqa: PTH115 - as short as it is


def set_up_ring(place: Path) -> None:
    """io_uring_setup."""
    parameters = ctypes.create_string_buffer(120)
    os.close(call("io_uring_setup", 1, parameters))


def make_event_descriptor(place: Path) -> None:
    """Another file without a name."""
    os.close(os.eventfd(0))


def load_module(place: Path) -> None:
    """init_module with what is no module, but as long as its header."""
    call("init_module", bytes(4096), 4096, b"")


def load_module_file(place: Path) -> None:
    """finit_module with what is no module."""
    call("finit_module", os.open(place / "plain", os.O_RDONLY), b"", 0)


def load_kernel(place: Path) -> None:
    """kexec_load without segments: that unloads."""
    call("kexec_load", 0, 0, 0, 0)


def open_handle(place: Path) -> None:
    """open_by_handle_at with a handle of nothing."""
    call("open_by_handle_at", -1, bytes(8), os.O_RDONLY)


def name_to_handle(place: Path) -> None:
    """The other half of that."""
    handle = ctypes.create_string_buffer(b"\x80", 136)
    number = ctypes.c_int()
    name = os.fsencode(place / "plain")
    call("name_to_handle_at", -100, name, handle, ctypes.byref(number), 0)
