# SPDX-License-Identifier: Apache-2.0
"""Of each policy: what has to make it fire, and what looks like it and must not."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING, NamedTuple

from tests.e2e.library import actions as do

if TYPE_CHECKING:
    from tests.e2e.library.actions import Action

__all__ = ["CASES", "Case"]

_READ, _WRITE = os.O_RDONLY, os.O_WRONLY
_PROC_SYS = "/proc/sys/kernel"
_SOCK_RAW, _AF_PACKET = 3, 17


class Case(NamedTuple):
    """Every trigger alone makes the policy fire; the benign action does not."""

    policy: str
    triggers: tuple[Action, ...]
    benign: Action


def _write(policy: str, protected: str, free: str) -> Case:
    """A policy on a file; the doors to it are in doors.py."""
    return Case(policy, (do.opening(protected, _WRITE),), do.opening(free, _WRITE))


def _read(policy: str, protected: str, free: str) -> Case:
    return Case(policy, (do.opening(protected, _READ),), do.opening(free, _READ))


def _socket(family: int, kind: int) -> Action:
    return lambda place: os.close(do.call("socket", family, kind, 0))


CASES = (
    # credential access
    _read("shadow-read", "etc/shadow", "etc/shadowy"),
    _read("ssh-key-read", "home/user/.ssh/id_ed25519", "home/user/.ssh/id_ed25519.pub"),
    _write("pam-write", "etc/pam.d/login", "etc/pam.txt"),
    Case(
        "cloud-metadata",
        (
            do.as_user(do.connecting("169.254.169.254")),
            do.as_user(do.sending("169.254.169.254")),
            do.as_user(do.connecting("::ffff:169.254.169.254")),
        ),
        do.connecting("169.254.169.254"),
    ),
    Case(
        "raw-socket",
        (_socket(2, _SOCK_RAW), _socket(_AF_PACKET, _SOCK_RAW)),
        _socket(2, 2),
    ),
    # execution
    Case("temporary-exec", (do.executing("program"),), do.executing("/usr/bin/true")),
    Case(
        "reverse-shell",
        (
            do.shell_on(do.socket_pair),
            do.executing("/bin/bash", "-c", ": >/dev/udp/127.0.0.1/9"),
        ),
        do.shell_on(os.pipe),
    ),
    # persistence
    _write("account-write", "etc/passwd", "etc/passwd.txt"),
    _write("sshd-config-write", "etc/ssh/sshd_config", "etc/ssh/ssh_config"),
    _write(
        "authorized-keys-write",
        "home/user/.ssh/authorized_keys",
        "home/user/.ssh/config",
    ),
    _write("cron-write", "etc/cron.d/job", "etc/crypttab"),
    _write("systemd-unit-write", "etc/systemd/system/x.service", "etc/systemd.txt"),
    _write("linker-write", "etc/ld.so.preload", "etc/ld.conf"),
    _write("shell-profile-write", "etc/profile", "etc/protocols"),
    Case(
        "kernel-module-load",
        (do.load_module, do.load_module_file),
        do.load_kernel,
    ),
    Case("kexec", (do.load_kernel,), do.load_module),
    # privilege escalation
    _write("sudoers-write", "etc/sudoers", "etc/sudo.conf"),
    Case(
        "process-attach",
        (do.with_child(do.attach), do.with_child(do.read_memory)),
        do.with_child(do.look_at),
    ),
    Case(
        "process-memory-write",
        (do.opening("/proc/self/mem", _WRITE),),
        do.opening("/proc/self/mem", _READ),
    ),
    Case(
        "process-vm-write",
        (do.with_child(do.write_memory),),
        do.with_child(do.look_at),
    ),
    Case("setuid-root", (do.become_root,), do.as_user(do.opening("plain", _READ))),
    Case(
        "user-namespace",
        (do.as_user(do.make_user_namespace),),
        do.make_user_namespace,
    ),
    Case(
        "set-uid-bit",
        (
            do.in_place(lambda path: path.chmod(0o4755), "plain"),
            lambda place: os.mknod(place / "born", 0o104755),
            lambda place: os.open(place / "born2", os.O_CREAT | _WRITE, 0o4755),
        ),
        do.in_place(lambda path: path.chmod(0o755), "plain"),
    ),
    Case(
        "file-capability",
        (
            do.in_place(
                lambda path: os.setxattr(
                    path, "security.capability", b"\0\0\0\2" + bytes(16)
                ),
                "plain",
            ),
        ),
        do.in_place(lambda path: os.setxattr(path, "trusted.x", b"x"), "plain"),
    ),
    Case(
        "mount",
        (do.mount_something, do.mount_the_new_way, do.pivot_root),
        do.mount_by_mount,
    ),
    Case(
        "kernel-helper-write",
        (do.opening(f"{_PROC_SYS}/core_pattern", _WRITE),),
        do.opening(f"{_PROC_SYS}/core_pattern", _READ),
    ),
    Case("file-handle-open", (do.open_handle,), do.name_to_handle),
    # defense evasion
    Case(
        "memory-exec",
        (do.executing_descriptor(do.memory_program),),
        do.executing("/usr/bin/true"),
    ),
    Case(
        "deleted-exec",
        (do.executing_descriptor(do.deleted_program),),
        do.executing_descriptor(lambda place: os.open("/usr/bin/true", _READ)),
    ),
    Case("io-uring", (do.set_up_ring,), do.make_event_descriptor),
    Case(
        "kernel-tunable-write",
        (do.opening(f"{_PROC_SYS}/kptr_restrict", _WRITE),),
        do.opening(f"{_PROC_SYS}/kptr_restrict", _READ),
    ),
    Case(
        "log-tampering",
        (
            do.in_place(os.unlink, "var/log/old"),
            do.opening("var/log/emptied", _WRITE | os.O_TRUNC),
            do.in_place(lambda path: os.truncate(path, 0), "var/log/messages"),
            do.in_place(os.rename, "var/log/moved", "var/lib/moved"),
            lambda place: (place / "var/log/dangling").symlink_to("/dev/null"),
        ),
        do.opening("var/log/messages", _WRITE | os.O_APPEND),
    ),
    _write("login-record-write", "var/log/wtmp", "var/log/messages"),
    Case(
        "history-tampering",
        (
            do.opening("home/user/.bash_history", _WRITE),
            do.in_place(lambda path: os.truncate(path, 0), "home/user/.bash_history"),
            do.in_place(os.unlink, "home/user/.bash_history"),
            lambda place: (place / ".bash_history").symlink_to("/dev/null"),
        ),
        do.in_place(os.unlink, "home/user/notes"),
    ),
    Case("bpf-program-load", (do.bpf(5),), do.bpf(0)),
    Case(
        "temporary-library",
        (do.mapping("library", mmap.PROT_READ | mmap.PROT_EXEC),),
        do.mapping("library", mmap.PROT_READ),
    ),
    # the rest
    Case("raw-disk-write", (do.open_disk(_WRITE),), do.open_disk(_READ)),
    Case(
        "egress",
        (do.connecting("192.0.2.1"), do.sending("198.51.100.1")),
        do.connecting("127.0.0.1"),
    ),
)
