# SPDX-License-Identifier: Apache-2.0
"""A file in /etc that is written: in an /etc of its own."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

from tests.corpus.triggers.system import CLONE_NEWNS, call

if TYPE_CHECKING:
    from tests.corpus.told import Told
    from tests.corpus.triggers.system import Place

_MS_REC, _MS_PRIVATE = 1 << 14, 1 << 18


def edit(place: Place) -> Told:
    """Write to a file in /etc and to one elsewhere."""
    call("unshare", CLONE_NEWNS)
    call("mount", b"none\0", b"/\0", 0, _MS_REC | _MS_PRIVATE, 0)
    call("mount", b"corpus\0", b"/etc\0", b"tmpfs\0", 0, 0)
    path, data = "/etc/corpus.conf", b"option = 1\n"
    other = os.open(place.scratch / "other", os.O_WRONLY | os.O_CREAT)
    os.write(other, data)
    found = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(found, data)
    os.close(found)
    return {
        "fd": found,
        "path": path,
        "permission": "-rw-------",
        "data": base64.b64encode(data).decode(),
        "size": len(data),
    }
