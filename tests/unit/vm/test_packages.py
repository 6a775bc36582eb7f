# SPDX-License-Identifier: Apache-2.0
"""Tests of tests.vm.packages: the cache, the archive's newer version, unpacking."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.vm import packages
from tests.vm.kernels import PackageSet
from tests.vm.packages import (
    PackageError,
    fetch_packages,
    newest_parts,
    unpack_packages,
)

WANTED = PackageSet(("s",), {"one": "1:2-3"}, "meta")


class FakeApt:
    """An archive with `versions`; `newest` is what it has instead."""

    versions: dict[str, str]
    has_network = True

    def __init__(self, suites, states):
        pass

    def update(self):
        if not self.has_network:
            raise PackageError("cannot read s")

    def has(self, name, version):
        return self.versions.get(name) == version

    def newest(self, wanted):
        return self.versions

    def download(self, name, version, folder, say):
        path = Path(folder, f"{name}_{version.replace(':', '%3a')}_all.deb")
        path.touch()
        return path


@pytest.fixture
def archive(monkeypatch):
    """The class, with its tables."""
    monkeypatch.setattr(packages, "_Apt", FakeApt)
    monkeypatch.setattr(FakeApt, "versions", {"one": "1:2-3"}, raising=False)
    monkeypatch.setattr(FakeApt, "has_network", True)
    return FakeApt


def test_download_and_cache(archive, tmp_path):
    """The second time needs no network."""
    said: list[str] = []
    first = fetch_packages(WANTED, tmp_path, said.append)
    archive.has_network = False

    assert first == [tmp_path / "packages/one_1%3a2-3_all.deb"]
    assert fetch_packages(WANTED, tmp_path, said.append) == first
    assert said == ["reading s"]


def test_archive_has_moved_on(archive, tmp_path):
    """The newest of the flavour is taken, and that is said."""
    archive.versions = {"two": "4"}
    said: list[str] = []

    assert fetch_packages(WANTED, tmp_path, said.append) == [
        tmp_path / "packages/two_4_all.deb"
    ]
    assert said[-1] == "kernels.toml is behind, the archive has: two 4"


def test_no_network(archive, tmp_path):
    """Without network and cache there is an error."""
    archive.has_network = False

    with pytest.raises(PackageError, match="cannot read"):
        fetch_packages(WANTED, tmp_path, print)


@pytest.mark.parametrize(
    ("depends", "parts"),
    [
        (["kmod"], ["linux-image-7.2-cloud"]),
        (
            ["linux-binary-7.2-cloud", "linux-modules-7.2-cloud"],
            [f"linux-{part}-7.2-cloud" for part in ("binary", "modules", "base")],
        ),
    ],
)
def test_parts_of_a_kernel(depends, parts):
    """An empty image package stands for three others."""
    assert newest_parts("linux-image-7.2-cloud", depends) == parts


def test_unpack(tmp_path):
    """Files below /lib land below /usr/lib."""
    tree = tmp_path / "tree"
    for name, text in {
        "DEBIAN/control": "Package: x\nVersion: 1\nArchitecture: all\n"
        "Maintainer: X <x@example.org>\nDescription: x\n",
        "lib/modules/1/a": "a",
        "usr/lib/modules/1/b": "b",
    }.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    package = tmp_path / "x.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "--build", tree, package],
        check=True,
        capture_output=True,
    )
    unpack_packages([package], tmp_path / "root")
    folder = tmp_path / "root/usr/lib/modules/1"

    assert sorted(path.name for path in folder.iterdir()) == ["a", "b"]


def test_damaged_package(tmp_path):
    """Half a download is told with its name."""
    file = tmp_path / "x.deb"
    file.write_bytes(b"!<arch>\n")

    with pytest.raises(PackageError, match=r"x\.deb is damaged"):
        unpack_packages([file], tmp_path / "root")
