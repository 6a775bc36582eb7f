# SPDX-License-Identifier: Apache-2.0
"""The settings' outputs: their first lines, options, errors, and their end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
from pathlib import Path

import pytest

from tests.e2e.agent import until
from tetragon_py import __version__
from tetragon_py.daemon.outputs import open_outputs
from tetragon_py.encode.compact import CompactEncoder
from tetragon_py.encode.timestamp import Timestamps
from tetragon_py.errors import SettingsError, SinkError
from tetragon_py.export.backups import Backups
from tetragon_py.settings import load_settings

LINE = b"x" * 99 + b"\n"
#: In lines: more than a MiB.
BATCH = 12_000


@pytest.fixture
def stack():
    with contextlib.ExitStack() as made:
        yield made


@pytest.fixture
def outputs(tmp_path, stack):
    """Open those of some options; an export file is "events.jsonl"."""

    def open_some(run="", **options):
        path = str(tmp_path / "events.jsonl")
        given = {"export_filename": path, "node_name": "web-1", **options}
        settings = load_settings(given, etc_dir=tmp_path / "etc", environ={})
        return open_outputs(
            settings, Timestamps(0), stack, stdout_events=settings.stdout, run=run
        )

    return open_some


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_start_record(outputs, tmp_path):
    """The first line says whose file it is."""
    [output] = outputs(run="cafe")
    output.lines.append(LINE)
    output.flush()
    first = (tmp_path / "events.jsonl").read_bytes().splitlines()[0]

    assert json.loads(first) == {
        "start": {
            "boot_id": boot_id(),
            "run": "cafe",
            "version": __version__,
            "file": 1,
        },
        "node_name": "web-1",
        "time": json.loads(first)["time"],
    }


def test_first_bytes_differ(outputs, tmp_path):
    """What shippers take a fingerprint of is another one for each file and run."""
    heads = set()
    for _ in range(3):
        path = tmp_path / "events.jsonl"
        [output] = outputs(node_name="n" * 253, export_file_max_size_mb="1")
        output.sink.write(LINE * BATCH, BATCH)
        output.sink.close()
        heads.add(path.read_bytes()[:256])
        path.unlink()
    for backup in Backups(tmp_path / "events.jsonl").found():
        heads.add(backup.path.read_bytes()[:256])

    assert len(heads) == 6


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        ({}, "J"),
        ({"output": "json"}, "JJ"),
        ({"output": "compact"}, "JC"),
        ({"export_filename": "-"}, "J"),
        ({"export_filename": "-", "output": "json"}, "J"),
        ({"export_filename": ""}, "J"),
        ({"export_filename": "", "output": "compact"}, "C"),
    ],
)
def test_which(outputs, options, kinds):
    """A file, standard output, or both; each JSON output begins with a start."""
    found = outputs(**options)
    names = [output.sink.name for output in found]

    assert kinds == "".join(
        "C" if isinstance(output.encoder, CompactEncoder) else "J" for output in found
    )
    assert ("standard output" in names) == (options != {})
    for output in found:
        if output.sink.name == "standard output" and "J" in kinds[-1]:
            [first] = output.lines
            assert "file" not in json.loads(first)["start"]
        else:
            assert output.lines == []


def test_run_is_in_the_lines(outputs):
    """One name for all outputs, a new one for each agent."""
    found = outputs(fields="extended", output="json")
    [first] = found[1].lines
    run = json.loads(first)["start"]["run"]

    assert len(run) == 12
    for output in found:
        assert output.encoder._origin(0, 1).endswith(b',"run":"%b"' % run.encode())
    assert run not in outputs(output="json")[1].lines[0].decode()


def test_rotation_and_compression(outputs, tmp_path):
    """The options reach those that carry them out."""
    [output] = outputs(
        export_file_max_size_mb="1",
        export_file_max_backups="2",
        export_file_compress=True,
        export_file_perm="640",
        export_file_group=str(os.getgid()),
    )
    for _ in range(5):
        output.sink.write(LINE * BATCH, BATCH)
    backups = Backups(tmp_path / "events.jsonl")
    until(lambda: [b.is_packed for b in backups.found()] == [True, False], 20, "order")
    file = tmp_path / "events.jsonl"

    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert all(b.path.stat().st_mode & 0o777 == 0o640 for b in backups.found())
    assert json.loads(file.read_bytes().splitlines()[0])["start"]["file"] > 4


def test_total_size(outputs, tmp_path):
    """The cap of all files together."""
    [output] = outputs(
        export_file_max_size_mb="1",
        export_file_max_total_mb="3",
        export_file_max_backups="0",
    )
    for _ in range(6):
        output.sink.write(LINE * BATCH, BATCH)
    backups = Backups(tmp_path / "events.jsonl")

    assert until(lambda: len(backups.found()) == 2, 20, "two backups")


def test_unknown_group(outputs):
    """One line with a hint."""
    with pytest.raises(SettingsError, match="there is no group 'no-such-group' here"):
        outputs(export_file_group="no-such-group")


def test_file_that_cannot_be(outputs, tmp_path):
    """Nothing stays behind: no thread, no handler."""
    before = signal.getsignal(signal.SIGUSR1)
    (tmp_path / "events.jsonl").mkdir()
    with pytest.raises(SinkError, match="it is a directory"):
        outputs()

    assert signal.getsignal(signal.SIGUSR1) == before


def test_signal(outputs, stack, tmp_path):
    """SIGUSR1 has the file looked for; at the end it means what it did before."""
    before = signal.getsignal(signal.SIGUSR1)
    found = outputs(output="compact")
    found[0].sink.write(LINE, 1)
    (tmp_path / "events.jsonl").rename(tmp_path / "old")
    os.kill(os.getpid(), signal.SIGUSR1)
    found[0].sink.flush()
    assert (tmp_path / "events.jsonl").exists()
    stack.close()

    assert signal.getsignal(signal.SIGUSR1) == before
    assert found[0].sink.fd == -1
