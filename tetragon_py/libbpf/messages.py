# SPDX-License-Identifier: Apache-2.0
"""libbpf's messages, gathered in C and handed to structlog after each call.

Comes in: what libbpf prints, the verifier's log included. Goes out: structlog events at
libbpf's own level, and the text of the last failed load for `VerifierError`.
"""

from __future__ import annotations

import re

from tetragon_py.errors import KernelError, VerifierError
from tetragon_py.libbpf._libbpf import ffi, lib

__all__ = ["flush_messages", "load_error", "take_messages"]

#: libbpf's levels: enum libbpf_print_level
_LEVELS = ("warning", "info", "debug")
_VERIFIER_LOG = re.compile(
    r"prog '(?P<program>[^']+)': -- BEGIN PROG LOAD LOG --\n"
    r"(?P<log>.*?)-- END PROG LOAD LOG --",
    re.DOTALL,
)

lib.tpy_log_start()


def take_messages() -> list[tuple[str, str]]:
    """All messages since the last call, oldest first: (level, text)."""
    size = lib.tpy_log_size()
    if not size:
        return []
    buffer = bytearray(size)
    size = lib.tpy_log_take(ffi.from_buffer("char[]", buffer), size)
    texts = bytes(buffer[:size]).decode("utf-8", "replace").split("\0")
    return [(_LEVELS[int(text[0]) % 3], text[1:].strip()) for text in texts if text]


def flush_messages(*, quiet: bool = False) -> None:
    """Pass what libbpf said on to the log; `quiet`: all of it at level debug."""
    messages = take_messages()
    if not messages:
        return
    import structlog  # noqa: PLC0415 - `tetragon-py version` starts without it

    log = structlog.get_logger("libbpf")
    for level, text in messages:
        getattr(log, "debug" if quiet else level)(text)


def load_error(operation: str, error: int) -> KernelError:
    """The exception for a failed load: a VerifierError if the verifier spoke."""
    messages = take_messages()
    for _, text in reversed(messages):
        if found := _VERIFIER_LOG.search(text):
            return VerifierError(found["program"], error, found["log"])
    said = [text for level, text in messages if level == "warning"]
    return KernelError(operation, error, "; ".join(said[-3:]))
