# SPDX-License-Identifier: Apache-2.0
"""Which records have their lines in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tetragon_py.export import written_lines
from tetragon_py.export.written_lines import Origin, count_written

if TYPE_CHECKING:
    from pathlib import Path

LINES = (
    b'{"process_exec":{"process":{"binary":"a"}},"time":"t","cpu":1,"sequence":"5","run":"r1"}\n'
    b'{"process_kprobe":{},"cpu":0,"sequence":"7","run":"r1","lane":"policy"}\n'
    b'{"process_kprobe":{},"cpu":0,"sequence":"7","run":"r1","lane":"policy"}\n'
    b'{"process_exec":{"process":{}},"cpu":0,"sequence":"0","run":"r1"}\n'
    b'{"process_exec":{},"cpu":1,"sequence":"6","run":"r2"}\n'
    b'{"process_exec":{},"cpu":1,"sequence":"6"}\n'
    b'{"loss":{"total":"3"},"time":"t"}\n'
    b'{"a":"\\"cpu\\":9,\\"sequence\\":\\"9\\"}"}\n'
)
FOUND = {Origin("lifecycle", 1, 5): 1, Origin("policy", 0, 7): 2}


CUT = b'{"x":1,"cpu":2,"sequence":"8","run":"r1"}'


@pytest.mark.parametrize("cut", [b"", CUT[:-1], CUT])
def test_whole_lines_count(tmp_path: Path, cut: bytes) -> None:
    """Each line counts for its record; none that has no number or no end."""
    path = tmp_path / "events"
    path.write_bytes(LINES + cut)

    assert dict(count_written(path, "r1")) == FOUND


def test_only_the_end_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long file the last bytes count."""
    path = tmp_path / "events"
    path.write_bytes(b"x" * 1000 + b"\n" + LINES[: LINES.index(b"\n") + 1])
    monkeypatch.setattr(written_lines, "TAIL_BYTES", 96)

    assert dict(count_written(path, "r1")) == {Origin("lifecycle", 1, 5): 1}


def test_the_newest_backup_counts_too(tmp_path: Path) -> None:
    """A rotation can have come between: what is short is not all."""
    (tmp_path / "events.json").write_bytes(b'{"start":{}}\n')
    (tmp_path / "events-00000001-a.json").write_bytes(b"nothing\n")
    (tmp_path / "events-00000002-b.json").write_bytes(LINES)

    assert dict(count_written(tmp_path / "events.json", "r1")) == FOUND


def test_no_file(tmp_path: Path) -> None:
    """What is not there, or is no file, has no lines."""
    (tmp_path / "empty").touch()
    for path in (tmp_path / "none", tmp_path, tmp_path / "empty"):
        assert not count_written(path, "r1")
