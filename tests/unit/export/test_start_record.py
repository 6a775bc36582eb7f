# SPDX-License-Identifier: Apache-2.0
"""Start records are read back, and nothing else is taken for one."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.export.lines import start_line
from tetragon_py.export.start_record import StartRecord, parse_start, read_start


def test_record():
    """What the encoder writes."""
    line = start_line(7, "cafe", boot="b-1", time="1970-01-02T00:00:01.500000001Z")

    assert parse_start(line) == StartRecord("b-1", "cafe", 7, 86401.5)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b'{"loss":{}}\n',
        b'{"start":{"boot_id":"x","run":"y","file":1},"time":"2026',
        b'{"start":{"run":"y"},"time":"2026-11-22T00:00:00Z"}',
        b'{"start":[],"time":"2026-11-22T00:00:00Z"}',
        b'{"start":{"boot_id":"x","run":"y","file":"z"},"time":"2026-11-22T00:00:00Z"}',
        b'{"start":{"boot_id":"x","run":"y"},"time":5}',
    ],
)
def test_anything_else(line):
    """A cut or foreign line is none."""
    assert parse_start(line) is None


@given(st.binary())
def test_hostile_bytes(tail):
    """Nothing is raised."""
    parse_start(b'{"start":' + tail)


def test_of_a_file(tmp_path):
    """The first line counts, and only of a regular file."""
    path = tmp_path / "events.jsonl"

    assert read_start(path) is None
    path.write_bytes(b"")
    assert read_start(path) is None
    path.write_bytes(start_line(3) + b"{}\n")
    start = read_start(path)
    assert start is not None
    assert start.file == 3
    path.write_bytes(b"{}\n" + start_line(3))
    assert read_start(path) is None
    path.unlink()
    os.mkfifo(path)
    assert read_start(path) is None
