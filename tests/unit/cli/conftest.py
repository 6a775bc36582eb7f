# SPDX-License-Identifier: Apache-2.0
"""What the tests of the command line share: a runner and a stub of the agent."""

from __future__ import annotations

import functools
import os
import sys
import types
from typing import Any

import pytest
from click.testing import CliRunner

from tetragon_py.cli import main
from tetragon_py.settings import VARIABLE_PREFIX, load_settings


@pytest.fixture
def invoke():
    """Run the command line; the result has exit_code, stdout and stderr."""
    return lambda *args: CliRunner().invoke(main, args)


@pytest.fixture
def etc_dir(tmp_path, monkeypatch):
    """An own configuration directory in place of the host's."""
    for variable in [name for name in os.environ if name.startswith(VARIABLE_PREFIX)]:
        monkeypatch.delenv(variable)
    load = functools.partial(load_settings, etc_dir=tmp_path)
    for verb in ("run", "status"):
        monkeypatch.setattr(f"tetragon_py.cli.{verb}.load_settings", load)
    return tmp_path


@pytest.fixture
def agent(etc_dir, monkeypatch):
    """A stub of the agent, run as root: records its calls, does `agent.act`."""
    stub: Any = types.ModuleType("tetragon_py.daemon.app")
    stub.calls = []
    stub.act = lambda: 0

    def run_agent(settings, *, stdout_events, reread):
        stub.reread = reread
        stub.calls.append((settings, stdout_events))
        return stub.act()

    stub.run_agent = run_agent
    monkeypatch.setitem(sys.modules, "tetragon_py.daemon", types.ModuleType("daemon"))
    monkeypatch.setitem(sys.modules, "tetragon_py.daemon.app", stub)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return stub
