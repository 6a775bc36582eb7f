# SPDX-License-Identifier: Apache-2.0
"""How vmlinux/package.py gets at a package without a network."""

from __future__ import annotations

import shutil
import subprocess

import pytest


@pytest.fixture
def kernel(package):
    return package.Kernel("linux-image-1-x", "1:2.3-4", "arm64", "suite", "archive")


@pytest.fixture
def build(tmp_path):
    if shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb is not installed")

    def run(**files):
        tree = tmp_path / "tree"
        control = "Package: x\nVersion: 1\nArchitecture: all\n"
        control += "Maintainer: X <x@example.org>\nDescription: x\n"
        for name, text in {"DEBIAN/control": control, **files}.items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text(text)
        command = [
            "dpkg-deb",
            "--root-owner-group",
            "--build",
            tree,
            tmp_path / "x.deb",
        ]
        subprocess.run(command, check=True, capture_output=True)
        return tmp_path / "x.deb"

    return run


def test_cached_package_is_not_downloaded(package, kernel, tmp_path):
    """A package that lies in the cache is taken from there."""
    cached = tmp_path / "packages" / "linux-image-1-x_1%3a2.3-4_arm64.deb"
    cached.parent.mkdir()
    cached.touch()

    assert package.fetch_package(kernel, tmp_path) == cached


@pytest.mark.parametrize("path", ["boot/vmlinuz-1-x", "usr/lib/modules/1-x/vmlinuz"])
def test_image_is_read(package, build, path):
    """The image is found where the suites put it, beside all other files."""
    deb = build(**{path: "image", "boot/config-1-x": "no", "usr/lib/vmlinuz": "no"})

    assert package.read_image(deb) == b"image"


def test_package_without_image_is_refused(package, build):
    """An empty meta package is an error."""
    with pytest.raises(package.PackageError, match="holds no kernel image"):
        package.read_image(build(**{"usr/share/doc/x": "no"}))
