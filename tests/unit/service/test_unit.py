# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.service.unit: what systemd itself says of the files."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tetragon_py.errors import SettingsError
from tetragon_py.service.unit import (
    UNIT,
    configuration_text,
    network_text,
    unit_text,
)
from tetragon_py.settings import load_settings

PYTHON = Path("/opt/tetragon-py/bin/python3")
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def value(text, key):
    """The only value of a key."""
    [found] = re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)
    return found


@pytest.mark.parametrize("version", [0, 252])
def test_reload_by_a_command(version):
    """Where systemd is old or unknown it is told how to reload."""
    text = unit_text(PYTHON, [], version)

    assert value(text, "Type") == "notify"
    assert value(text, "ExecReload") == "/bin/kill -HUP $MAINPID"


def test_reload_by_systemd():
    """A younger one sends the signal itself: a command beside would send it twice."""
    text = unit_text(PYTHON, [], 253)

    assert value(text, "Type") == "notify-reload"
    assert "ExecReload" not in text


def test_interpreter():
    """The unit runs this interpreter, without the environment's influence."""
    text = unit_text(PYTHON, [], 252)

    assert value(text, "ExecStart") == f"{PYTHON} -I -m tetragon_py run"
    assert "@" not in re.sub(r"@(system-service|keyring|setuid)\b", "", text)


def test_special_characters():
    """What means something to systemd is escaped."""
    text = unit_text(Path("/opt/a b/50%/$x/python"), [], 252)

    assert value(text, "ExecStart").startswith('"/opt/a b/50%%/$$x/python" -I ')


@pytest.mark.parametrize("path", ['/opt/"/python', "/opt/\n/python", "/opt/\\/python"])
def test_impossible_path(path):
    """A path that cannot be written in a unit is refused, in one line."""
    with pytest.raises(SettingsError, match="systemd does not take such a path") as why:
        unit_text(Path(path), [], 252)

    assert "\n" not in str(why.value)


@pytest.mark.parametrize(
    ("python", "part", "hidden"),
    [
        ("/opt/x/python", "/usr", "yes"),
        ("/root/x/python", "/usr", "read-only"),
        ("/opt/x/python", "/home/me/tetragon_py", "read-only"),
        ("/rooted/python", "/usr", "yes"),
    ],
)
def test_home(python, part, hidden):
    """Homes are hidden, or read-only if the agent itself is in one."""
    text = unit_text(Path(python), [Path(part)], 252)

    assert value(text, "ProtectHome") == hidden


@pytest.mark.parametrize("folder", ["/tmp", "/var/tmp"])
def test_temporary_folder(folder):
    """The service has a /tmp of its own: what is in the host's cannot run."""
    with pytest.raises(SettingsError, match=r"does not see .*: install .* elsewhere"):
        unit_text(Path(folder) / "x/python", [], 252)


def test_configuration_is_valid(tmp_path):
    """The agent takes the file, and writes where the unit lets it."""
    (tmp_path / "tetragon-py.yaml").write_text(configuration_text())
    settings = load_settings({}, etc_dir=tmp_path, environ={})
    folder = value(unit_text(PYTHON, [], 252), "LogsDirectory")

    assert settings.export_filename == Path("/var/log") / folder / "events.json"
    assert not settings.stdout


def test_commented_options_are_valid(tmp_path):
    """What the file only suggests can be switched on."""
    text = re.sub(r"^#(?! )", "", configuration_text(), flags=re.MULTILINE)
    (tmp_path / "tetragon-py.yaml").write_text(text)
    settings = load_settings({}, etc_dir=tmp_path, environ={})

    assert settings.enable_ancestors
    assert settings.fields == "extended"


@pytest.fixture
def root(tmp_path):
    """A file tree with the unit; the interpreter is one that exists."""
    units = tmp_path / "etc/systemd/system"
    units.mkdir(parents=True)
    (units / UNIT).write_text(unit_text(Path("/usr/bin/python3"), [], 252))
    return units


def analyze(*words):
    return subprocess.run(
        ["systemd-analyze", "--no-pager", *words],
        check=False,
        capture_output=True,
        text=True,
    )


@needs_systemd
def test_systemd_understands_the_unit(root):
    """No unknown key, no value that it ignores."""
    done = analyze("verify", str(root / UNIT))

    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
@pytest.mark.parametrize(
    ("drop_in", "tenths_max"), [("", 25), (network_text(), 35)], ids=["", "network"]
)
def test_exposure(root, tmp_path, drop_in, tenths_max):
    """`systemd-analyze security` is at most 2.5, with the network at most 3.5."""
    folder = root / f"{UNIT}.d"
    folder.mkdir()
    (folder / "network.conf").write_text(drop_in)
    options = ("--offline=true", f"--root={tmp_path}", f"--threshold={tenths_max}")
    done = analyze("security", *options, UNIT)
    print(done.stdout.strip().splitlines()[-1])

    assert done.returncode == 0, done.stdout
    assert re.search(r"exposure level for .*: \d\.\d", done.stdout)
    is_open = "Service may allocate Internet sockets" in done.stdout
    assert is_open is bool(drop_in)
