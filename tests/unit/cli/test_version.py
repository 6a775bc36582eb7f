# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.cli.version: what runs here, as text or JSON."""

from __future__ import annotations

import json
import os
import platform
import sys
import types
from typing import Any

import pytest

from tetragon_py import __version__


@pytest.fixture
def libbpf(monkeypatch):
    """A libbpf of a known version."""
    stub: Any = types.ModuleType("tetragon_py.libbpf")
    stub.libbpf_version = lambda: "v1.5"
    monkeypatch.setitem(sys.modules, "tetragon_py.libbpf", stub)


def test_text(invoke, libbpf):
    """The text has one line for each part."""
    assert invoke("version").stdout == (
        f"tetragon-py: {__version__}\npython: {platform.python_version()}\n"
        f"libbpf: v1.5\nkernel: {os.uname().release}\n"
    )


def test_json(invoke, libbpf):
    """The JSON is one object with the same content."""
    assert json.loads(invoke("version", "--output", "json").stdout) == {
        "version": __version__,
        "python": platform.python_version(),
        "libbpf": "v1.5",
        "kernel": os.uname().release,
    }


def test_without_libbpf(invoke, monkeypatch):
    """Without the extension the rest is still told."""
    monkeypatch.setitem(sys.modules, "tetragon_py.libbpf", None)
    result = invoke("version")

    assert result.exit_code == 0
    assert "libbpf: not available\n" in result.stdout
    assert json.loads(invoke("version", "--output=json").stdout)["libbpf"] is None
