# SPDX-License-Identifier: Apache-2.0
"""What reading policies results in, and the places of their parts.

Places of a loaded policy are found by reading its text again: they are wanted rarely,
and a thousand policies would keep a hundred thousand of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tetragon_py.policy.check.macros import origin
from tetragon_py.policy.diagnostic import (
    Cause,
    Diagnostic,
    Finding,
    Path,
    Severity,
    format_path,
)
from tetragon_py.policy.yaml_nodes import Mapping, Node, find_node
from tetragon_py.policy.yaml_reader import read_documents

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tetragon_py.policy.model.policy import Policy

__all__ = [
    "NO_LINES",
    "LoadResult",
    "LoadedPolicy",
    "diagnose",
    "diagnostic_at",
    "locate",
]

#: Stands for a document that could not be read: nothing has a place in it.
NO_LINES = Mapping([], 0, 0)


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """A policy without errors, and where it stands."""

    policy: Policy
    file: str
    document: int  #: position among the documents of the file that are not empty
    digest: str  #: sha256 of what the document says; comments and layout do not count
    file_digest: str  #: sha256 of the file
    text: bytes = field(repr=False, compare=False)

    def locate(self, path: Path) -> tuple[int, int]:
        """Return line and column (from 1) of the deepest part of `path` there is."""
        _, node = _place(self._root(), path)
        return node.line, node.column

    def _root(self) -> Node:
        for index, root in enumerate(read_documents(self.text)):
            if index == self.document and not isinstance(root, Finding):
                return root
        return NO_LINES


@dataclass(frozen=True, slots=True)
class LoadResult:
    """All policies without errors, and everything that is to be said."""

    policies: tuple[LoadedPolicy, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def has_errors(self) -> bool:
        """True if something was refused."""
        return any(d.severity is Severity.ERROR for d in self.diagnostics)


def diagnostic_at(
    loaded: LoadedPolicy,
    path: Path,
    message: str,
    hint: str = "",
    severity: Severity = Severity.ERROR,
    cause: Cause = Cause.MISTAKE,
) -> Diagnostic:
    """Return a diagnostic about the part of a loaded policy at `path`."""
    finding = Finding(severity, path, message, hint, cause=cause)
    [diagnostic] = diagnose(loaded, [finding])
    return diagnostic


def diagnose(
    loaded: LoadedPolicy, findings: Iterable[Finding]
) -> tuple[Diagnostic, ...]:
    """Return findings about a loaded policy with their places."""
    findings = tuple(findings)
    if not findings:
        return ()
    root = loaded._root()  # noqa: SLF001 - the two belong together
    return tuple(locate(loaded.file, root, finding) for finding in findings)


def _place(root: Node, path: Path) -> tuple[Path, Node]:
    path = origin(root, path)
    return path, find_node(root, path)[0]


def locate(file: str, root: Node, finding: Finding) -> Diagnostic:
    """Return a finding about the document `root` of `file` with its place."""
    path, line, column = finding.path, finding.line, finding.column
    if not line:
        path, node = _place(root, path)
        line, column = node.line, node.column
    return Diagnostic(
        severity=finding.severity,
        file=file,
        line=line,
        column=column,
        path=format_path(path),
        message=finding.message,
        hint=finding.hint_text or None,
        cause=finding.cause,
    )
