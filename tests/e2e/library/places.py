# SPDX-License-Identifier: Apache-2.0
"""File systems with what policies protect, so that nothing of the host is touched.

Policies go by the path within the file system: in a tmpfs of its own /etc/shadow is
one, wherever that is mounted.
"""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["OWN", "make_places"]

#: Made in each file system: what doors are tried on, and what else triggers touch.
_FILES = (
    *("etc/shadow", "etc/shadowy", "etc/passwd", "etc/passwd.txt", "etc/sudoers"),
    *("etc/sudo.conf", "etc/pam.d/login", "etc/pam.txt", "etc/ssh/sshd_config"),
    *("etc/ssh/ssh_config", "etc/ssh/ssh_host_ed25519_key", "etc/cron.d/job"),
    *("etc/crypttab", "etc/systemd/system/x.service", "etc/systemd.txt"),
    *("etc/ld.so.preload", "etc/ld.conf", "etc/profile", "etc/protocols"),
    *("etc/ssh/ssh_host_ed25519_key.pub",),
    *("home/user/.ssh/authorized_keys", "home/user/.ssh/config"),
    *("home/user/.ssh/id_ed25519", "home/user/.ssh/id_ed25519.pub"),
    *("home/user/.bash_history", "home/user/notes"),
    *("var/log/wtmp", "var/log/messages", "var/log/old", "var/log/emptied"),
    *("var/lib/file", "var/log/moved", "program", "library", "plain"),
)
#: The folder for what a door makes.
OWN = "own"


@contextmanager
def make_places(names: Iterable[str]) -> Iterator[dict[str, Path]]:
    """A file system for each name."""
    base = Path(tempfile.mkdtemp(prefix="tetragon-py-library-"))
    base.chmod(0o755)
    places = {}
    for name in names:
        place = places[name] = base / name
        place.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "mode=755,private", "place", str(place)]
        subprocess.run(mount, check=True)
        for file in (*_FILES, f"{OWN}/own"):
            path = place / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("text\n")
        program = place / "program"
        program.write_bytes(Path("/usr/bin/true").read_bytes())
        program.chmod(0o755)
    try:
        yield places
    finally:
        for place in places.values():
            subprocess.run(["umount", "--lazy", place], check=True)
            place.rmdir()
        base.rmdir()
