# SPDX-License-Identifier: Apache-2.0
"""The export file: appended to, private, its last line whole."""

from __future__ import annotations

import os
import stat

import pytest

from tetragon_py.errors import SinkError
from tetragon_py.export.file import open_file


def write(path, text: bytes) -> None:
    sink = open_file(path)
    sink.write(text, 1)
    sink.close()


def test_new_file_is_private(tmp_path):
    """Events tell command lines: only the owner may read them."""
    path = tmp_path / "events.jsonl"
    previous = os.umask(0)
    write(path, b"one\n")
    os.umask(previous)

    assert path.read_bytes() == b"one\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_lines_are_appended(tmp_path):
    """An earlier run's lines stay, and so does the mode that somebody chose."""
    path = tmp_path / "events.jsonl"
    write(path, b"one\n")
    path.chmod(0o640)
    write(path, b"two\n")

    assert path.read_bytes() == b"one\ntwo\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_cut_line_is_ended(tmp_path):
    """A line that a crash cut stays by itself: the next one is valid."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'one\n{"cut')
    write(path, b"two\n")

    assert path.read_bytes() == b'one\n{"cut\ntwo\n'


def test_descriptor_does_not_wait_or_leak(tmp_path):
    """It is non-blocking, for FIFOs, and closed in children."""
    sink = open_file(tmp_path / "events.jsonl")

    assert not os.get_blocking(sink.fd)
    assert not os.get_inheritable(sink.fd)
    assert str(tmp_path / "events.jsonl") == sink.name
    sink.close()


def test_missing_directory(tmp_path):
    """What is wrong is said in words, with the path."""
    path = tmp_path / "no" / "events.jsonl"
    with pytest.raises(SinkError) as raised:
        open_file(path)

    expected = f"export file {path}: cannot be written: its directory does not exist"
    assert expected == str(raised.value)
    assert raised.value.exit_status == 2


def test_directory(tmp_path):
    """A directory is no file."""
    with pytest.raises(SinkError, match="it is a directory"):
        open_file(tmp_path)


def test_fifo_without_reader(tmp_path):
    """A FIFO that nobody reads is an error at once, not a wait."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with pytest.raises(SinkError, match="it is a FIFO that nobody reads"):
        open_file(path)


def test_fifo_with_reader(tmp_path):
    """A FIFO that is read works like a file."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    write(path, b"one\n")

    assert os.read(reader, 100) == b"one\n"
    os.close(reader)


def test_other_errors_have_the_systems_words(tmp_path):
    """An error without a hint of its own is told as the system does."""
    with pytest.raises(SinkError, match="File name too long"):
        open_file(tmp_path / ("x" * 300))


def test_failure_after_opening_closes(tmp_path, monkeypatch):
    """If the last line cannot be looked at, no descriptor is left."""
    opened = []

    def fstat(fd):
        opened.append(fd)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fstat", fstat)
    with pytest.raises(SinkError, match="Input/output error"):
        open_file(tmp_path / "events.jsonl")
    monkeypatch.undo()

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])
