# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.cli.root: verbs are found late, failures are one line."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from tetragon_py import __version__
from tetragon_py.cli import main
from tetragon_py.cli.root import _VERBS, _print_error

HEAVY = ("pydantic", "pydantic_settings", "yaml", "structlog", "orjson")


def modules_after(code):
    """Return what an own interpreter has imported after `code`."""
    code += "\nimport sys; print(*sorted(sys.modules), sep='\\n', file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return set(done.stderr.split("\n"))


@pytest.mark.parametrize(
    "code",
    [
        "import tetragon_py.cli",
        "from tetragon_py.cli import main\ntry: main(['--help'])\nexcept SystemExit: 0",
        (
            "from tetragon_py.cli import main\ntry: main(['version'])\n"
            "except SystemExit: 0"
        ),
    ],
)
def test_start_is_light(code):
    """Without the verb run nothing heavy is imported."""
    loaded = modules_after(code)

    assert {name for name in HEAVY if name in loaded} == set()


def test_import_does_not_load_libbpf():
    """Importing the command line loads neither libbpf nor a verb."""
    loaded = modules_after("import tetragon_py.cli")

    ours = {name for name in loaded if name.startswith("tetragon_py.")}
    assert ours == {"tetragon_py.cli", "tetragon_py.cli.root", "tetragon_py.errors"}


def test_help_lists_verbs(invoke):
    """The help shows every verb with its short text."""
    result = invoke("--help")

    assert result.exit_code == 0
    for verb, text in _VERBS.items():
        assert f"  {verb} " in result.stdout
        assert text in result.stdout


@pytest.mark.parametrize(
    "verb", ["run", "install-service", "uninstall-service", "version", "completion"]
)
def test_short_help_is_the_verbs_own(verb):
    """The text in the list is the first sentence of the verb's own help."""
    command = main.get_command(click.Context(main), verb)

    assert command is not None
    assert (command.name, bool(command.help)) == (verb, True)
    assert str(command.help).split("\n")[0] == _VERBS[verb]


def test_no_verb(invoke):
    """Without a verb the help goes to standard error, as a usage error."""
    result = invoke()

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: tetragon-py")


def test_version_option(invoke):
    """--version prints one line."""
    assert invoke("--version").stdout == f"tetragon-py {__version__}\n"


@pytest.mark.parametrize(
    ("args", "near"),
    [
        (["vrsion"], "'version'"),
        (["--versoin"], "--version"),
        (["run", "--outptu=json"], "--output"),
        (["run", "--lifecycle-ring", "--x"], "--lifecycle-ring-size"),
    ],
)
def test_unknown_word(invoke, args, near):
    """An unknown verb or option is one line with the nearest one, status 2."""
    result = invoke(*args)

    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert result.stderr.startswith("tetragon-py: ")
    assert near in result.stderr
    assert "--help'" in result.stderr


def test_broken_pipe_is_quiet(invoke, agent):
    """When the reader of standard output goes, nothing is said."""

    def act():
        raise BrokenPipeError(32, "Broken pipe")

    agent.act = act
    result = invoke("run")

    assert (result.exit_code, result.stderr) == (1, "")


def test_broken_pipe_of_the_process():
    """A closed standard output leaves no traceback either."""
    code = "from tetragon_py.cli import main; main()"
    command = f"{sys.executable} -c '{code}' version | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=True
    )

    assert done.stderr == ""


def test_interrupt(invoke, agent):
    """An interrupt before the agent handles signals ends with 130."""

    def act():
        raise KeyboardInterrupt

    agent.act = act
    result = invoke("run")

    assert result.exit_code == 130
    assert "Traceback" not in result.stderr


def test_internal_error(invoke, agent):
    """What nobody foresaw is one line, without a traceback."""

    def act():
        raise RuntimeError("first\nsecond")

    agent.act = act
    result = invoke("run")

    assert result.exit_code == 1
    assert result.stderr == (
        "tetragon-py: internal error: RuntimeError: first second; "
        "run with --log-level debug for details\n"
    )


@pytest.mark.parametrize("source", ["option", "file"])
def test_internal_error_with_debug(invoke, agent, etc_dir, source):
    """At debug level the traceback comes too, whoever asked for that level."""
    agent.act = lambda: 1 // 0
    args = ["run"]
    if source == "option":
        args.append("--log-level=debug")
    else:
        (etc_dir / "a.yaml").write_text("log-level: debug")
    result = invoke(*args)

    assert result.exit_code == 1
    assert result.stderr.startswith("Traceback")
    assert "tetragon-py: internal error: ZeroDivisionError" in result.stderr


@pytest.mark.parametrize(
    ("terminal", "no_color", "expected"),
    [
        (True, "", "\x1b[31mtetragon-py: no\x1b[0m\n"),
        (True, "1", "tetragon-py: no\n"),
        (False, "", "tetragon-py: no\n"),
    ],
)
def test_color(monkeypatch, capsys, terminal, no_color, expected):
    """Errors are red on a terminal, unless NO_COLOR is set."""
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    _print_error("no")

    assert capsys.readouterr().err == expected


def test_completing_a_verb_imports_none():
    """The shell gets verbs and their texts without the cost of a verb."""
    ctx = click.Context(main)
    words = {item.value: item.help for item in main.shell_complete(ctx, "ver")}

    assert words == {"version": _VERBS["version"]}
