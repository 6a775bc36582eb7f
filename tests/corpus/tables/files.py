# SPDX-License-Identifier: Apache-2.0
"""Policies on files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.corpus.example import Example
from tests.corpus.patterns import (
    ANY,
    call,
    file,
    function,
    lsm,
    number,
    path,
    text,
    unsigned,
)
from tests.corpus.triggers import files, kernel
from tetragon_py.libbpf.features import probe

if TYPE_CHECKING:
    from tests.corpus.patterns import Event, Pattern
    from tests.corpus.told import Told

__all__ = ["FILES"]

_PASSWD = files.PASSWD
_OK = number(0)
_READ, _WRITE = number(4), number(2)
_AT_FDCWD = -100
_NAMESPACED = {"*": "a namespaced policy cannot run in this release"}


def _link(told: Told) -> list[Pattern]:
    folder = number(told["folder"])
    follow = number(told["flags"])
    return [call("linkat", folder, text(_PASSWD), folder, text("hard"), follow)]


def _symlink(told: Told) -> list[Pattern]:
    return [call("symlinkat", text(_PASSWD), number(told["folder"]), text("soft"))]


# Where a guard in an LSM hook stands for the call, it shows the kernel's own object.
def _named(told: Told, name: str) -> Event:
    return text(told["path"] if probe("lsm").available else name)


def _link_override(told: Told) -> list[Pattern]:
    [pattern] = _link(told)
    pattern["args"][3] = _named(told, "hard")
    return [pattern]


def _symlink_override(told: Told) -> list[Pattern]:
    [pattern] = _symlink(told)
    pattern["args"][2] = _named(told, "soft")
    return [pattern]


def _openat(told: Told) -> list[Pattern]:
    return [
        call(
            "openat",
            *(number(_AT_FDCWD), text(_PASSWD), number(told["flags"])),
            returned=number(told["fd"]),
        )
    ]


def _installed(told: Told) -> list[Pattern]:
    opened = file(told.get("path", _PASSWD), told["permission"])
    return [function("fd_install", number(told["fd"]), opened)]


def _passwd(told: Told) -> list[Pattern]:
    """Write, map for writing, truncate."""
    opened = file(_PASSWD, told["permission"])
    truncated = path(_PASSWD, told["permission"])
    return [
        function("security_file_permission", opened, _WRITE, returned=_OK),
        function("security_mmap_file", opened, unsigned(3), returned=_OK),
        function("security_path_truncate", truncated, returned=_OK),
    ]


def _any_of_passwd(told: Told) -> list[Pattern]:
    """Read and map for reading too."""
    opened = file(_PASSWD, told["permission"])
    return [
        *_passwd(told),
        function("security_file_permission", opened, _READ, returned=_OK),
        function("security_mmap_file", opened, unsigned(1), returned=_OK),
    ]


def _many(told: Told) -> list[Pattern]:
    secret = file("/etc/shadow", told["secret"])
    shell = file(told["shell"], told["shell_permission"])
    log = file(told["log"], told["log_permission"])
    truncated = path(told["log"], told["log_permission"])
    permission = "security_file_permission"
    return [
        function(permission, secret, _READ, returned=_OK),
        function(permission, shell, _READ, returned=_OK),
        function(permission, log, _WRITE, returned=_OK),
        function("security_mmap_file", log, unsigned(3), unsigned(1), returned=_OK),
        function("security_path_truncate", truncated, returned=_OK),
    ]


def _cat(told: Told) -> list[Pattern]:
    return [lsm("file_open", file(_PASSWD, told["permission"]))]


def _follow(told: Told) -> list[Pattern]:
    return [
        function("security_inode_follow_link", path(told["path"], "lrwxrwxrwx")),
    ]


FILES = [
    Example("tracingpolicy/hardlink-observe.yaml", files.link, _link, native=True),
    Example(
        "tracingpolicy/hardlink-override.yaml",
        files.link_beside,
        _link_override,
        native=True,
    ),
    Example("tracingpolicy/symlink-observe.yaml", files.symlink, _symlink, native=True),
    Example(
        "tracingpolicy/symlink-override.yaml",
        files.symlink,
        _symlink_override,
        native=True,
    ),
    Example(
        "tracingpolicy/openat_write.yaml", files.open_for_writing, _openat, native=True
    ),
    Example(
        "tracingpolicy/security_inode_follow_link.yaml",
        files.follow_link,
        _follow,
        has_others=True,
    ),
    Example("tracingpolicy/open_dnsrequest.yaml", files.open_passwd, _installed),
    Example("tracingpolicy/open_geturl.yaml", files.open_passwd, _installed),
    Example(
        "tracingpolicy/fd_install_ns.yaml",
        silent="wants a mount namespace with the number of another kind of namespace",
    ),
    Example(
        "tracingpolicy/fd_install_ns_host.yaml",
        files.open_own_file,
        _installed,
        has_others=True,
    ),
    Example(
        "tracingpolicy/fd_install_caps.yaml", files.open_in_user_namespace, _installed
    ),
    Example(
        "tracingpolicy/fd_install_cap_changes.yaml",
        files.open_without_capabilities,
        _installed,
    ),
    Example("tracingpolicy/lsm_file_open.yaml", files.cat_passwd, _cat),
    Example(
        "tracingpolicy/filename_monitoring.yaml",
        files.touch_passwd,
        _any_of_passwd,
        has_others=True,
    ),
    Example(
        "tracingpolicy/filename_monitoring_filtered.yaml", files.touch_passwd, _passwd
    ),
    Example("quickstart/file_monitoring.yaml", files.touch_many, _many),
    Example(
        "quickstart/file_monitoring_enforce.yaml",
        files.touch_many,
        _many,
        refused=_NAMESPACED,
        on_host=True,
    ),
    Example(
        "tracingpolicy/override-security.yaml",
        files.make_folder,
        lambda _: [function("security_inode_mkdir")],
    ),
    Example(
        "tracingpolicy/cves/cve-2023-2640-overlayfs-ubuntu.yaml",
        kernel.copy_up,
        lambda _: [
            function(
                "security_inode_copy_up_xattr",
                text("security.capability"),
                returned=ANY,
            )
        ],
        only_on="6.1",  # 5.10 has no overlays in user namespaces
        silent="the function's argument 0 is no text any more: struct dentry *",
    ),
    Example(
        "other/file-block-kubectl-exec-access.yaml",
        refused={"*": "podSelector cannot run in this release"},
    ),
]
