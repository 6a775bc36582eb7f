# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.settings_files: directories of configuration to entries."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tetragon_py.errors import SettingsError
from tetragon_py.settings_files import FILE_MAX_BYTES, Entry, read_directory

if TYPE_CHECKING:
    from pathlib import Path


def problems(directory: Path) -> list[str]:
    return [str(i) for i in read_directory(directory) if isinstance(i, SettingsError)]


def entries(directory: Path) -> list[Entry]:
    return [i for i in read_directory(directory) if isinstance(i, Entry)]


def drop_in(directory: Path, name: str, content: bytes) -> Path:
    (directory / "conf.d").mkdir(exist_ok=True)
    path = directory / "conf.d" / name
    path.write_bytes(content)
    return path


def test_missing_directory(tmp_path):
    """A directory that does not exist has no entries and is no problem."""
    assert list(read_directory(tmp_path / "none")) == []


def test_yaml_keeps_text_and_place(tmp_path):
    """Values are the text that was written, with the place of their key."""
    path = tmp_path / "a.yaml"
    path.write_text("# comment\nnode-name: 0123\n\n  \ntimestamps: yes\n")

    assert entries(tmp_path) == [
        Entry(f"{path}:2:1", "node-name", "node_name", "0123"),
        Entry(f"{path}:5:1", "timestamps", "timestamps", "yes"),
    ]


@pytest.mark.parametrize("text", ["x:", "x: ~", "x: null", "x: ''", 'x: ""'])
def test_yaml_empty_values(tmp_path, text):
    """Null and the empty text are the same: no value."""
    (tmp_path / "a.yaml").write_text(text)

    assert [entry.value for entry in entries(tmp_path)] == [""]


def test_yaml_quoted_null_is_a_word(tmp_path):
    """A quoted null is the text null."""
    (tmp_path / "a.yaml").write_text("x: 'null'")

    assert [entry.value for entry in entries(tmp_path)] == ["null"]


@pytest.mark.parametrize("text", ["x: [A, B]", "x:\n- A\n- B\n"])
def test_yaml_lists(tmp_path, text):
    """A list of scalars is a list of texts."""
    (tmp_path / "a.yaml").write_text(text)

    assert [entry.value for entry in entries(tmp_path)] == [["A", "B"]]


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "{}"])
def test_yaml_without_entries(tmp_path, text):
    """An empty file is valid."""
    (tmp_path / "a.yaml").write_text(text)

    assert list(read_directory(tmp_path)) == []


def test_order(tmp_path):
    """YAML files come in name order, then drop-ins in name order."""
    (tmp_path / "20.yaml").write_text("a: 1")
    (tmp_path / "10.yaml").write_text("b: 2")
    drop_in(tmp_path, "z", b"3")
    drop_in(tmp_path, "c_d", b" 4\n")

    assert [(e.name, e.value) for e in entries(tmp_path)] == [
        ("b", "2"),
        ("a", "1"),
        ("c_d", "4"),
        ("z", "3"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x: &a 1", "1:4: anchors and aliases are not allowed"),
        ("x: *a", "1:4: anchors and aliases are not allowed"),
        ("x: [&a b, *a]", "1:5: anchors and aliases are not allowed"),
        ("x: !!python/object:os.system 1", "1:4: tags are not allowed"),
        ("- a\n- b", "1:1: must be a mapping of options to values"),
        ("word", "1:1: must be a mapping of options to values"),
        ("x:\n  y: 1", "2:3: 'x' must be a value or a list of values"),
        ("x: [[1]]", "1:4: 'x' must be a value or a list of values"),
        ("? [a]\n: 1", "1:3: a key must be a name"),
        ("a: 1\n---\nb: 1", "2:1: only one document is allowed"),
        ("x: " + "[" * 500000, "1:24: is nested too deeply"),
        ("a-b: 1\na_b: 2", "2:1: 'a_b' is given twice, first at {}:1:1"),
    ],
)
def test_yaml_refuses(tmp_path, text, expected):
    """What is not a flat mapping of plain values is refused with its place."""
    path = tmp_path / "a.yaml"
    path.write_text(text)

    assert problems(tmp_path) == [f"{path}:{expected.format(path)}"]


def test_yaml_goes_on_after_a_nested_value(tmp_path):
    """A nested value does not hide what stands after it."""
    (tmp_path / "a.yaml").write_text("x: {y: [1, {z: 2}]}\nafter: 1\n")

    assert len(problems(tmp_path)) == 1
    assert [entry.name for entry in entries(tmp_path)] == ["after"]


@pytest.mark.parametrize("data", [b"x: [1", b"x: 'a", b"\t- x", b"x: \xff\n", b"x: \0"])
def test_yaml_syntax(tmp_path, data):
    """A file that is not YAML is one problem that names the file."""
    path = tmp_path / "a.yaml"
    path.write_bytes(data)

    [problem] = problems(tmp_path)
    assert problem.startswith(f"{path}")
    assert "is not YAML" in problem
    assert "\n" not in problem


def test_wrong_suffix(tmp_path):
    """A .yml file would be overlooked in silence, so it is refused."""
    path = tmp_path / "a.yml"
    path.write_text("output: json")
    (tmp_path / "README").write_text("free text")

    assert problems(tmp_path) == [f"{path}: not read: its name must end in .yaml"]


def test_too_large(tmp_path):
    """A file above the cap is refused, one at the cap is read."""
    path = drop_in(tmp_path, "a", b" " * (FILE_MAX_BYTES + 1))
    drop_in(tmp_path, "b", b" " * FILE_MAX_BYTES)

    assert problems(tmp_path) == [f"{path}: is larger than 1048576 bytes"]
    assert [entry.name for entry in entries(tmp_path)] == ["b"]


def test_not_regular(tmp_path):
    """A directory or a FIFO is refused and does not hold the start."""
    os.mkfifo(tmp_path / "a.yaml")
    (tmp_path / "conf.d" / "b").mkdir(parents=True)

    assert problems(tmp_path) == [
        f"{tmp_path}/a.yaml: is not a regular file",
        f"{tmp_path}/conf.d/b: cannot be read: Is a directory",
    ]


def test_not_readable(tmp_path):
    """A file that cannot be opened is told with the reason."""
    (tmp_path / "a.yaml").symlink_to("missing")
    (tmp_path / "conf.d").write_text("")

    assert problems(tmp_path) == [
        f"{tmp_path}/a.yaml: cannot be read: No such file or directory",
        f"{tmp_path}/conf.d: cannot be listed: Not a directory",
    ]


def test_drop_in_must_be_text(tmp_path):
    """A drop-in that is not UTF-8 is refused."""
    path = drop_in(tmp_path, "a", b"\xff")

    assert problems(tmp_path) == [f"{path}: is not UTF-8 text"]


def test_drop_in_twice(tmp_path):
    """The two spellings of one option in one directory contradict each other."""
    first = drop_in(tmp_path, "log-level", b"info")
    second = drop_in(tmp_path, "log_level", b"debug")

    assert problems(tmp_path) == [
        f"{second}: 'log_level' is given twice, first at {first}"
    ]


def test_config_map(tmp_path):
    """A mounted ConfigMap is read through its links; its hidden versions are not."""
    version = tmp_path / "conf.d" / "..2024_01"
    version.mkdir(parents=True)
    (version / "log-level").write_text("debug\n")
    (tmp_path / "conf.d" / "..data").symlink_to("..2024_01")
    (tmp_path / "conf.d" / "log-level").symlink_to("..data/log-level")

    expected = f"{tmp_path}/conf.d/log-level"
    assert list(read_directory(tmp_path)) == [
        Entry(expected, "log-level", "log_level", "debug")
    ]
