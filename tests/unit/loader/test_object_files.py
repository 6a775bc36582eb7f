# SPDX-License-Identifier: Apache-2.0
"""Only the object that was built is loaded."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from tetragon_py.errors import TetragonError
from tetragon_py.loader import object_files
from tetragon_py.loader.object_files import read_object


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the package's objects that a test may spoil."""
    objects = tmp_path / "objects"
    shutil.copytree(Path(object_files.__file__).parent / "objects", objects)
    monkeypatch.setattr(object_files, "files", lambda _: tmp_path)
    return objects


@pytest.mark.parametrize("name", ["process", "iter"])
def test_objects_are_what_was_built(folder, name):
    """What is checked is what is returned: an ELF file with the listed digest."""
    image = read_object(name)

    assert image[:4] == b"\x7fELF"
    assert hashlib.sha256(image).hexdigest() in (folder / "sha256sums").read_text()


def test_changed_object_is_refused(folder):
    """A single other byte is enough."""
    path = folder / "process.bpf.o"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(TetragonError, match=r"process\.bpf\.o differs from the one"):
        read_object("process")


def test_unlisted_object_is_refused(folder):
    """A file that was not built with the others is not loaded."""
    shutil.copy(folder / "process.bpf.o", folder / "other.bpf.o")
    with pytest.raises(TetragonError, match=r"other\.bpf\.o differs"):
        read_object("other")


@pytest.mark.parametrize("missing", ["process.bpf.o", "sha256sums"])
def test_missing_object_says_what_to_do(folder, missing):
    """Whoever runs from a fresh clone reads that `make` is missing."""
    (folder / missing).unlink()
    with pytest.raises(TetragonError, match="build it with `make`"):
        read_object("process")
