# SPDX-License-Identifier: Apache-2.0
"""Standard output: never waited for, and left as it is for others."""

from __future__ import annotations

import os
import pty
import socket
import threading

import pytest

from tetragon_py.export.stdout import open_stdout

MEGABYTE = b"x" * 1023 + b"\n"


def fill(sink) -> None:
    """Write more than any pipe, terminal or socket holds; must return."""
    thread = threading.Thread(
        target=lambda: [sink.write(MEGABYTE, 1) for _ in range(2048)], daemon=True
    )
    thread.start()
    thread.join(20)

    assert not thread.is_alive()


@pytest.fixture(params=["pipe", "terminal", "socket"])
def ends(request):
    """Both ends of what standard output can be: reader, writer."""
    if request.param == "pipe":
        pair = os.pipe()
    elif request.param == "terminal":
        pair = pty.openpty()
    else:
        reader, writer = socket.socketpair()
        pair = (reader.detach(), writer.detach())
    yield pair
    for fd in pair:
        os.close(fd)


def test_slow_reader_is_not_waited_for(ends):
    """Whoever reads standard output cannot stop the agent by not reading."""
    reader, writer = ends
    sink = open_stdout(writer)
    fill(sink)

    assert sink.backlog_bytes > 0
    assert not sink.is_broken
    assert os.read(reader, 2) == b"xx"
    sink.close()


def test_others_see_no_change(ends):
    """The shell's descriptor stays open and blocking."""
    _, writer = ends
    sink = open_stdout(writer)
    sink.write(b"a\n", 1)

    assert os.get_blocking(writer)
    sink.close()
    os.fstat(writer)


def test_reader_that_goes_away_is_noticed(ends):
    """A closed pipe or socket ends the sink; a terminal's end is an error."""
    reader, writer = ends
    sink = open_stdout(writer)
    replacement = os.open(os.devnull, os.O_RDONLY)
    os.dup2(replacement, reader)
    os.close(replacement)
    sink.write(b"a\n", 1)

    assert sink.error
    assert sink.is_broken or os.isatty(writer) or sink.error == "Input/output error"
    sink.close()


def test_file_keeps_its_offset(tmp_path):
    """Redirected into a file, lines come after what others wrote there."""
    path = tmp_path / "out"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.write(fd, b"before\n")
    sink = open_stdout(fd)
    sink.write(b"line\n", 1)
    os.write(fd, b"after\n")
    sink.close()
    os.close(fd)

    assert path.read_bytes() == b"before\nline\nafter\n"


def test_terminal_of_somebody_else(monkeypatch):
    """What cannot be opened again is used as it is."""
    reader, writer = os.pipe()

    def refuse(*_):
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        sink = open_stdout(writer)
    sink.write(b"a\n", 1)

    assert os.read(reader, 10) == b"a\n"
    sink.close()
    os.close(reader)
    os.close(writer)
