# SPDX-License-Identifier: Apache-2.0
"""The command line of vmlinux/generate.py, over a tree and a kernel of our own."""

from __future__ import annotations

import re

import pytest

FULL = """\
typedef unsigned int __u32;

struct cred {
	__u32 uid;
};

struct task {
	struct cred *cred;
};
"""

CONFIG = """\
[kernel.x86]
package = "linux-image-x"
version = "1-1"
architecture = "amd64"
suite = "stable"
archive = "http://archive.example"

[roots]
all = ["task"]
x86 = []
"""


@pytest.fixture
def run(generate, monkeypatch, tmp_path):
    folder = tmp_path / "vmlinux"
    folder.mkdir()
    (folder / "kernels.toml").write_text(CONFIG)
    (tmp_path / "bpf").mkdir()
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "linux-image-x_1-1_amd64.btf").touch()
    monkeypatch.setattr(generate, "_FOLDER", folder)
    monkeypatch.setattr(generate, "_CHECKOUT", tmp_path)
    monkeypatch.setattr(generate, "dump_header", lambda btf: FULL)

    def main(*arguments):
        return generate.main(["--arch", "x86", "--cache", str(cache), *arguments])

    return main


def test_header_names_its_origin(run, tmp_path):
    """The header says which package it is of, how to make it, and not to edit it."""
    assert run() == 0

    header = (tmp_path / "vmlinux/x86/vmlinux.h").read_text()

    assert header.startswith("/* SPDX-License-Identifier: GPL-2.0-only */\n")
    assert "linux-image-x 1-1 (stable)" in header
    assert "`make vmlinux`" in header
    assert "never edit" in header


def test_header_is_wrapped(run, tmp_path):
    """All records are between the guard and the pragma that make them relocatable."""
    run()

    header = (tmp_path / "vmlinux/x86/vmlinux.h").read_text()
    pattern = (
        r"#ifndef __VMLINUX_H__\n#define __VMLINUX_H__\n.*"
        r"#pragma clang attribute push \(__attribute__\(\(preserve_access_index\)\), "
        r"apply_to = record\)\n.*struct task \{.*"
        r"#pragma clang attribute pop\n.*#endif /\* __VMLINUX_H__ \*/\n$"
    )

    assert re.search(pattern, header, re.DOTALL)


def test_same_input_same_bytes(run, tmp_path):
    """A second run writes the same bytes."""
    run()
    first = (tmp_path / "vmlinux/x86/vmlinux.h").read_bytes()
    run()

    assert (tmp_path / "vmlinux/x86/vmlinux.h").read_bytes() == first


def test_full_header_is_kept(run, tmp_path):
    """The full header stays in the cache, to look things up in."""
    run()

    assert (tmp_path / "cache/linux-image-x_1-1_amd64.h").read_text() == FULL


def test_check_accepts_current_header(run):
    """--check is content with what a run has written."""
    run()

    assert run("--check") == 0


def test_check_reports_difference(run, tmp_path, capsys):
    """--check fails with a summary when a source needs more, and writes nothing."""
    run()
    before = (tmp_path / "vmlinux/x86/vmlinux.h").read_bytes()
    (tmp_path / "bpf/x.bpf.c").write_text("struct cred *cred;")
    capsys.readouterr()

    assert run("--check") == 1
    assert (tmp_path / "vmlinux/x86/vmlinux.h").read_bytes() == before
    assert "x86/vmlinux.h differs: " in capsys.readouterr().out


def test_check_reports_missing_header(run, tmp_path):
    """--check fails when there is no header yet, and writes none."""
    assert run("--check") == 1
    assert not (tmp_path / "vmlinux/x86/vmlinux.h").exists()


def test_unknown_root_is_reported(run, tmp_path, capsys):
    """A wrong name in the root list is named, with the package that lacks it."""
    config = CONFIG.replace("x86 = []", 'x86 = ["tusk"]')
    (tmp_path / "vmlinux/kernels.toml").write_text(config)

    assert run() == 2
    assert "linux-image-x does not have: tusk" in capsys.readouterr().err


def test_help_has_examples(generate, capsys):
    """--help ends with commands to copy."""
    with pytest.raises(SystemExit, match="0"):
        generate.main(["--help"])

    assert "python3 vmlinux/generate.py --check" in capsys.readouterr().out
