# SPDX-License-Identifier: Apache-2.0
"""Policies as text for the tests, and what reading them says."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from tetragon_py.policy.documents import load_text

if TYPE_CHECKING:
    from tetragon_py.policy.model.hooks import Hook
    from tetragon_py.policy.model.policy import Policy

DATA = Path(__file__).parent / "data"


def policy_text(spec: str, name: str = "test", kind: str = "TracingPolicy") -> str:
    """Return a document with this spec, which begins in line 6 and column 3."""
    head = (
        "apiVersion: cilium.io/v1alpha1\n"
        f"kind: {kind}\n"
        "metadata:\n"
        f"  name: {name}\n"
        "spec:\n"
    )
    return head + textwrap.indent(textwrap.dedent(spec).strip("\n"), "  ") + "\n"


def said(text: str) -> list[str]:
    """Return all diagnostics of `text` without the name of the file."""
    result = load_text(text.encode(), "f")
    return [str(each).removeprefix("f:") for each in result.diagnostics]


def said_of(spec: str) -> list[str]:
    """Return all diagnostics of a policy with this spec."""
    return said(policy_text(spec))


def read_policy(spec: str) -> Policy:
    """Return a policy with this spec, which has no errors."""
    result = load_text(policy_text(spec).encode(), "f")
    assert not result.has_errors, result.diagnostics
    [loaded] = result.policies
    return loaded.policy


def read_hook(spec: str) -> Hook:
    """Return the first hook of a policy with this spec."""
    return next(hook for _, _, hook in read_policy(spec).hooks())


def check_refused(name: str) -> None:
    """Compare what data/refused/NAME.yaml draws with NAME.txt, word for word."""
    file = DATA / "refused" / f"{name}.yaml"
    result = load_text(file.read_bytes(), file.name)
    lines = "".join(f"{each}\n" for each in result.diagnostics)

    assert lines == file.with_suffix(".txt").read_text()
