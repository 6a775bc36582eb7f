# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.daemon.policy_watch: one call after a change, none without."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time

import pytest

from tetragon_py.daemon import policy_watch
from tetragon_py.daemon.control import Control
from tetragon_py.daemon.policy_watch import PolicyWatch

SETTLE = 0.03


class Bench:
    """A watch; `changed` makes a change and counts the calls it leads to."""

    def __init__(self, control, *paths):
        self.control = control
        self.calls = 0
        self.watch = PolicyWatch(paths, control, self.count)

    def count(self):
        self.calls += 1

    def changed(self, change, seconds=6 * SETTLE):
        self.calls = 0
        change()
        self.control.is_stopping = False
        self.control.after(seconds, self.control.stop)
        self.control.run()
        return self.calls


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "policies"
    made.mkdir()
    return made


@pytest.fixture
def open_bench(monkeypatch):
    """Makes benches that settle soon."""
    monkeypatch.setattr(policy_watch, "_SETTLE_SECONDS", SETTLE)
    with contextlib.ExitStack() as stack:
        control = stack.enter_context(Control())

        def make(*paths):
            bench = Bench(control, *paths)
            stack.callback(bench.watch.close)
            return bench

        yield make


@pytest.fixture
def bench(open_bench, folder):
    return open_bench(folder)


def test_every_kind_of_change(bench, folder, tmp_path):
    """New, written, renamed, replaced, linked, made readable, deleted: one call."""
    path, other = folder / "a.yaml", tmp_path / "other"
    other.write_text("x")

    assert bench.changed(lambda: None) == 0
    assert bench.changed(lambda: path.write_text("x")) == 1
    assert bench.changed(lambda: path.write_text("y")) == 1
    assert bench.changed(lambda: path.rename(folder / "b.yml")) == 1
    assert bench.changed(lambda: other.rename(folder / "b.yml")) == 1
    assert bench.changed(lambda: (folder / "c.json").symlink_to("b.yml")) == 1
    assert bench.changed(lambda: (folder / "b.yml").chmod(0o600)) == 1
    assert bench.changed((folder / "b.yml").unlink) == 1


def test_other_files_do_not_matter(bench, folder):
    """What is no policy, and what is being prepared in a hidden file."""
    assert bench.changed(lambda: (folder / "notes.txt").write_text("x")) == 0
    assert bench.changed(lambda: (folder / ".a.yaml.tmp").write_text("x")) == 0
    assert bench.changed(lambda: list(folder.iterdir())) == 0


def test_config_map(bench, folder):
    """A mounted ConfigMap changes by one link whose name is hidden."""
    assert bench.changed(lambda: (folder / "..data").symlink_to("v1")) == 1


def test_many_changes_are_one(bench, folder):
    """It waits until whoever writes is done."""

    def write():
        for number in range(1000):
            (folder / f"{number}.yaml").write_text("x")

    assert bench.changed(write, 20 * SETTLE) == 1


def test_a_file_that_is_being_written_is_not_read(bench, folder, monkeypatch):
    """Each piece makes it wait longer, however busy the machine is meanwhile."""
    monkeypatch.setattr(policy_watch, "_SETTLE_SECONDS", 20 * SETTLE)

    def write():
        with (folder / "a.yaml").open("w") as file:
            for _ in range(80):
                file.write("x")
                file.flush()
                time.sleep(SETTLE / 3)
        done.append(bench.calls)

    done: list[int] = []
    thread = threading.Thread(target=write)
    assert bench.changed(thread.start, 120 * SETTLE) == 1
    thread.join()
    assert done == [0]


def test_patience_has_an_end(bench, folder, monkeypatch):
    """Somebody who never stops does not keep all others out."""
    monkeypatch.setattr(policy_watch, "_SETTLE_SECONDS", 8 * SETTLE)
    monkeypatch.setattr(policy_watch, "_PATIENCE_SECONDS", 10 * SETTLE)

    def write():
        for number in range(150):
            (folder / "a.yaml").write_text(f"{number}")
            time.sleep(SETTLE / 3)

    thread = threading.Thread(target=write)
    assert bench.changed(thread.start, 60 * SETTLE) > 1
    thread.join()


def test_a_directory_that_comes_and_goes(open_bench, tmp_path):
    """It need not exist; when it is made again, its files are seen again."""
    folder = tmp_path / "a" / "b"
    bench = open_bench(folder)

    assert bench.changed((tmp_path / "c").mkdir) == 0
    assert bench.changed(lambda: folder.mkdir(parents=True)) == 1
    assert bench.changed(lambda: (folder / "a.yaml").write_text("x")) == 1
    assert bench.changed(lambda: shutil.rmtree(tmp_path / "a")) == 1
    assert bench.changed(lambda: folder.mkdir(parents=True)) == 1
    assert bench.changed(lambda: (folder / "a.yaml").write_text("x")) == 1


def test_single_files(open_bench, folder):
    """Of a file that is named, only that one in its directory."""
    path = folder / "a.yaml"
    bench = open_bench(path)

    assert bench.changed(lambda: (folder / "b.yaml").write_text("x")) == 0
    assert bench.changed(lambda: path.write_text("x")) == 1
    assert bench.changed(path.unlink) == 1


def test_close_gives_back_the_descriptor(folder):
    """And the control side watches it no more."""
    with Control() as control:
        watch = PolicyWatch([folder], control, bool)
        fd = watch._fd
        watch.close()

    with pytest.raises(OSError, match="Bad file"):
        os.fstat(fd)
