# SPDX-License-Identifier: Apache-2.0
"""Starts that cannot work end at once, with one line that says why."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.agent import ROOT, SLOWNESS

if TYPE_CHECKING:
    from pathlib import Path


def _run(*options: str, **popen: Any) -> tuple[int, str]:
    command = [sys.executable, "-m", "tetragon_py", "run", *options]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=20 * SLOWNESS,
        check=False,
        **popen,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


def _assert_one_line(text: str) -> None:
    assert "Traceback" not in text
    assert text.startswith("tetragon-py: ")
    assert text.count("\n") == 1
    assert text.endswith("\n")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--no-such-option"], "No such option"),
        (["--lifecycle-ring-size", "5000"], "power of two"),
        (["--output", "xml"], "json or compact"),
        (["--export-filename", "/"], "directory"),
        (["--export-filename", "/no/such/file"], "does not exist"),
        (["--config-dir", "/no/such"], "No such file"),
        (["surplus"], "surplus"),
    ],
)
def test_usage(options: list[str], words: str) -> None:
    """Mistakes of usage and configuration end with status 2."""
    status, text = _run(*options)

    _assert_one_line(text)
    assert (status, words in text) == (2, True), text


def test_unknown_key_in_file(tmp_path: Path) -> None:
    """An unknown key of a file is named with the file and the nearest known key."""
    (tmp_path / "x.yaml").write_text("log-levle: debug\n")
    status, text = _run("--config-dir", str(tmp_path))

    _assert_one_line(text)
    assert status == 2
    assert f"{tmp_path}/x.yaml" in text
    assert "'log-level'" in text


def test_unknown_variable() -> None:
    """So is an unknown variable of our own prefix."""
    status, text = _run(env={**os.environ, "TETRAGON_PY_LOG_LEVLE": "debug"})

    _assert_one_line(text)
    assert (status, "TETRAGON_PY_LOG_LEVEL" in text) == (2, True), text


def test_not_root() -> None:
    """Without root the status is 1, and the line says what to do."""
    # the interpreter may live where only root can look
    options: dict[str, Any] = {"user": 65534, "group": 65534, "extra_groups": []}
    try:
        subprocess.run([sys.executable, "-c", ""], check=True, cwd=ROOT, **options)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("another user cannot run this interpreter")
    status, text = _run(**options)

    _assert_one_line(text)
    assert (status, "root" in text) == (1, True), text


def test_no_capabilities() -> None:
    """Root that may not load programs ends with status 1 and the kernel's reason."""
    command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    done = subprocess.run(
        [*command, sys.executable, "-m", "tetragon_py", "run"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=20 * SLOWNESS,
        check=False,
    )

    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert (done.returncode, last.startswith("tetragon-py: ")) == (1, True), done.stderr
    assert "EPERM" in last or "not permitted" in last
