# SPDX-License-Identifier: Apache-2.0
"""By which ways the library's policies have to see what they are about.

The ways are those of triggers/doors.c, exec_doors.c and net_doors.c, which try them.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "DOORS",
    "EXEC_DOORS",
    "GUARDS",
    "NET_DOORS",
    "PROGRAMS",
    "TARGETS",
    "UNLINKED",
    "VICTIMS",
    "Door",
    "Victim",
]


class Door(NamedTuple):
    """A way to a file, and the hook that sees who reads or writes; "": it is none."""

    name: str
    how: str
    read: str
    write: str


class Victim(NamedTuple):
    """What is protected from whom."""

    file: str
    use: str  # "read" or "write"


_OPEN = ("file_open", "file_open")
DOORS = (
    Door("open", "`open`", *_OPEN),
    Door("openat2", "`openat2`", *_OPEN),
    Door("io_uring", "`IORING_OP_OPENAT`", *_OPEN),
    Door("32-bit", "a 32-bit system call (`int 0x80`)", *_OPEN),
    Door("splice", "`sendfile` or `splice` instead of `read` and `write`", *_OPEN),
    Door("symlink", "a symbolic link to the file", *_OPEN),
    Door("proc-self-fd", "`/proc/self/fd/N` of an `O_PATH` descriptor", *_OPEN),
    Door("bind-mount", "a bind mount of its directory", *_OPEN),
    Door("chroot", "`chroot` into its directory", *_OPEN),
    Door("file-handle", "`open_by_handle_at`", *_OPEN),
    Door("hard-link", "a hard link to the file", "path_link", "path_link"),
    Door("linkat-fd", "a hard link to `/proc/self/fd/N`", "path_link", "path_link"),
    Door("rename", "another name for the file", "path_rename", "path_rename"),
    Door("exchange", "`RENAME_EXCHANGE` with another", "path_rename", "path_rename"),
    Door("truncate", "`truncate`", "", "path_truncate"),
    Door("replace", "a file renamed into its place", "", "path_rename"),
    Door("link-in-place", "a hard link in its place", "", "path_link"),
    Door("create", "a new file in its place", "", "path_mknod"),
    Door("symlink-in-place", "a symbolic link in its place", "", "path_symlink"),
)
VICTIMS = {
    "account-write": Victim("etc/passwd", "write"),
    "authorized-keys-write": Victim("home/user/.ssh/authorized_keys", "write"),
    "cron-write": Victim("etc/cron.d/job", "write"),
    "history-tampering": Victim("home/user/.bash_history", "write"),
    "linker-write": Victim("etc/ld.so.preload", "write"),
    "login-record-write": Victim("var/log/wtmp", "write"),
    "pam-write": Victim("etc/pam.d/login", "write"),
    "shadow-read": Victim("etc/shadow", "read"),
    "shell-profile-write": Victim("etc/profile", "write"),
    "ssh-key-read": Victim("home/user/.ssh/id_ed25519", "read"),
    "sshd-config-write": Victim("etc/ssh/sshd_config", "write"),
    "sudoers-write": Victim("etc/sudoers", "write"),
    "systemd-unit-write": Victim("etc/systemd/system/x.service", "write"),
}

#: Way to execute a program -> how, in words.
EXEC_DOORS = {
    "execve": "`execve`",
    "execveat": "`execveat` with a directory",
    "descriptor": "`execveat` with the program's descriptor",
    "proc-self-fd": "`/proc/self/fd/N`",
    "symlink": "a symbolic link to it",
    "script": "a script whose interpreter it is",
    "32-bit": "a 32-bit system call (`int 0x80`)",
    "bind-mount": "a bind mount of its directory",
    "loader": "`ld.so PROGRAM`",
}
#: Kind of program -> door -> the policy that sees it. Without a name there are fewer.
PROGRAMS = {
    "temporary": {
        **dict.fromkeys(EXEC_DOORS, "temporary-exec"),
        "loader": "temporary-library",
    },
    "memory": dict.fromkeys(("descriptor", "proc-self-fd", "script"), "memory-exec"),
    "deleted": dict.fromkeys(("descriptor", "proc-self-fd", "script"), "deleted-exec"),
}

#: Way to an address -> how, in words, and the hook that sees it.
NET_DOORS = {
    "connect": ("`connect`", "socket_connect"),
    "connect-mapped": ("`connect` to `::ffff:ADDRESS`", "socket_connect"),
    "connect-32-bit": ("a 32-bit system call (`int 0x80`)", "socket_connect"),
    "connect-io_uring": ("`IORING_OP_CONNECT`", "socket_connect"),
    "fastopen": ("`sendto` with `MSG_FASTOPEN`", "socket_sendmsg"),
    "sendto": ("`sendto` without a connection", "socket_sendmsg"),
    "sendmsg": ("`sendmsg` without a connection", "socket_sendmsg"),
    "sendmsg-io_uring": ("`IORING_OP_SENDMSG`", "socket_sendmsg"),
}
#: Policy -> an address that it is about; nobody has the second one.
TARGETS = {"cloud-metadata": "169.254.169.254", "egress": "192.0.2.1"}

#: Where a policy denies to remove the file, which a door does first: that and its hook.
UNLINKED = {
    (door, policy): (denies, "path_unlink")
    for door in ("create", "link-in-place", "symlink-in-place")
    for policy, denies in (
        ("history-tampering", "history-tampering"),
        ("login-record-write", "log-tampering"),
    )
}

#: Door -> the policy that denies it before there is anything to open.
GUARDS = {
    "io_uring": "io-uring",
    "connect-io_uring": "io-uring",
    "sendmsg-io_uring": "io-uring",
    "bind-mount": "mount",
}
