# SPDX-License-Identifier: Apache-2.0
"""Files, paths and descriptors among the arguments of a hit."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import struct
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.bpf.capturing import Capture, argument, load_capture
from tetragon_py.abi import _generated as c

FD = argument(c.ARGUMENT_FILE, c.FORM_FD)


@pytest.fixture(scope="module")
def loaded(objects):
    with load_capture(objects) as bpf_object:
        yield bpf_object


@pytest.fixture
def capture(loaded, run):
    return Capture(loaded, run)


@pytest.fixture
def closing():
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def opened(closing):
    """Open a file; its descriptor lives as long as the test."""

    def open_file(path, flags=os.O_RDONLY):
        descriptor = os.open(path, flags)
        closing.callback(os.close, descriptor)
        return descriptor

    return open_file


@pytest.fixture
def folder():
    """A folder whose files have one device number in the kernel and in stat(2)."""
    path = Path(f"/dev/shm/capture-{os.getpid()}")
    path.mkdir()
    yield path
    shutil.rmtree(path)


def in_kernel(found):
    """Inode, device and mode of a stat_result, as struct argument_path has them."""
    device = os.major(found.st_dev) << 20 | os.minor(found.st_dev)
    return {"inode": found.st_ino, "device": device, "mode": found.st_mode}


@pytest.fixture
def path_of(capture):
    """Capture a path that is not cut: its struct argument_path and text."""

    def capture_path(wanted, value):
        captured = capture.one(wanted, value)
        assert captured.flags == 0
        fields, text = captured.unpack("ARGUMENT_PATH")
        return fields, text.decode()

    return capture_path


def test_descriptor(capture, path_of, opened, folder):
    """Path, inode, device, mode and flags, as fstat(2) and fcntl(2) have them."""
    path = folder / "a file"
    path.write_text("x")
    path.chmod(0o4751)
    descriptor = opened(path, os.O_RDWR | os.O_APPEND)
    file = argument(c.ARGUMENT_FILE)
    for wanted, value in (
        (FD, descriptor),
        (FD, descriptor | 7 << 32),  # an int: only 32 bits count
        (file, capture.look(descriptor).file),
    ):
        fields, text = path_of(wanted, value)
        open_flags = fields.pop("open_flags")

        assert text == str(path)
        assert fields == {**in_kernel(os.fstat(descriptor)), "flags": 0}
        assert open_flags & os.O_ACCMODE == os.O_RDWR
        assert open_flags & os.O_APPEND


def test_structs_with_a_file(capture, path_of, opened, folder):
    """A struct kiocb and a struct linux_binprm."""
    (folder / "file").touch()
    known = capture.look(opened(folder / "file"))
    for wanted, at in (
        (argument(c.ARGUMENT_FILE, c.FORM_KIOCB), known.kiocb_filp),
        (argument(c.ARGUMENT_LINUX_BINPRM), known.binprm_file),
    ):
        capture.remember((at, struct.pack("<Q", known.file)))
        fields, text = path_of(wanted, known.memory)

        assert text == f"{folder}/file"
        assert fields["inode"] == (folder / "file").stat().st_ino


def test_path_and_dentry(capture, path_of, opened, folder):
    """A path crosses mounts; a dentry's ends at its file system's root."""
    (folder / "file").touch()
    known = capture.look(opened(folder / "file"))
    expected = {**in_kernel((folder / "file").stat()), "open_flags": 0, "flags": 0}

    assert path_of(argument(c.ARGUMENT_PATH), known.file_path) == (
        expected,
        f"{folder}/file",
    )
    assert path_of(argument(c.ARGUMENT_DENTRY), known.file_dentry) == (
        expected,
        f"/{folder.name}/file",
    )


def test_roots(capture, path_of, opened):
    """The root has a name, whichever way it is reached."""
    root = path_of(FD, opened("/"))
    known = capture.look(opened("/dev/shm"))
    inner = path_of(argument(c.ARGUMENT_DENTRY), known.file_dentry)

    assert (root[0]["flags"], root[1]) == (inner[0]["flags"], inner[1]) == (0, "/")


def test_working_directory_as_descriptor(path_of):
    """AT_FDCWD stands for it."""
    fields, text = path_of(FD, -100)

    assert text == str(Path.cwd())
    assert fields["inode"] == Path.cwd().stat().st_ino


def test_deleted_file(path_of, opened, folder):
    """The name that it had, and that it is gone."""
    path = folder / "gone"
    path.touch()
    descriptor = opened(path)
    path.unlink()
    fields, text = path_of(FD, descriptor)

    assert text == str(path)
    assert fields["flags"] == c.PATH_DELETED


def test_long_paths(capture, folder, closing):
    """Up to 4096 bytes; beyond them the front is missing and that is said."""
    here, whole, name = str(folder), str(folder), "d" * 200
    lengths = set()
    for _ in range(21):
        parent = os.open(here, os.O_RDONLY | os.O_DIRECTORY)
        closing.callback(os.close, parent)
        here, whole = f"/proc/self/fd/{parent}/{name}", f"{whole}/{name}"
        Path(here).mkdir()
        inner = os.open(here, os.O_RDONLY | os.O_DIRECTORY)
        closing.callback(os.close, inner)
        captured = capture.one(FD, inner)
        fields, text = captured.unpack("ARGUMENT_PATH")
        lengths.add(len(text))

        if len(whole) <= c.PATH_MAX_BYTES:
            assert text.decode() == whole
            assert (captured.flags, fields["flags"]) == (0, 0)
        else:
            assert whole.endswith(text.decode())
            assert (captured.flags, fields["flags"]) == (c.ARGUMENT_CUT, c.PATH_CUT)
    assert max(lengths) > c.PATH_MAX_BYTES - len(name) - 1
    assert len(whole) > c.PATH_MAX_BYTES


def test_path_of_the_longest_length(capture, folder, closing):
    """Not cut: exactly PATH_MAX_BYTES, which no system call can name in one piece."""
    here, whole = str(folder), str(folder)
    while left := c.PATH_MAX_BYTES - len(whole):
        size = 200 if left > 402 or left == 201 else left - 1 if left < 202 else 100
        parent = os.open(here, os.O_RDONLY | os.O_DIRECTORY)
        closing.callback(os.close, parent)
        name = "d" * size
        here, whole = f"/proc/self/fd/{parent}/{name}", f"{whole}/{name}"
        Path(here).mkdir()
    inner = os.open(here, os.O_RDONLY | os.O_DIRECTORY)
    closing.callback(os.close, inner)
    captured = capture.one(FD, inner)
    fields, text = captured.unpack("ARGUMENT_PATH")

    assert text.decode() == whole
    assert (captured.flags, fields["flags"]) == (0, 0)


def test_files_without_a_folder(path_of, closing):
    """A memfd has a name; sockets and pipes have none but their inode."""
    memory = os.memfd_create("my memory")
    ends = os.pipe()
    for descriptor in (memory, *ends):
        closing.callback(os.close, descriptor)
    end = closing.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
    for descriptor, name in (
        (memory, "/memfd:my memory"),
        (ends[0], ""),
        (end.fileno(), ""),
    ):
        fields, text = path_of(FD, descriptor)
        found = os.fstat(descriptor)

        assert text == name
        assert (fields["inode"], fields["mode"]) == (found.st_ino, found.st_mode)
        assert fields["flags"] == c.PATH_PSEUDO


def test_named_pipe_has_a_path(path_of, opened, folder):
    """Only what has no folder has no name."""
    os.mkfifo(folder / "fifo")
    fields, text = path_of(FD, opened(folder / "fifo", os.O_RDONLY | os.O_NONBLOCK))

    assert text == f"{folder}/fifo"
    assert fields["flags"] == 0


@pytest.mark.parametrize("descriptor", [-1, 100_000, 2**31 - 1])
def test_descriptor_that_is_not_open(capture, descriptor):
    """What the system call will say too."""
    captured = capture.one(FD, descriptor)

    assert (captured.length, captured.data) == (-errno.EBADF, b"")
