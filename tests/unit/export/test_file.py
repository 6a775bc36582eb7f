# SPDX-License-Identifier: Apache-2.0
"""The export file: appended to, private, and what its name says it is."""

from __future__ import annotations

import os
import stat

import pytest

from tetragon_py.errors import SinkError
from tetragon_py.export.file import FileOptions, ends_in_line, open_file

PRIVATE = FileOptions()


def write(path, text: bytes, options: FileOptions = PRIVATE) -> None:
    file = open_file(path, options)
    os.write(file.fd, text)
    os.close(file.fd)


@pytest.fixture
def open_umask():
    """Modes are not narrowed by the process's own mask."""
    previous = os.umask(0)
    yield
    os.umask(previous)


@pytest.mark.usefixtures("open_umask")
def test_new_file_is_private(tmp_path):
    """Events tell command lines: only the owner may read them."""
    path = tmp_path / "events.jsonl"
    write(path, b"one\n")

    assert path.read_bytes() == b"one\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("mask", [0, 0o077])
def test_mode_and_group_of_a_new_file(tmp_path, mask):
    """They are as configured, whatever the mask."""
    path = tmp_path / "events.jsonl"
    group = os.getgid() if os.geteuid() else 4
    previous = os.umask(mask)
    write(path, b"one\n", FileOptions(0o640, group))
    os.umask(previous)

    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert path.stat().st_gid == group


def test_lines_are_appended(tmp_path):
    """An earlier run's lines stay, and so does the mode that somebody chose."""
    path = tmp_path / "events.jsonl"
    write(path, b"one\n")
    path.chmod(0o640)
    write(path, b"two\n")

    assert path.read_bytes() == b"one\ntwo\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("text", "is_cut"), [(b"", False), (b"one\n", False), (b'one\n{"cut', True)]
)
def test_cut_line_is_noticed(tmp_path, text, is_cut):
    """A crash can leave a line without its end."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(text)
    file = open_file(path, PRIVATE)

    assert (file.is_cut, file.size_bytes) == (is_cut, len(text))
    assert ends_in_line(file.fd) == is_cut
    os.close(file.fd)


def test_descriptor_does_not_wait_or_leak(tmp_path):
    """It is non-blocking, for FIFOs, and closed in children."""
    path = tmp_path / "events.jsonl"
    file = open_file(path, PRIVATE)

    assert not os.get_blocking(file.fd)
    assert not os.get_inheritable(file.fd)
    assert file.place == (path.stat().st_dev, path.stat().st_ino)
    os.close(file.fd)


@pytest.mark.parametrize("name", ["no/events.jsonl", "file/events.jsonl"])
def test_missing_directory(tmp_path, name):
    """What is wrong is said in words, with the path."""
    (tmp_path / "file").touch()
    path = tmp_path / name
    with pytest.raises(SinkError) as raised:
        open_file(path, PRIVATE)

    expected = f"export file {path}: cannot be written: its directory does not exist"
    assert expected == str(raised.value)
    assert raised.value.exit_status == 2


def test_directory(tmp_path):
    """A directory is no file."""
    with pytest.raises(SinkError, match="it is a directory"):
        open_file(tmp_path, PRIVATE)


@pytest.mark.parametrize("exists", [True, False])
def test_link_is_not_followed(tmp_path, exists):
    """Nobody can point the agent at another file."""
    target = tmp_path / "target"
    if exists:
        target.touch()
    (tmp_path / "events.jsonl").symlink_to(target)
    with pytest.raises(SinkError, match="symbolic link, name the file"):
        open_file(tmp_path / "events.jsonl", PRIVATE)

    assert target.exists() == exists


def test_fifo_without_reader(tmp_path):
    """A FIFO that nobody reads is an error at once, not a wait."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with pytest.raises(SinkError, match="it is a FIFO that nobody reads"):
        open_file(path, PRIVATE)


def test_fifo_with_reader(tmp_path):
    """A FIFO that is read works like a file, unless only a file will do."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    file = open_file(path, PRIVATE)
    os.write(file.fd, b"one\n")

    assert file.place is None
    assert os.read(reader, 100) == b"one\n"
    with pytest.raises(SinkError, match="not a regular file any more"):
        open_file(path, PRIVATE, only_regular=True)
    os.close(file.fd)
    os.close(reader)


def test_other_errors_have_the_systems_words(tmp_path):
    """An error without a hint of its own is told as the system does."""
    with pytest.raises(SinkError, match="File name too long"):
        open_file(tmp_path / ("x" * 300), PRIVATE)


def test_failure_after_opening_closes(tmp_path, monkeypatch):
    """If the file cannot be looked at, no descriptor is left."""
    opened = []

    def fstat(fd):
        opened.append(fd)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fstat", fstat)
    with pytest.raises(SinkError, match="Input/output error"):
        open_file(tmp_path / "events.jsonl", PRIVATE)
    monkeypatch.undo()

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])


def test_failure_to_give_the_group_closes(tmp_path, monkeypatch):
    """A file that cannot get its group is an error, and no descriptor is left."""
    opened = []

    def fchown(fd, *_):
        opened.append(fd)
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", fchown)
    with pytest.raises(SinkError, match="Operation not permitted"):
        open_file(tmp_path / "events.jsonl", FileOptions(0o640, 4))

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])
