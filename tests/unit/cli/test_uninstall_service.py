# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.cli.uninstall_service: systemctl only notes."""

from __future__ import annotations

import pytest

from tetragon_py.cli import uninstall_service as module
from tetragon_py.cli.service_files import ServiceFiles, Systemd


@pytest.fixture
def host(tmp_path, monkeypatch):
    """An installed service, below a folder; `calls` of systemctl are in a file."""
    files = ServiceFiles(tmp_path)
    list(files.install("[Service]\n", has_network=True))
    monkeypatch.setattr(module, "ServiceFiles", lambda root: files)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    script = tmp_path / "systemctl"
    script.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/calls\n')
    script.chmod(0o755)
    manager = Systemd(str(script), 252, is_running=True)
    monkeypatch.setattr(module, "systemd", lambda: manager)
    return files


def calls(files):
    path = files.unit.parents[3] / "calls"
    return path.read_text().splitlines() if path.exists() else []


def test_uninstall(invoke, host):
    """Stopped first, removed then, systemd is told at the end."""
    result = invoke("uninstall-service")

    assert (result.exit_code, result.exception) == (0, None)
    assert calls(host) == ["disable --now tetragon-py.service", "daemon-reload"]
    assert not host.unit.exists()
    assert host.configuration.exists()


def test_again(invoke, host):
    """A second time there is nothing to stop."""
    invoke("uninstall-service")
    result = invoke("uninstall-service", "--purge")

    assert result.exit_code == 0
    assert calls(host)[2:] == ["daemon-reload"]
    assert not host.configuration.exists()


@pytest.mark.parametrize("force", [False, True])
def test_changed_unit(invoke, host, force):
    """Refused before anything is stopped, but for --force."""
    host.unit.write_text("# mine\n")
    result = invoke("uninstall-service", *(["--force"] if force else []))

    assert result.exit_code == (0 if force else 2)
    assert host.unit.exists() is not force
    assert bool(calls(host)) is force


def test_systemd_that_does_not_run(invoke, host, monkeypatch):
    """In an image being built the unit is disabled only."""
    manager = Systemd(str(host.unit.parents[3] / "systemctl"), 252, is_running=False)
    monkeypatch.setattr(module, "systemd", lambda: manager)
    invoke("uninstall-service")

    assert calls(host) == ["disable tetragon-py.service"]


def test_not_root(invoke, host, monkeypatch):
    """One line with a hint; nothing is done."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    result = invoke("uninstall-service")

    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "needs root" in result.stderr
    assert host.unit.exists()


def test_prefix(invoke, tmp_path, monkeypatch):
    """Of a tree that was filled; no systemctl is called."""
    invoke("install-service", "--prefix", str(tmp_path / "image"))
    monkeypatch.setattr(module, "systemd", lambda: pytest.fail("asked"))
    result = invoke("uninstall-service", "--prefix", str(tmp_path / "image"), "--purge")

    assert result.exit_code == 0
    left = [path for path in (tmp_path / "image").rglob("*") if not path.is_dir()]
    assert left == []
