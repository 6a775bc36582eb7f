# SPDX-License-Identifier: Apache-2.0
"""Where this host gets Debian packages from: the mirror that its own apt uses.

Comes in: the name of an archive ("debian", "debian-security"). Goes out: its address on
the host's mirror, for apt runs that look into other suites.
"""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["SourceError", "archive_uri"]

_APT = Path("/etc/apt")
_URI = re.compile(r"^(?:URIs:|deb(?:-src)?\s)(.*)$", re.MULTILINE)


class SourceError(Exception):
    """apt on this host has no Debian mirror."""


def archive_uri(name: str, apt: Path = _APT) -> str:
    """The address of archive `name`, without a slash at its end.

    A host that has only the main archive finds the others beside it, as on all mirrors.

    Raises:
        SourceError: no source of apt ends in "/debian" or in the name.
    """
    files = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]
    text = "\n".join(file.read_text() for file in files if file.is_file())
    uris: list[str] = [
        word.rstrip("/")
        for line in _URI.findall(text)
        for word in line.split()
        if "://" in word
    ]
    for uri in uris:
        if uri.endswith(f"/{name}"):
            return uri
    for uri in uris:
        if uri.endswith("/debian"):
            return uri.removesuffix("debian") + name
    raise SourceError(f"no source below {apt} names a Debian mirror: add one")
