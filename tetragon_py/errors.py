# SPDX-License-Identifier: Apache-2.0
"""Every exception of the project; imports nothing of it.

* TetragonError
  * SettingsError         bad configuration or command line
  * PolicyError           policies that cannot be put in force
  * KernelError           libbpf or a system call failed
    * VerifierError       the kernel's verifier rejected a program
    * UnsupportedError    this kernel cannot do what is asked
  * LimitError            a policy set is larger than its tables
  * DrainError            the agent cannot read events any more
  * DecodeError           a record from the kernel is malformed
  * SinkError             an output cannot be opened or written

The text of each is one or a few lines that an operator can act on. The command line
prints it without a traceback and exits with `exit_status`.
"""

from __future__ import annotations

import errno
import os

__all__ = [
    "DecodeError",
    "DrainError",
    "KernelError",
    "LimitError",
    "PolicyError",
    "SettingsError",
    "SinkError",
    "TetragonError",
    "UnsupportedError",
    "VerifierError",
]


class TetragonError(Exception):
    """The root: all that this project raises on purpose."""

    exit_status = 1


class SettingsError(TetragonError):
    """Bad configuration: `source` is the file (with line), variable or option."""

    exit_status = 2

    def __init__(self, message: str, *, source: str = "", key: str = "") -> None:
        super().__init__(f"{source}: {message}" if source else message)
        self.source = source
        self.key = key


class PolicyError(TetragonError):
    """Policies are wrong, or this kernel cannot do what they ask: a line for each."""

    exit_status = 2


class KernelError(TetragonError):
    """A libbpf call or a system call failed with `errno` (positive) in `operation`."""

    def __init__(self, operation: str, error: int, detail: str = "") -> None:
        name = errno.errorcode.get(error, str(error))
        text = f"{operation}: {os.strerror(error)} ({name})"
        super().__init__(f"{text}: {detail}" if detail else text)
        self.operation = operation
        self.errno = error


class VerifierError(KernelError):
    """The verifier rejected `program`; `log` is all that it said."""

    #: Lines of the log that the message shows: the last ones hold the reason.
    SHOWN_LINES = 12

    def __init__(self, program: str, error: int, log: str) -> None:
        lines = [line for line in log.splitlines() if line.strip()]
        shown = "\n  ".join(lines[-self.SHOWN_LINES :])
        super().__init__(
            f"load program {program}", error, f"the verifier says:\n  {shown}"
        )
        self.program = program
        self.log = log


class UnsupportedError(KernelError):
    """This kernel lacks `feature`, which came with version `since`."""

    def __init__(self, feature: str, since: str, reason: str = "") -> None:
        detail = f"{feature} needs Linux {since} or newer"
        super().__init__(
            f"use {feature}",
            errno.EOPNOTSUPP,
            f"{detail}: {reason}" if reason else detail,
        )
        self.feature = feature
        self.since = since


class LimitError(TetragonError):
    """A policy set needs more room than a table has; nothing of it is in force."""


class DrainError(TetragonError):
    """The thread that reads events has failed: the agent has to end."""


class DecodeError(TetragonError):
    """A record is malformed: of event `type`, `size` bytes."""

    def __init__(self, message: str, *, type: int = 0, size: int = 0) -> None:  # noqa: A002 - the record's own word
        super().__init__(f"{message} (record type {type}, {size} bytes)")
        self.type = type
        self.size = size


class SinkError(TetragonError):
    """An output failed: `sink` names it."""

    exit_status = 2

    def __init__(self, sink: str, message: str) -> None:
        super().__init__(f"{sink}: {message}")
        self.sink = sink
