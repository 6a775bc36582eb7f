# SPDX-License-Identifier: Apache-2.0
"""Folders of the host that a guest sees, each served by a virtiofsd of its own."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.vm.children import Children

__all__ = ["Share", "serve_share", "shares_of"]

_VIRTIOFSD = "/usr/lib/qemu/virtiofsd"
# In a mount namespace of its own: $1 bound to $2, read-only if $3, then the server. It
# keeps a descriptor for each file that the guest knows.
_SERVE = """
mount --bind "$1" "$2"
[ -z "$3" ] || mount -o remount,bind,ro "$2"
ulimit -n "$(ulimit -H -n)"
server=$4
folder=$2
shift 4
exec "$server" -o source="$folder" "$@"
"""


@dataclass(frozen=True, slots=True)
class Share:
    """A folder under its tag; what is mounted below it is not part of it."""

    tag: str
    folder: Path
    is_writable: bool = False


def shares_of(checkout: Path, modules: Path, writable: Path) -> list[Share]:
    """The host's root, the kernel's modules, and a folder for results.

    The checkout is a share of its own if it lies on another file system than the root.
    """
    shares = [Share("root", Path("/")), Share("modules", modules)]
    if checkout.stat().st_dev != Path("/").stat().st_dev:
        shares.append(Share("checkout", checkout))
    return [*shares, Share("writable", writable, is_writable=True)]


def serve_share(share: Share, run: Path, children: Children) -> list[str]:
    """Start the server; the arguments with which QEMU finds it.

    Args:
        share: What is served.
        run: A folder for the socket and the log; its path has to be short.
        children: Owner of the server.
    """
    path = run / f"{share.tag}.socket"
    mount_point = run / share.tag
    mount_point.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        server = [
            *(_VIRTIOFSD, f"--fd={listener.fileno()}"),
            # A read-only file system cannot change below the guest.
            *("-o", "cache=auto" if share.is_writable else "cache=always"),
            *("-o", "no_readdirplus", "-o", "sandbox=namespace"),
            *("-o", "log_level=err", "--thread-pool-size=0", "--rlimit-nofile=0"),
        ]
        children.start(
            [
                *("unshare", "--mount", "--propagation", "private"),
                *("sh", "-euc", _SERVE, "sh", str(share.folder), str(mount_point)),
                *("" if share.is_writable else "read-only", *server),
            ],
            run / f"{share.tag}.log",
            (listener.fileno(),),
        )
    device = f"vhost-user-fs-pci,chardev=share_{share.tag},tag={share.tag}"
    return [
        *("-chardev", f"socket,id=share_{share.tag},path={path}"),
        *("-device", f"{device},queue-size=512"),
    ]
