# SPDX-License-Identifier: Apache-2.0
"""User names: what the file says, and when it is read again."""

from __future__ import annotations

import os

from tetragon_py.enrich.users import UserNames

SECOND = 1_000_000_000


def test_names_come_from_the_file(tmp_path):
    """Each uid of the file has its name, any other none."""
    path = tmp_path / "passwd"
    path.write_bytes(b"root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/:/bin/sh\n")
    users = UserNames(str(path))

    assert tuple(users.lookup(uid, 0) for uid in (0, 1000, 1)) == ("root", "ann", "")


def test_malformed_lines_are_skipped(tmp_path):
    """A line that is no entry costs no other entry."""
    path = tmp_path / "passwd"
    path.write_bytes(
        b"\n#c:x:1:1:::\n+:x:2:2:::\n-a:x:3:3:::\n:x:4:4:::\nshort:x:5\n"
        b"minus:x:-6:6:::\nbig:x:4294967296:7:::\nhuge:x:" + b"9" * 5000 + b":7:::\n"
        b"nouid:x::8:::\nlong:x:9:9:::/x:\n\xff\xfe:x:10:10:::\n"
        b"first:x:11:11:::\nsecond:x:11:11:::\nlast:x:4294967295:12:::"
    )
    users = UserNames(str(path))

    names = {uid: users.lookup(uid, 0) for uid in (*range(12), 4294967295)}

    assert {uid: name for uid, name in names.items() if name} == {
        10: "��",
        11: "first",
        4294967295: "last",
    }


def test_changed_file_is_read_again_after_a_second(tmp_path):
    """A new user is known at most a second later, and not asked for before."""
    path = tmp_path / "passwd"
    path.write_bytes(b"old:x:1:1:::\n")
    users = UserNames(str(path))
    before = users.lookup(1, 5 * SECOND)
    path.write_bytes(b"new:x:1:1:::\nmore:x:2:2:::\n")

    assert before == "old"
    assert users.lookup(1, 6 * SECOND - 1) == "old"
    assert users.lookup(1, 6 * SECOND) == "new"


def test_same_file_is_not_read_again(tmp_path, monkeypatch):
    """While the file is unchanged, a check costs no read."""
    path = tmp_path / "passwd"
    path.write_bytes(b"old:x:1:1:::\n")
    users = UserNames(str(path))
    users.lookup(1, 0)
    monkeypatch.setattr("builtins.open", None)

    assert users.lookup(1, 2 * SECOND) == "old"


def test_replaced_file_of_the_same_time_is_noticed(tmp_path):
    """A file put in place with the old one's time is read too."""
    path = tmp_path / "passwd"
    path.write_bytes(b"old:x:1:1:::\n")
    users = UserNames(str(path))
    users.lookup(1, 0)
    stat = path.stat()
    other = tmp_path / "passwd.new"
    other.write_bytes(b"new:x:1:1:::\n")
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.replace(path)

    assert users.lookup(1, SECOND) == "new"


def test_file_that_goes_away_keeps_the_names(tmp_path):
    """A file that is missing for a moment does not take the names away."""
    path = tmp_path / "passwd"
    users = UserNames(str(path))
    missing = users.lookup(1, 0)
    path.write_bytes(b"ann:x:1:1:::\n")
    found = users.lookup(1, SECOND)
    path.unlink()

    assert (missing, found) == ("", "ann")
    assert users.lookup(1, 2 * SECOND) == "ann"


def test_host_names_are_the_default():
    """Without a path it is the host's own file."""
    assert UserNames().lookup(0, 0) == "root"
