# SPDX-License-Identifier: Apache-2.0
"""Files and directories in, policies and diagnostics out. Nothing raises.

A file is opened once: what is checked is what is read. Symbolic links are followed, for
a mounted ConfigMap consists of them.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from tetragon_py.policy.diagnostic import Diagnostic, Severity
from tetragon_py.policy.documents import load_text
from tetragon_py.policy.loaded import LoadedPolicy, LoadResult, diagnostic_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

__all__ = ["FILE_MAX_BYTES", "SUFFIXES", "PolicyReader", "load_policies"]

#: A thousand hooks of usual size have half of it.
FILE_MAX_BYTES = 4 << 20
#: Of the files that are read in a directory.
SUFFIXES = frozenset((".yaml", ".yml", ".json"))
#: Opening a FIFO for reading must not wait; it is refused afterwards.
_OPEN_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_CHUNK_BYTES = 1 << 16
#: Of reading a file that changes meanwhile.
_TRIES = 3


class _UnreadableError(Exception):
    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def load_policies(paths: Iterable[Path], *, trusted: bool = False) -> LoadResult:
    """Read policies once, as `PolicyReader.read` does."""
    return PolicyReader().read(paths, trusted=trusted)


class PolicyReader:
    """Reads policies again and again: a file that says the same is not parsed again.

    Its policies are the very same objects then.
    """

    def __init__(self) -> None:
        #: File -> its bytes, and what they say; of the last reading.
        self._known: dict[str, tuple[bytes, LoadResult]] = {}

    def read(self, paths: Iterable[Path], *, trusted: bool = False) -> LoadResult:
        """Read files, and the files of directories in the order of their names.

        Args:
            paths: Files or directories; directories inside of directories are not read.
            trusted: Refuse what others than root and this user could have written.
        """
        policies: list[LoadedPolicy] = []
        diagnostics: list[Diagnostic] = []
        before, self._known = self._known, {}
        for path in paths:
            for item in _files(path, trusted=trusted):
                if isinstance(item, Diagnostic):
                    diagnostics.append(item)
                    continue
                result = self._load(item, before, trusted=trusted)
                policies += result.policies
                diagnostics += result.diagnostics
        unique, repeated = _unique(policies)
        return LoadResult(tuple(unique), (*diagnostics, *repeated))

    def _load(
        self,
        path: Path,
        before: Mapping[str, tuple[bytes, LoadResult]],
        *,
        trusted: bool,
    ) -> LoadResult:
        file = f"{path}"
        try:
            data = _read(path, trusted=trusted)
        except _UnreadableError as problem:
            told = _whole(path, problem.message, problem.hint)
            return LoadResult(diagnostics=(told,))
        except OSError as problem:
            text = f"cannot be read: {problem.strerror}"
            return LoadResult(diagnostics=(_whole(path, text),))
        known = before.get(file)
        if known is None or known[0] != data:
            known = data, load_text(data, file)
        self._known[file] = known
        return known[1]


# Hidden files are skipped in silence: a ConfigMap keeps its versions in them.
def _files(path: Path, *, trusted: bool) -> Iterator[Path | Diagnostic]:
    try:
        status = path.stat()
        if not stat.S_ISDIR(status.st_mode):
            yield path
            return
        if trusted:
            _check_owner(status)
        with os.scandir(path) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except _UnreadableError as problem:
        yield _whole(path, problem.message, problem.hint)
        return
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or "it is no path"
        yield _whole(path, f"cannot be read: {reason}")
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        file = path / entry.name
        if file.suffix in SUFFIXES and not entry.is_dir():
            yield file
        else:
            text = "is not read: only files that end in .yaml, .yml or .json are"
            yield _whole(file, text, severity=Severity.NOTE)


def _whole(
    path: Path,
    message: str,
    hint: str | None = None,
    severity: Severity = Severity.ERROR,
) -> Diagnostic:
    return Diagnostic(severity, f"{path}", 0, 0, "", message, hint)


# Without a file object: that takes three times as long, and there may be a thousand.
def _read(path: Path, *, trusted: bool) -> bytes:
    file = os.open(path, _OPEN_FLAGS)
    try:
        for _ in range(_TRIES):
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                raise _UnreadableError("is not a regular file")
            if trusted:
                _check_owner(status)
            data = _read_all(file)
            after = os.fstat(file)
            if (status.st_mtime_ns, len(data)) == (after.st_mtime_ns, after.st_size):
                return data
            os.lseek(file, 0, os.SEEK_SET)
    finally:
        os.close(file)
    raise _UnreadableError(
        "is being written", "write another file and rename it to this one"
    )


def _read_all(file: int) -> bytes:
    chunks, size = [], 0
    while size <= FILE_MAX_BYTES and (chunk := os.read(file, _CHUNK_BYTES)):
        chunks.append(chunk)
        size += len(chunk)
    if size > FILE_MAX_BYTES:
        raise _UnreadableError(
            f"is larger than {FILE_MAX_BYTES} bytes", "split the file"
        )
    return b"".join(chunks)


def _check_owner(status: os.stat_result) -> None:
    if status.st_uid not in {0, os.geteuid()}:
        raise _UnreadableError(
            f"belongs to user {status.st_uid}, who could change what is enforced",
            "chown it to root",
        )
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise _UnreadableError(
            f"can be written by others (mode {stat.S_IMODE(status.st_mode):04o})",
            "chmod go-w",
        )


def _unique(
    policies: Iterable[LoadedPolicy],
) -> tuple[list[LoadedPolicy], list[Diagnostic]]:
    first: dict[tuple[str, str], LoadedPolicy] = {}
    repeated = []
    for loaded in policies:
        key = (loaded.policy.namespace, loaded.policy.name)
        if key not in first:
            first[key] = loaded
            continue
        place = ("metadata", "name")
        other = first[key]
        line, _ = other.locate(place)
        text = f"{loaded.policy.name} is the name of a policy in {other.file}:{line}"
        repeated.append(diagnostic_at(loaded, place, text, "names are unique"))
    return list(first.values()), repeated
