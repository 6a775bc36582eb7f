# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.cli.install_service: the whole command, in a tree of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tetragon_py.cli import install_service as module
from tetragon_py.cli.service_files import ServiceFiles, Systemd
from tetragon_py.errors import SettingsError


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host with systemd, whose root is a folder; this user is its root."""
    monkeypatch.setattr(module, "ServiceFiles", lambda root: ServiceFiles(tmp_path))
    manager = Systemd("/bin/systemctl", 252, is_running=True)
    monkeypatch.setattr(module, "systemd", lambda: manager)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return ServiceFiles(tmp_path)


def test_install(invoke, host):
    """The unit runs this interpreter, and the next commands are told."""
    result = invoke("install-service")

    assert (result.exit_code, result.exception) == (0, None)
    python = Path(sys.executable)
    assert f"\nExecStart={python.parent.resolve() / python.name} -I " in (
        host.unit.read_text()
    )
    assert result.stdout.endswith(
        "next:\n  systemctl daemon-reload\n  systemctl enable --now tetragon-py\n"
    )
    assert not host.network.exists()


def test_network(invoke, host):
    """The drop-in comes on request."""
    invoke("install-service", "--network")

    assert "AF_INET " in host.network.read_text()


def test_force(invoke, host):
    """Only with --force a unit that was changed is replaced."""
    invoke("install-service")
    host.unit.write_text("# mine\n")

    assert "changed by somebody" in invoke("install-service").stdout
    assert host.unit.read_text() == "# mine\n"
    invoke("install-service", "--force")
    assert "ExecStart=" in host.unit.read_text()


def test_not_root(invoke, monkeypatch):
    """One line that says both ways out."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    result = invoke("install-service")

    assert result.exit_code == 1
    assert result.stderr == (
        "tetragon-py: install-service needs root: start it with sudo, or give "
        "--prefix DIR\n"
    )


def test_no_systemd(invoke, monkeypatch):
    """A host without systemd is told so."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(module, "systemd", lambda: None)
    result = invoke("install-service")

    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "this host has no systemd" in result.stderr


def test_prefix(invoke, tmp_path, monkeypatch):
    """Anybody can fill a tree; nothing is asked of this host."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(module, "systemd", lambda: pytest.fail("asked"))
    result = invoke("install-service", "--prefix", str(tmp_path / "image"))

    assert result.exit_code == 0
    assert "next:" not in result.stdout
    assert (tmp_path / "image/etc/tetragon-py/conf.d").is_dir()


def test_prefix_that_has_the_package(tmp_path):
    """An interpreter in the tree is called as it is when the tree is the root."""
    image = tmp_path / "image"
    (image / "opt").mkdir(parents=True)
    (tmp_path / "link").symlink_to(image)

    assert module._inside(image / "opt/python", image) == Path("/opt/python")
    assert module._inside(image / "opt/x", tmp_path / "link") == Path("/opt/x")
    assert module._inside(Path("/usr/bin/python"), image) == Path("/usr/bin/python")


def test_package_that_is_not_installed(invoke, host, tmp_path, monkeypatch):
    """An interpreter that cannot import the agent by itself gets no unit."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'Traceback'; echo 'No module x' >&2; exit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    result = invoke("install-service")

    assert result.exit_code == 1
    assert "cannot run the agent: No module x; install the package" in result.stderr
    assert not host.unit.exists()


def test_impossible_interpreter(invoke, host, monkeypatch):
    """What the service could not see is a mistake of the user: status 2."""

    def refuse(*_):
        raise SettingsError("the service does not see it")

    monkeypatch.setattr(module, "unit_text", refuse)
    result = invoke("install-service")

    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert not host.unit.exists()


def test_writable_by_others(tmp_path):
    """A folder in which others could swap the interpreter is named."""
    folder = tmp_path / "open/bin"
    folder.mkdir(parents=True)
    folder.parent.chmod(0o777)

    assert module._writable_by_others(folder) == folder.parent
    assert module._writable_by_others(Path("/usr/bin")) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_of_another_owner(tmp_path):
    """Who owns a folder can write it."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, 1000, 1000)

    assert module._writable_by_others(folder) == folder
