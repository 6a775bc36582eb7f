# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.cli.policy_library: list, show, enable and disable."""

from __future__ import annotations

import functools
import json

import click
import pytest

from tetragon_py.cli import policy_library
from tetragon_py.policy.catalog import LIBRARY, load_library
from tetragon_py.policy.source import load_policies
from tetragon_py.settings import load_settings

POLICIES = load_library()


@pytest.fixture
def library(invoke):
    """Run a command of the library."""
    return functools.partial(invoke, "policy", "library")


@pytest.fixture
def folder(tmp_path):
    """Where policies are enabled, as an option."""
    return tmp_path / "policies"


def names(result):
    assert result.exit_code == 0
    return [line.split()[0] for line in result.stdout.splitlines()[1:]]


def enabled(folder):
    return sorted(path.name for path in folder.iterdir())


def mode_of(path):
    [loaded] = load_policies([path], trusted=True).policies
    return str(loaded.policy.options.policy_mode)


# ---- list and show ----


def test_list(library):
    """All policies, one per line in columns, plain in a pipe."""
    result = library("list")
    first, *lines = result.stdout.splitlines()
    line = next(line for line in lines if line.startswith("cron-write "))

    assert names(result) == list(POLICIES)
    assert first.split() == ["NAME", "TACTIC", "ATT&CK", "EFFECT", "DESCRIPTION"]
    assert line.split()[:4] == ["cron-write", "persistence", "T1053.003", "blocks"]
    assert line.endswith(f"  {POLICIES['cron-write'].description}")
    assert line.index("blocks") == first.index("EFFECT")
    assert "\x1b" not in result.stdout


def test_list_tells_the_kernel(library):
    """What needs a younger kernel says so."""
    [line] = [li for li in library("list").stdout.splitlines() if "io-uring " in li]

    assert line.endswith(" (Linux 6.1)")


def test_colors(library, monkeypatch):
    """On a terminal effects have colours; not with NO_COLOR."""
    monkeypatch.setattr(policy_library, "_is_terminal", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[31mblocks " in library("list").stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in library("list").stdout


@pytest.mark.parametrize("word", ["persistence", "Persistence"])
def test_tactic(library, word):
    """Those against a tactic."""
    wanted = [n for n, p in POLICIES.items() if "persistence" in p.tactics]

    assert names(library("list", "--tactic", word)) == wanted
    assert 0 < len(wanted) < len(POLICIES)


def test_tactic_in_two_words(library):
    """As ATT&CK writes it."""
    assert names(library("list", "--tactic", "Defense Evasion")) == names(
        library("list", "--tactic", "defense-evasion")
    )


def test_technique(library):
    """Those against a technique and those below it, in any case."""
    assert names(library("list", "--id", "t1055")) == [
        "process-attach",
        "process-memory-write",
        "process-vm-write",
    ]
    assert names(library("list", "--id", "T1055.009")) == ["process-memory-write"]


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--tactic", "persistance", "'persistance': did you mean 'persistence'?"),
        ("--tactic", "x", "against the tactic 'x': allowed: "),
        ("--id", "T1098.001", "did you mean 'T1098.004'?"),
        ("--id", "x", "against the technique 'X'"),
    ],
)
def test_unknown_filter(library, option, value, said):
    """A filter that nothing can pass is a mistake, with the nearest name."""
    result = library("list", option, value)

    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_json(library):
    """Objects for scripts, without the text."""
    [found] = json.loads(library("list", "--id", "T1620", "--json").stdout)

    assert found == {
        "name": "memory-exec",
        "description": POLICIES["memory-exec"].description,
        "tactics": ["defense-evasion"],
        "techniques": ["T1620"],
        "effect": "blocks",
        "kernel": "",
    }


def test_show(library):
    """The YAML as it is."""
    expected = (LIBRARY / "egress.yaml").read_text()

    assert library("show", "egress").stdout == expected


# ---- enable ----


def test_enable(library, folder):
    """Files that the agent accepts; monitor mode, and how to block."""
    result = library("enable", "cron-write", "egress", "--dir", str(folder))

    assert result.exit_code == 0
    assert enabled(folder) == ["cron-write.yaml", "egress.yaml"]
    assert mode_of(folder / "cron-write.yaml") == "monitor"
    assert result.stdout.splitlines() == [
        f"cron-write: enabled (monitor mode) in {folder}/cron-write.yaml",
        f"egress: enabled (detects) in {folder}/egress.yaml",
        "what would be blocked is reported only; to block it:",
        f"  tetragon-py policy library enable cron-write --mode enforce --dir {folder}",
        "the agent loads policies at its start",
    ]


def test_enable_tells_the_kernel(library, folder):
    """An agent refuses what its kernel has not: that is told before."""
    result = library("enable", "io-uring", "--dir", str(folder))

    assert f"needs Linux 6.1: `policy check {folder}/io-uring.yaml`" in result.stdout


def test_enforce(library, folder):
    """Another mode is no change of the file."""
    library("enable", "cron-write", "--dir", str(folder))
    result = library("enable", "cron-write", "--mode", "enforce", "--dir", str(folder))

    assert mode_of(folder / "cron-write.yaml") == "enforce"
    assert "to block it" not in result.stdout


def test_the_default_folder(library, tmp_path, monkeypatch):
    """Without --dir that of the agent's settings."""
    monkeypatch.setenv("TETRAGON_PY_TRACING_POLICY_DIR", str(tmp_path / "own"))
    load = functools.partial(load_settings, etc_dir=tmp_path)
    monkeypatch.setattr("tetragon_py.settings.load_settings", load)
    library("enable", "kexec")

    assert enabled(tmp_path / "own") == ["kexec.yaml"]


@pytest.mark.parametrize("command", ["enable", "disable"])
def test_changed(library, folder, command):
    """What somebody has changed stays, and nothing else is done; --force does it."""
    library("enable", "cron-write", "kexec", "--dir", str(folder))
    changed, other = folder / "cron-write.yaml", folder / "kexec.yaml"
    changed.write_text(changed.read_text() + "# mine\n")
    before = other.stat().st_ino
    arguments = (command, "kexec", "cron-write", "--dir", str(folder))
    result = library(*arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert f"changed by somebody: {changed}; --force" in result.stderr
    assert changed.read_text().endswith("# mine\n")
    assert other.stat().st_ino == before

    assert library(*arguments, "--force").exit_code == 0
    assert not changed.exists() or not changed.read_text().endswith("# mine\n")


def test_disable(library, folder):
    """Only what is named goes."""
    library("enable", "cron-write", "kexec", "--dir", str(folder))
    result = library("disable", "kexec", "--dir", str(folder))

    assert result.exit_code == 0
    assert result.stdout == f"kexec: disabled, {folder}/kexec.yaml is removed\n"
    assert enabled(folder) == ["cron-write.yaml"]


def test_disable_what_is_not_enabled(library, folder):
    """It is told, and nothing is removed."""
    library("enable", "kexec", "--dir", str(folder))
    result = library("disable", "kexec", "egress", "--dir", str(folder))

    assert result.exit_code == 2
    assert f"egress is not enabled: there is no {folder}/egress.yaml" in result.stderr
    assert enabled(folder) == ["kexec.yaml"]


def test_no_permission(library, folder):
    """A folder that is none is a failure in one line."""
    folder.write_text("")
    (folder.parent / "x").mkdir()
    result = library("enable", "kexec", "--dir", str(folder / "below"))

    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "cannot be written: Not a directory" in result.stderr


# ---- names and help ----


@pytest.mark.parametrize("command", ["show", "enable", "disable"])
def test_unknown_name(library, command, folder):
    """The nearest name is told, or where they are listed."""
    options = [] if command == "show" else ["--dir", str(folder)]
    near = library(command, "cron-writ", *options)
    far = library(command, "zzz", *options)

    assert (near.exit_code, far.exit_code) == (2, 2)
    assert "no policy 'cron-writ': did you mean 'cron-write'?" in near.stderr
    assert "no policy 'zzz': see `tetragon-py policy library list`" in far.stderr
    assert not folder.exists()


@pytest.mark.parametrize("command", ["list", "show", "enable", "disable"])
def test_help(library, command):
    """Each has examples that begin with the command."""
    text = library(command, "--help").stdout

    assert "Example" in text
    assert f"tetragon-py policy library {command}" in text


def test_completion():
    """Names complete."""
    context = click.Context(policy_library.library)
    found = policy_library._complete(context, click.Option(["--x"]), "process-")

    assert found == ["process-attach", "process-memory-write", "process-vm-write"]
