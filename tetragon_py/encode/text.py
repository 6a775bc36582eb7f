# SPDX-License-Identifier: Apache-2.0
"""Hostile bytes as JSON strings, and paths with their marks."""

from __future__ import annotations

import re

import orjson

from tetragon_py.abi._generated import PATH_DELETED

__all__ = ["json_string", "json_value", "marked_path"]

#: DEL and the C1 controls (U+0080..U+009F), which orjson leaves and terminals obey.
_CONTROLS = re.compile(rb"\x7f|\xc2([\x80-\x9f])")


def json_value(value: object) -> bytes:
    """A text, number, list or dict as JSON, without any control character."""
    dumped = orjson.dumps(value)
    if dumped.isascii() and b"\x7f" not in dumped:
        return dumped
    return _CONTROLS.sub(_escaped, dumped)


def json_string(raw: bytes) -> bytes:
    """The same of a text in bytes; what is not UTF-8 becomes U+FFFD."""
    if raw.isascii() and b"\x7f" not in raw:
        return orjson.dumps(raw.decode("ascii"))
    return json_value(raw.decode("utf-8", "replace"))


def marked_path(path: bytes, path_flags: int) -> bytes:
    """A resolved path as the kernel shows it: deleted ones say so."""
    return path + b" (deleted)" if path_flags & PATH_DELETED else path


def _escaped(match: re.Match[bytes]) -> bytes:
    code = match[1][0] if match[1] else 0x7F
    return b"\\u%04x" % code
