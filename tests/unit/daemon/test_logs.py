# SPDX-License-Identifier: Apache-2.0
"""The agent's log: on standard error, in the form and from the level that is set."""

from __future__ import annotations

import json
import os

import pytest
import structlog

from tetragon_py.daemon.logs import configure_logging, set_log_level
from tetragon_py.settings import Settings


@pytest.fixture(autouse=True)
def _configured_once():
    yield
    structlog.reset_defaults()


def configured(**settings):
    configure_logging(Settings(**settings))
    return structlog.get_logger("test")


def test_json(capsys):
    """One object per line, with level and time; what is no JSON becomes text."""
    configured(log_format="json").warning("events lost", exec=3, path=ValueError("x"))
    out, err = capsys.readouterr()
    told = json.loads(err)

    assert out == ""
    assert told.pop("timestamp").endswith("Z")
    assert told == {"event": "events lost", "level": "warning", "exec": 3, "path": "x"}


def test_text(capsys):
    """For people: a line without colours when nobody looks at a terminal."""
    configured(log_format="text", color="auto").info("agent runs", processes=7)
    err = capsys.readouterr().err

    assert "agent runs" in err
    assert "processes=7" in err
    assert "\x1b" not in err


def test_color(capsys):
    """Colours when they are asked for."""
    configured(log_format="text", color="always").info("agent runs")

    assert "\x1b" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("level", "told"),
    [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)],
)
def test_level(capsys, level, told):
    """What is below the level is not told."""
    log = configured(log_format="json", log_level=level)
    for each in ("debug", "info", "warning", "error"):
        getattr(log, each)(each)

    assert told == capsys.readouterr().err.count("\n")


def test_the_level_changes_later(capsys):
    """Of loggers that are in use too."""
    log = configured(log_format="json", log_level="error")
    for level in ("error", "debug", "warning"):
        set_log_level(level)
        log.debug("a")
        log.warning("b")

    assert capsys.readouterr().err.count("\n") == 3


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_exceptions_are_told(capsys, log_format):
    """A traceback is in the log, in both forms."""
    log = configured(log_format=log_format)
    try:
        int("what happened")
    except ValueError:
        log.exception("failed")

    assert "what happened" in capsys.readouterr().err


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_journal(capfd, monkeypatch, log_format):
    """The journal gets the severity of each line, and no time: it has its own."""
    found = os.fstat(2)
    monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
    log = configured(log_format=log_format, log_level="debug")
    for each in ("debug", "info", "warning", "error"):
        getattr(log, each)("what happened")
    lines = capfd.readouterr().err.splitlines()

    assert [line[:3] for line in lines] == ["<7>", "<6>", "<4>", "<3>"]
    assert all("what happened" in line and "20" not in line for line in lines)


def test_journal_of_another_stream(capfd, monkeypatch):
    """Standard error that was sent elsewhere is no journal."""
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    configured().warning("what happened")

    assert not capfd.readouterr().err.startswith("<")
