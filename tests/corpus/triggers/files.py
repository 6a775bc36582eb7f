# SPDX-License-Identifier: Apache-2.0
"""Files: opened, read, written, mapped, truncated, linked."""

from __future__ import annotations

import mmap
import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.corpus.triggers.system import (
    CLONE_NEWUSER,
    call,
    in_child,
    limit_capabilities,
    run,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.corpus.told import Told
    from tests.corpus.triggers.system import Place

PASSWD = "/etc/passwd"
_LOG = Path("/var/log/corpus.log")


def permission(path: str | Path) -> str:
    """As an event shows it."""
    return stat.filemode(Path(path).stat().st_mode)


def link(place: Place) -> Told:
    """linkat of /etc/passwd, and of another file; they may fail."""
    folder = os.open(place.scratch, os.O_RDONLY)
    for source in (PASSWD, "/etc/group"):
        try:
            os.link(source, "hard", src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:  # another file system
            continue
    return {"folder": folder, "flags": 0x400}  # AT_SYMLINK_FOLLOW


def link_beside(_: Place) -> Told:
    """Links to /etc/passwd and to another file, on their own file system."""
    with tempfile.TemporaryDirectory(dir="/etc") as path:
        folder = os.open(path, os.O_RDONLY)
        for source, name in ((PASSWD, "hard"), ("/etc/group", "other")):
            os.link(source, name, src_dir_fd=folder, dst_dir_fd=folder)
    return {"folder": folder, "flags": 0x400, "path": f"{path}/hard"}


def symlink(place: Place) -> Told:
    """symlinkat to /etc/passwd, and to another file."""
    folder = os.open(place.scratch, os.O_RDONLY)
    os.symlink(PASSWD, "soft", dir_fd=folder)
    os.symlink("/etc/group", "other", dir_fd=folder)
    return {"folder": folder, "path": f"{place.scratch}/soft"}


def follow_link(place: Place) -> Told:
    """Open a file through a symbolic link."""
    target, link_path = place.scratch / "target", place.scratch / "link"
    target.write_text("")
    link_path.symlink_to(target)
    link_path.read_text()
    return {"path": f"/{link_path.relative_to(place.mount)}"}


def open_for_writing(place: Place) -> Told:
    """Open /etc/passwd for writing, and for reading; nothing is written."""
    found = os.open(PASSWD, os.O_RDWR)
    os.close(os.open(PASSWD, os.O_RDONLY))
    return {"flags": os.O_RDWR | os.O_CLOEXEC, "fd": found}


def open_passwd(place: Place) -> Told:
    """Open /etc/passwd, and another file."""
    found = os.open(PASSWD, os.O_RDONLY)
    os.open("/etc/group", os.O_RDONLY)
    return {"fd": found, "permission": permission(PASSWD)}


def open_own_file(place: Place) -> Told:
    """Open a file with a mode of its own."""
    path = place.scratch / "opened"
    path.touch()
    path.chmod(0o4640)
    return {
        "fd": os.open(path, os.O_RDONLY),
        "path": str(path),
        "permission": "-rwSr-----",
    }


def open_in_user_namespace(place: Place) -> Told:
    """Open a file in a user namespace, where all is allowed; and here."""
    return _open_with(place, lambda: call("unshare", CLONE_NEWUSER))


def open_without_capabilities(place: Place) -> Told:
    """The same with fewer capabilities than before; and with all of them."""

    def drop() -> None:
        call("unshare", CLONE_NEWUSER)
        os.close(os.open("/etc/group", os.O_RDONLY))
        limit_capabilities(effective=0, permitted=0)

    def drop_here() -> None:
        limit_capabilities(effective=0, permitted=0)
        os.open("/etc/group", os.O_RDONLY)

    in_child(drop_here)
    return _open_with(place, drop)


def cat_passwd(place: Place) -> Told:
    """Cat /etc/passwd, which others read too."""
    Path(PASSWD).read_bytes()
    run("/usr/bin/cat", PASSWD, "/etc/group")
    return {"permission": permission(PASSWD)}


def touch_passwd(place: Place) -> Told:
    """Write, map and truncate /etc/passwd: as it is afterwards, it was before."""
    size = Path(PASSWD).stat().st_size
    file = os.open(PASSWD, os.O_RDWR)
    os.pread(file, 1, 0)
    os.write(file, b"")
    mmap.mmap(file, size, mmap.MAP_SHARED, mmap.PROT_READ).close()
    mmap.mmap(file, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE).close()
    os.truncate(PASSWD, size)
    os.truncate(_own(place), 3)
    return {"permission": permission(PASSWD)}


def touch_many(place: Place) -> Told:
    """Read a secret, write a log, map it, truncate it; and read the log."""
    secret = Path("/etc/shadow")
    secret.read_bytes()
    shell = place.scratch / ".bashrc"
    shell.write_text("# nothing\n")
    shell.read_text()
    _LOG.write_text("one line\n")
    _LOG.read_text()
    file = os.open(_LOG, os.O_RDWR)
    mmap.mmap(file, 9, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE).close()
    os.truncate(_LOG, 0)
    _own(place).read_text()
    told = {
        "secret": permission(secret),
        "shell": str(shell),
        "shell_permission": permission(shell),
        "log": str(_LOG),
        "log_permission": permission(_LOG),
    }
    _LOG.unlink()
    return told


def make_folder(place: Place) -> Told:
    """Mkdir."""
    (place.scratch / "folder").mkdir()
    return {}


def _open_with(place: Place, prepare: Callable[[], object]) -> Told:
    """Open a file after something else, in a child; and before, here."""
    told = open_own_file(place)
    path = told["path"]
    Path(path).chmod(0o644)
    os.close(told["fd"])

    def open_again() -> None:
        prepare()
        os.open(path, os.O_RDONLY)  # the same number

    in_child(open_again)
    return {**told, "permission": permission(path)}


def _own(place: Place) -> Path:
    path = place.scratch / "own"
    path.write_text("12345")
    return path
