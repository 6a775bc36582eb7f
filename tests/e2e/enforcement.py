# SPDX-License-Identifier: Apache-2.0
"""Policies that enforce, for tests; and where they can."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.vm.expected import guest_kernel
from tetragon_py.libbpf.features import probe

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["needs_denial", "override", "write_policy"]

#: In a guest it has to work; natively only where the kernel lets programs deny.
needs_denial = pytest.mark.skipif(
    guest_kernel() is None
    and not (probe("lsm").available or probe("fmod_ret").available),
    reason="this kernel lets no program deny",
)


def override(
    call: str,
    error: int,
    binary: Path | None = None,
    argument: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A hook that overrides a system call of a program."""
    selector: dict[str, Any] = {
        "matchActions": [{"action": "Override", "argError": error}]
    }
    hook = {
        "call": f"sys_{call}",
        "syscall": True,
        "ignore": {"callNotFound": True},
        "selectors": [selector],
    }
    if binary is not None:
        selector["matchBinaries"] = [{"operator": "In", "values": [str(binary)]}]
    if argument is not None:
        hook["args"] = [{"index": argument["index"], "type": "uint64"}]
        selector["matchArgs"] = [argument]
    return hook


def write_policy(folder: Path, name: str, spec: dict[str, Any]) -> Path:
    """A file with the policy."""
    document = {
        "apiVersion": "cilium.io/v1alpha1",
        "kind": "TracingPolicy",
        "metadata": {"name": name},
        "spec": spec,
    }
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(document))
    path.chmod(0o644)
    return path
