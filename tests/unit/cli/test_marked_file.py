# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.cli.marked_file: whole files, and what somebody has changed."""

from __future__ import annotations

import os

import pytest

from tetragon_py.cli.marked_file import is_changed, remove_file, write_file
from tetragon_py.errors import TetragonError

TEXT = "kind: TracingPolicy\n"
COMMAND = "tetragon-py policy library"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "etc/policies/x.yaml"


def test_write(path):
    """Folder and file are there, readable by all and written by nobody else."""
    previous = os.umask(0o077)
    try:
        write_file(path, TEXT, COMMAND)
    finally:
        os.umask(previous)

    first, _, rest = path.read_text().partition("\n")
    assert rest == TEXT
    assert first.startswith("# From `tetragon-py policy library`. sha256 of what ")
    assert path.stat().st_mode & 0o777 == 0o644
    assert [path] == list(path.parent.iterdir())


def test_unchanged(path):
    """What was written is not changed, whatever it was."""
    for text in (TEXT, "", "# another release\n"):
        write_file(path, text, COMMAND)

        assert not is_changed(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data + b"# mine\n",
        lambda data: data.replace(b"Tracing", b"Racing"),
        lambda data: data.partition(b"\n")[2],
        lambda data: b"",
        lambda data: b"\xff" + data,
    ],
)
def test_changed(path, change):
    """Another byte, or no first line, is a change."""
    write_file(path, TEXT, COMMAND)
    path.write_bytes(change(path.read_bytes()))

    assert is_changed(path)


def test_a_link_is_replaced(path, tmp_path):
    """A symbolic link in the way is not written through."""
    target = tmp_path / "target"
    target.write_text("precious")
    path.parent.mkdir(parents=True)
    path.symlink_to(target)
    write_file(path, TEXT, COMMAND)

    assert target.read_text() == "precious"
    assert not path.is_symlink()


def test_all_or_nothing(path, monkeypatch):
    """When the disk is full, the old file stays and no other one is left."""
    write_file(path, TEXT, COMMAND)

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(TetragonError, match="cannot be written: No space left"):
        write_file(path, "other", COMMAND)

    assert path.read_text().endswith(TEXT)
    assert [path] == list(path.parent.iterdir())


def test_remove(path):
    """It is gone, or the reason is told."""
    write_file(path, TEXT, COMMAND)
    remove_file(path)

    assert not path.exists()
    with pytest.raises(TetragonError, match="cannot be removed: No such file"):
        remove_file(path)
    with pytest.raises(TetragonError, match="cannot be read: No such file"):
        is_changed(path)
