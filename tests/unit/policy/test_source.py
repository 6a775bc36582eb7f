# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.policy.source: files and directories to policies."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.unit.policy.texts import policy_text
from tetragon_py.policy import source
from tetragon_py.policy.documents import load_text
from tetragon_py.policy.source import FILE_MAX_BYTES, PolicyReader, load_policies

if TYPE_CHECKING:
    from pathlib import Path

SPEC = "kprobes: [{call: f}]"


def write(path: Path, name: str = "test") -> Path:
    path.write_text(policy_text(SPEC, name=name))
    path.chmod(0o644)
    return path


def test_order(tmp_path):
    """Directories are read in the order of names; arguments as they come."""
    write(tmp_path / "20.yaml", "b")
    write(tmp_path / "10.yml", "a")
    write(tmp_path / "30.json", "c")
    single = write(tmp_path / "00", "single")
    result = load_policies([single, tmp_path])

    assert [p.policy.name for p in result.policies] == ["single", "a", "b", "c"]
    assert [str(d) for d in result.diagnostics] == [
        f"{tmp_path}/00: note: is not read: only files that end in .yaml, .yml or "
        ".json are"
    ]


def test_hidden_and_nested(tmp_path):
    """Hidden files are a ConfigMap's own; directories inside are told."""
    version = tmp_path / "..2024"
    version.mkdir()
    write(version / "a.yaml")
    (tmp_path / "a.yaml").symlink_to("..2024/a.yaml")
    (tmp_path / "more.yaml").mkdir()
    result = load_policies([tmp_path])

    assert [p.file for p in result.policies] == [f"{tmp_path}/a.yaml"]
    assert [d.file for d in result.diagnostics] == [f"{tmp_path}/more.yaml"]


def test_a_file_that_says_the_same_is_not_parsed_again(tmp_path, monkeypatch):
    """Only what changed; what went and comes again is new."""
    parsed = []

    def counted(data, file):
        parsed.append(file.rpartition("/")[2])
        return load_text(data, file)

    monkeypatch.setattr(source, "load_text", counted)
    first = write(tmp_path / "a.yaml", "a")
    second = write(tmp_path / "b.yaml", "b")
    reader = PolicyReader()
    before = reader.read([tmp_path])
    write(first, "c")
    os.utime(second, (0, 0))
    after = reader.read([tmp_path])

    assert parsed == ["a.yaml", "b.yaml", "a.yaml"]
    assert [p.policy.name for p in after.policies] == ["c", "b"]
    assert before.policies[1] is after.policies[1]
    second.chmod(0o666)
    assert [str(d) for d in reader.read([tmp_path], trusted=True).diagnostics] == [
        f"{second}: error: can be written by others (mode 0666)\n  hint: chmod go-w"
    ]
    reader.read([tmp_path])
    assert parsed[3:] == ["b.yaml"]


def test_same_name_twice(tmp_path):
    """Names are unique in a set; the first one stays."""
    first = write(tmp_path / "a.yaml")
    second = write(tmp_path / "b.yaml")
    result = load_policies([tmp_path])

    assert [p.file for p in result.policies] == [f"{first}"]
    assert [str(d) for d in result.diagnostics] == [
        f"{second}:4:9: error: metadata.name: test is the name of a policy in "
        f"{first}:4\n  hint: names are unique"
    ]


def test_same_name_in_two_namespaces(tmp_path):
    """Policies of namespaces do not get into each other's way."""
    text = policy_text(SPEC, kind="TracingPolicyNamespaced")
    write(tmp_path / "a.yaml")
    (tmp_path / "b.yaml").write_text(text)
    (tmp_path / "c.yaml").write_text(
        text.replace("name: test", "name: test\n  namespace: x")
    )

    assert load_policies([tmp_path]).diagnostics == ()


@pytest.mark.parametrize("kind", ["missing", "fifo", "loop", "large", "closed"])
def test_unreadable(tmp_path, kind, monkeypatch):
    """What cannot be read is told with the reason, and does not hold the start."""
    path = tmp_path / "a.yaml"
    expected = {
        "missing": "cannot be read: No such file or directory",
        "fifo": "is not a regular file",
        "loop": "cannot be read: Too many levels of symbolic links",
        "large": f"is larger than {FILE_MAX_BYTES} bytes\n  hint: split the file",
        "closed": "cannot be read: Permission denied",
    }[kind]
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to("a.yaml")
    elif kind == "large":
        path.write_bytes(b" " * (FILE_MAX_BYTES + 1))
    elif kind == "closed":
        write(path)

        def refuse(*_: object) -> int:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "open", refuse)
    result = load_policies([path])

    assert [str(d) for d in result.diagnostics] == [f"{path}: error: {expected}"]


@pytest.mark.parametrize(("changes", "found"), [(2, 1), (3, 0)])
def test_a_file_that_is_being_written(tmp_path, monkeypatch, changes, found):
    """What changes while it is read is read again, and refused if it never ends."""
    path = write(tmp_path / "a.yaml")
    left = [changes]
    read = source._read_all

    def write_more(file):
        data = read(file)
        if left[0]:
            left[0] -= 1
            with path.open("a") as more:
                more.write("# more\n")
        return data

    monkeypatch.setattr(source, "_read_all", write_more)
    result = load_policies([path])

    assert len(result.policies) == found
    if found:
        assert result.policies[0].text == path.read_bytes()
        return
    [said] = result.diagnostics
    assert (said.message, said.hint) == (
        "is being written",
        "write another file and rename it to this one",
    )


def test_zero_byte_in_a_path(tmp_path):
    """A path that no system call takes is told like any other."""
    [diagnostic] = load_policies([tmp_path / "a\0b"]).diagnostics

    assert diagnostic.message == "cannot be read: it is no path"


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_writable_by_others(tmp_path, mode):
    """What others can write is not trusted; checking it is allowed."""
    path = write(tmp_path / "a.yaml")
    path.chmod(mode)

    assert [str(d) for d in load_policies([path], trusted=True).diagnostics] == [
        f"{path}: error: can be written by others (mode {mode:04o})\n  hint: chmod go-w"
    ]
    assert load_policies([path]).diagnostics == ()


def test_directory_writable_by_others(tmp_path):
    """Who may add files to a directory may add policies."""
    write(tmp_path / "a.yaml")
    tmp_path.chmod(0o777)
    result = load_policies([tmp_path], trusted=True)

    assert result.policies == ()
    assert [d.file for d in result.diagnostics] == [f"{tmp_path}"]


def test_foreign_owner(tmp_path, monkeypatch):
    """Files of root and of this user are trusted, others are not."""
    path = write(tmp_path / "a.yaml")
    owner = path.stat().st_uid

    assert load_policies([path], trusted=True).diagnostics == ()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    if owner:
        [diagnostic] = load_policies([path], trusted=True).diagnostics
        assert diagnostic.message.startswith(f"belongs to user {owner}, ")
    monkeypatch.undo()
    status = os.stat_result((0o100644, 0, 0, 1, 4321, 0, 0, 0, 0, 0))
    monkeypatch.setattr(os, "fstat", lambda _: status)
    [diagnostic] = load_policies([path], trusted=True).diagnostics

    assert diagnostic.message.startswith("belongs to user 4321, ")
    assert diagnostic.hint == "chown it to root"
