# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.cli.run: the command line becomes settings and an agent."""

from __future__ import annotations

import pytest

from tetragon_py.errors import KernelError, SettingsError, SinkError
from tetragon_py.settings import Settings, options


def test_defaults(invoke, agent):
    """Without options the agent gets the defaults and writes to standard output."""
    result = invoke("run")

    assert (result.exit_code, result.stderr) == (0, "")
    assert agent.calls == [(Settings(), True)]


def test_only_given_options_count(invoke, agent, etc_dir, monkeypatch):
    """An option that was not given does not hide the other sources."""
    (etc_dir / "a.yaml").write_text("enable-process-cred: true\nlog-level: error")
    monkeypatch.setenv("TETRAGON_PY_TIMESTAMPS", "true")
    invoke("run", "--log-level", "warning", "--no-timestamps")

    [(settings, _)] = agent.calls
    assert settings.model_dump(exclude_defaults=True) == {
        "enable_process_cred": True,
        "log_level": "warning",
    }


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--export-filename=/x"], False),
        (["--export-filename=/x", "--output=json"], True),
        (["--output=compact"], True),
    ],
)
def test_stdout_events(invoke, agent, args, expected):
    """With an export file standard output gets events only if it was asked for."""
    invoke("run", *args)

    assert [stdout_events for _, stdout_events in agent.calls] == [expected]


def test_exit_status_is_the_agents(invoke, agent):
    """What the agent returns is the exit status."""
    agent.act = lambda: 3

    assert invoke("run").exit_code == 3


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KernelError("load", 1), 1),
        (SinkError("/x", "cannot be opened"), 2),
        (SettingsError("bad"), 2),
    ],
)
def test_known_errors(invoke, agent, error, status):
    """An error of ours is one line with its own exit status."""

    def act():
        raise error

    agent.act = act
    result = invoke("run", "--log-level=debug")

    assert (result.exit_code, result.stderr) == (status, f"tetragon-py: {error}\n")


def test_needs_root(invoke, agent, monkeypatch):
    """Without root the agent is not even loaded."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    result = invoke("run")

    assert (result.exit_code, agent.calls) == (1, [])
    assert result.stderr == "tetragon-py: run needs root: start it with sudo\n"


def test_configuration_is_judged_before_root(invoke, agent, etc_dir, monkeypatch):
    """A wrong configuration is found by anybody; all mistakes come together."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    (etc_dir / "a.yaml").write_text("outptu: json")
    result = invoke("run", "--policy-ring-size", "5000", "--log-level=loud")

    assert (result.exit_code, agent.calls) == (2, [])
    assert result.stderr == (
        f"tetragon-py: {etc_dir}/a.yaml:1:1: unknown key 'outptu', did you mean "
        "'output'?\n"
        "command line: --policy-ring-size: '5000' is not allowed, only a power of two "
        "from 4K to 1G, such as 8192, 64K or 1G\n"
        "command line: --log-level: 'loud' is not allowed, only debug, info, warning "
        "or error\n"
    )


def test_help(invoke):
    """The help has every option with default and variable, and examples."""
    result = invoke("run", "--help")

    assert (result.exit_code, result.stderr) == (0, "")
    words = "".join(result.stdout.split())
    for option in options():
        assert f"--{option.name}" in words
        assert f"[env:{option.variable}" in words
        if option.default:
            assert f"{option.variable};default:{option.default}]" in words
    assert "    sudo tetragon-py run --output compact --timestamps\n" in result.stdout
