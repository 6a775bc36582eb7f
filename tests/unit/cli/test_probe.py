# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.cli.probe: results to a table, JSON and an exit status."""

from __future__ import annotations

import json
import os

import pytest
import structlog

from tetragon_py.libbpf import features
from tetragon_py.libbpf.features import FEATURES, ProbeResult


@pytest.fixture
def kernel(monkeypatch):
    """A kernel that has everything but what is in `kernel`; asked by root."""
    missing: set[str] = set()

    def probe_all():
        return [
            ProbeResult(
                name,
                feature.title,
                feature.since,
                name not in missing,
                "EPERM at load: not permitted" if name in missing else "loaded",
            )
            for name, feature in FEATURES.items()
        ]

    monkeypatch.setattr(features, "probe_all", probe_all)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    yield missing
    structlog.reset_defaults()


def test_table(invoke, kernel):
    """Every feature has its line, below the heading of its group."""
    kernel.add("fentry")
    result = invoke("probe")
    lines = result.stdout.splitlines()

    assert result.exit_code == 0
    assert lines[0] == f"Linux {os.uname().release}, {os.uname().machine}"
    assert [line.split(":")[0] for line in lines if line[:1].isalpha()] == [
        lines[0].split(":")[0],
        "base",
        "hooks",
        "enforcement",
        "helpers",
        "process events",
    ]
    names = [line.split()[1] for line in lines if line.startswith("  ")]
    assert names == list(FEATURES)
    (fentry,) = (line for line in lines if " fentry " in line)
    assert " ".join(fentry.split()) == (
        "no fentry 5.5 kernel functions by trampoline EPERM at load: not permitted"
    )


def test_table_is_plain_in_a_pipe(invoke, kernel):
    """What is not a terminal gets no colours."""
    assert "\x1b" not in invoke("probe").stdout


def test_table_is_coloured_on_a_terminal(invoke, kernel, monkeypatch):
    """A terminal gets green and red, unless NO_COLOR says otherwise."""
    kernel.add("fentry")
    monkeypatch.setattr("tetragon_py.cli.probe._on_terminal", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = invoke("probe").stdout

    assert "\x1b[32myes\x1b[0m  kernel_btf" in text
    assert "\x1b[31mno \x1b[0m  fentry" in text
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in invoke("probe").stdout


def test_last_line(invoke, kernel):
    """The last line says in words what the kernel can do."""
    kernel |= {"fentry", "kprobe", "lsm", "fmod_ret", "override_return"}

    assert invoke("probe").stdout.splitlines()[-1] == (
        "process events: yes; kernel functions: no (none of fentry, kprobe); "
        "system calls: yes (by sys_enter); user functions: yes (by uprobe); "
        "kill: yes (by send_signal); "
        "deny: no (none of lsm, fmod_ret, override_return)"
    )


@pytest.mark.parametrize("name", features.REQUIRED)
def test_without_what_is_needed(invoke, kernel, name):
    """Without what process events need the status is 1, and the last line says why."""
    kernel.add(name)
    result = invoke("probe")

    assert result.exit_code == 1
    last = result.stdout.splitlines()[-1]
    assert last.startswith(f"process events: no (without {name}); ")
    assert result.stderr == ""


def test_json(invoke, kernel):
    """The JSON is one object with the same content and the same status."""
    kernel.add("tp_btf")
    result = invoke("probe", "--output", "json")
    answer = json.loads(result.stdout)

    assert result.exit_code == 1
    assert list(answer) == ["kernel", "architecture", "features"]
    assert answer["kernel"] == os.uname().release
    assert answer["architecture"] == os.uname().machine
    assert [feature["name"] for feature in answer["features"]] == list(FEATURES)
    assert answer["features"][2] == {
        "group": "base",
        "name": "tp_btf",
        "title": "typed tracepoints",
        "since": "5.5",
        "available": False,
        "reason": "EPERM at load: not permitted",
    }


def test_needs_root(invoke, monkeypatch):
    """Another user gets one line and no table."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    result = invoke("probe")

    assert result.exit_code == 1
    assert (result.stdout, result.stderr) == (
        "",
        "tetragon-py: probe needs root: start it with sudo\n",
    )


def test_help_has_examples(invoke):
    """The help shows how it is used."""
    text = invoke("probe", "--help").stdout

    assert "Examples:\n" in text
    assert "sudo tetragon-py probe --output json" in text
