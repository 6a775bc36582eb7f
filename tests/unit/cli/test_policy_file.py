# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.cli.policy_file: whole files, and what somebody has changed."""

from __future__ import annotations

import os

import pytest

from tetragon_py.cli.policy_file import is_changed, remove_policy, write_policy
from tetragon_py.errors import TetragonError

TEXT = "kind: TracingPolicy\n"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "etc/policies/x.yaml"


def test_write(path):
    """Folder and file are there, readable by all and written by nobody else."""
    previous = os.umask(0o077)
    try:
        write_policy(path, TEXT)
    finally:
        os.umask(previous)

    assert path.read_text().partition("\n")[2] == TEXT
    assert path.stat().st_mode & 0o777 == 0o644
    assert [path] == list(path.parent.iterdir())


def test_unchanged(path):
    """What was written is not changed, whatever it was."""
    for text in (TEXT, "", "# another release\n"):
        write_policy(path, text)

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
    write_policy(path, TEXT)
    path.write_bytes(change(path.read_bytes()))

    assert is_changed(path)


def test_a_link_is_replaced(path, tmp_path):
    """A symbolic link in the way is not written through."""
    target = tmp_path / "target"
    target.write_text("precious")
    path.parent.mkdir(parents=True)
    path.symlink_to(target)
    write_policy(path, TEXT)

    assert target.read_text() == "precious"
    assert not path.is_symlink()


def test_all_or_nothing(path, monkeypatch):
    """When the disk is full, the old file stays and no other one is left."""
    write_policy(path, TEXT)

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(TetragonError, match="cannot be written: No space left"):
        write_policy(path, "other")

    assert path.read_text().endswith(TEXT)
    assert [path] == list(path.parent.iterdir())


def test_remove(path):
    """It is gone, or the reason is told."""
    write_policy(path, TEXT)
    remove_policy(path)

    assert not path.exists()
    with pytest.raises(TetragonError, match="cannot be removed: No such file"):
        remove_policy(path)
    with pytest.raises(TetragonError, match="cannot be read: No such file"):
        is_changed(path)
