# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.cli.service_files: nothing of somebody else's is lost."""

from __future__ import annotations

import os

import pytest

from tetragon_py.cli.service_files import RefusedError, ServiceFiles, Systemd, systemd
from tetragon_py.errors import TetragonError

UNIT = "[Service]\nType=notify\n"
WORDS = 9


@pytest.fixture
def files(tmp_path):
    return ServiceFiles(tmp_path / "root")


def install(files, unit=UNIT, **options):
    """What was done: word -> paths."""
    options = {"has_network": False, **options}
    return sorted_out(files.install(unit, **options))


def sorted_out(lines):
    found: dict[str, list[str]] = {}
    for line in lines:
        word, path = line[:WORDS].strip(), line[WORDS:]
        found.setdefault(word, []).append(path.partition(":")[0])
    return found


def test_install(files, tmp_path):
    """Everything is there, with modes that do not depend on the umask."""
    previous = os.umask(0o077)
    try:
        done = install(files, has_network=True)
    finally:
        os.umask(previous)
    root = tmp_path / "root"
    modes = {
        str(path.relative_to(root)): path.stat().st_mode & 0o777
        for path in root.rglob("*")
        if not path.is_dir() or not any(path.iterdir())
    }

    assert modes == {
        "etc/systemd/system/tetragon-py.service": 0o644,
        "etc/systemd/system/tetragon-py.service.d/network.conf": 0o644,
        "etc/tetragon-py/conf.d": 0o755,
        "etc/tetragon-py/tetragon-py.yaml": 0o644,
        "etc/tetragon-py/tetragon.tp.d": 0o755,
        "var/log/tetragon-py": 0o755,
    }
    assert {name: len(paths) for name, paths in done.items()} == {"made": 3, "wrote": 3}
    assert (root / "etc/tetragon-py").stat().st_mode & 0o777 == 0o755


def test_again(files):
    """A second time changes nothing."""
    install(files, has_network=True)
    before = files.unit.stat()

    assert set(install(files, has_network=True)) == {"is there"}
    assert files.unit.stat() == before


def test_a_newer_release_updates(files):
    """What nobody has changed is brought up to date."""
    install(files)

    assert install(files, "[Service]\nType=exec\n")["updated"] == [str(files.unit)]
    assert files.unit.read_text().endswith("Type=exec\n")


@pytest.mark.parametrize("is_forced", [False, True])
def test_what_was_changed_is_kept(files, is_forced):
    """A configuration in any case, a unit unless it is forced."""
    install(files)
    files.unit.write_text("[Service]\n# mine\n")
    files.configuration.write_text("log-level: debug\n")
    done = install(files, is_forced=is_forced)

    assert files.configuration.read_text() == "log-level: debug\n"
    assert ("mine" in files.unit.read_text()) is not is_forced
    assert str(files.configuration) in done["kept"]


def test_cannot_be_made(files, tmp_path):
    """A file in the way is told."""
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "root/etc/tetragon-py").write_text("")
    with pytest.raises(TetragonError, match="cannot be made: "):
        install(files)


def test_remove(files, tmp_path):
    """Units and pins go; configuration, policies and events stay."""
    install(files, has_network=True)
    files.pins.mkdir(parents=True)
    (files.pins / "events").write_text("")
    done = sorted_out(files.remove(is_purge=False))
    left = {
        str(p.relative_to(tmp_path / "root")) for p in (tmp_path / "root").rglob("*")
    }

    assert len(done["removed"]) == 3
    assert done["kept"] == [
        str(tmp_path / "root/etc/tetragon-py"),
        str(tmp_path / "root/var/log/tetragon-py"),
    ]
    assert not any("systemd/system/" in path for path in left)
    assert "etc/tetragon-py/tetragon-py.yaml" in left
    assert not files.pins.exists()


def test_purge(files, tmp_path):
    """With everything that was ever written there."""
    install(files)
    (tmp_path / "root/var/log/tetragon-py/events.json").write_text("{}\n")
    list(files.remove(is_purge=True))

    assert not (tmp_path / "root/etc/tetragon-py").exists()
    assert not (tmp_path / "root/var/log/tetragon-py").exists()


def test_remove_nothing(files):
    """Where nothing is, nothing is done."""
    files.check_unchanged()

    assert list(files.remove(is_purge=True)) == []


def test_drop_ins_of_others_stay(files):
    """Only our own drop-in is removed."""
    install(files, has_network=True)
    own = files.network.with_name("override.conf")
    own.write_text("[Service]\n")
    lines = list(files.remove(is_purge=False))

    assert own.exists()
    assert not files.network.exists()
    assert f"kept     {own.parent}: it has drop-ins of yours" in lines


def test_changed_unit_is_not_removed(files):
    """Not without being asked twice."""
    install(files)
    files.unit.write_text("# mine\n")
    with pytest.raises(RefusedError, match=r"tetragon-py\.service; --force removes it"):
        files.check_unchanged()


@pytest.fixture
def fake_systemctl(tmp_path, monkeypatch):
    """A systemctl in PATH that says and does what the test writes."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def write(script):
        path = folder / "systemctl"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return write


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("systemd 252 (252.38-1~deb12u1)", 252),
        ("systemd 257 (257.9-1)", 257),
        ("unheard of", 0),
        ("", 0),
    ],
)
def test_version(fake_systemctl, tmp_path, said, version):
    """The first number that systemctl says, 0 if there is none."""
    path = fake_systemctl(f"echo '{said}'")

    assert systemd(tmp_path / "nothing") == Systemd(str(path), version, False)
    assert systemd(tmp_path) == Systemd(str(path), version, True)


def test_no_systemd(tmp_path, monkeypatch):
    """A host without systemctl has no systemd."""
    monkeypatch.setenv("PATH", str(tmp_path))

    assert systemd() is None


def test_failed_command(fake_systemctl):
    """What systemctl complains of is in the error."""
    path = fake_systemctl("echo 'Unit x not loaded.' >&2; exit 5")
    with pytest.raises(
        TetragonError, match=r"^systemctl disable x failed: Unit x not loaded\.$"
    ):
        Systemd(str(path), 252, True).run("disable", "x")
