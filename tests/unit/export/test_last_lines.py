# SPDX-License-Identifier: Apache-2.0
"""The last lines say, for each numbering, up to where records have been written."""

from __future__ import annotations

import os

import pytest

from tests.unit.export.lines import event_line, start_line
from tetragon_py.export.backups import Backups
from tetragon_py.export.last_lines import Place, last_sequences

HIT = {"lane": "policy"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.jsonl"


def backup(path, number: int):
    return Backups(path).name(number, 0)


def test_no_file(path):
    """What is not there says nothing."""
    assert last_sequences(path) == {}
    assert last_sequences(path / "below" / "nothing") == {}


def test_highest_of_each_place(path):
    """Lanes and CPUs are numbered by themselves; an event without lane is lifecycle."""
    path.write_bytes(
        start_line()
        + event_line(7, cpu=0)
        + event_line(9, cpu=1)
        + event_line(6, cpu=0)
        + event_line(3, cpu=0, lane="policy")
        + event_line(4, cpu=0, lane="verdict")
    )

    assert last_sequences(path) == {
        Place("boot", "cafe", "lifecycle", 0): 7,
        Place("boot", "cafe", "lifecycle", 1): 9,
        Place("boot", "cafe", "policy", 0): 3,
        Place("boot", "cafe", "verdict", 0): 4,
    }


def test_what_has_no_number(path):
    """Events of processes that lived before, losses, repeats: none of them counts."""
    path.write_bytes(
        event_line(0)
        + b'{"loss":{"lane":"policy"}}\n'
        + b'{"process_kprobe":{},"aggregation_info":{"count":"5"},"lane":"verdict"}\n'
    )

    assert last_sequences(path) == {}


def test_runs_are_apart(path):
    """A start that numbers anew does not hide behind the higher numbers before it."""
    path.write_bytes(
        start_line(1, "one", "boot-1")
        + event_line(900, run="one")
        + start_line(1, "two", "boot-2")
        + event_line(5, run="two")
    )

    assert last_sequences(path) == {
        Place("boot-1", "one", "lifecycle", 0): 900,
        Place("boot-2", "two", "lifecycle", 0): 5,
    }


@pytest.mark.parametrize("cut", [1, 20, 60, -2])
def test_torn_line(path, cut):
    """The line that a kill has cut was not written; glued ones say nothing either."""
    path.write_bytes(start_line() + event_line(5) + event_line(6)[:cut])
    at_end = last_sequences(path)
    path.write_bytes(start_line() + event_line(6)[:cut] + event_line(9) + event_line(5))

    assert at_end == {Place("boot", "cafe", "lifecycle", 0): 5}
    assert last_sequences(path) == at_end


def test_line_without_its_newline(path):
    """All of its content is there: it was written."""
    path.write_bytes(start_line() + event_line(5) + event_line(6)[:-1])

    assert last_sequences(path) == {Place("boot", "cafe", "lifecycle", 0): 6}


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe\n",
        b"[1]\n",
        b"17\n",
        b'{"cpu":"x","sequence":"y"}\n',
        b'{"cpu":0,"sequence":"-5"}\n',
        b'{"cpu":0,"sequence":"%b"}\n' % (b"9" * 400),
        b'{"cpu":0,"sequence":{"a":1}}\n',
        b'{"start":7}\n',
        b"\n",
    ],
)
def test_foreign_lines(path, line):
    """Whatever others have written there is passed over."""
    path.write_bytes(start_line() + event_line(5) + line)

    assert last_sequences(path) == {Place("boot", "cafe", "lifecycle", 0): 5}


def test_short_file_is_continued_in_its_newest_backup(path):
    """Just after a rotation the last records are in the backup."""
    backup(path, 1).write_bytes(start_line(1) + event_line(50, cpu=3))
    backup(path, 2).write_bytes(start_line(2) + event_line(70) + event_line(8, cpu=1))
    path.write_bytes(start_line(3) + event_line(71))

    assert last_sequences(path) == {
        Place("boot", "cafe", "lifecycle", 0): 71,
        Place("boot", "cafe", "lifecycle", 1): 8,
    }
    path.unlink()
    assert last_sequences(path)[Place("boot", "cafe", "lifecycle", 0)] == 70


def test_only_the_end_is_read(path):
    """What lies further back is not looked at; the first line of the rest is cut."""
    path.write_bytes(
        start_line()
        + event_line(5, cpu=1)
        + event_line(6, padding=1000)
        + event_line(7, padding=1000)
    )

    assert last_sequences(path, 1500) == {Place("boot", "cafe", "lifecycle", 0): 7}


def test_boot_of_a_long_file(path):
    """Far from its start, the head still tells the boot; of others it is not known."""
    path.write_bytes(
        start_line(1, "one", "boot-1")
        + start_line(1, "two", "boot-2")
        + event_line(5, run="one", padding=2000)
        + event_line(6, run="one")
        + event_line(7, run="two")
    )

    assert last_sequences(path, 1000) == {
        Place("boot-1", "one", "lifecycle", 0): 6,
        Place("", "two", "lifecycle", 0): 7,
    }


def test_nothing_but_files_is_read(path, tmp_path):
    """A FIFO is not waited for, a link is not followed."""
    os.mkfifo(path)
    assert last_sequences(path) == {}
    path.unlink()
    (tmp_path / "other").write_bytes(event_line(5))
    path.symlink_to(tmp_path / "other")
    assert last_sequences(path) == {}
