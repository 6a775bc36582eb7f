# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.cli.completion: scripts for the shells."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script(invoke, shell):
    """Each shell gets a script that asks tetragon-py for the words."""
    result = invoke("completion", shell)

    assert result.exit_code == 0
    assert f"_TETRAGON_PY_COMPLETE={shell}_complete" in result.stdout


def test_unknown_shell(invoke):
    """Another shell is a usage error."""
    assert invoke("completion", "ksh").exit_code == 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("tetragon-py ver", "plain,version\n"),
        ("tetragon-py run --log-level w", "plain,warning\n"),
        ("tetragon-py run --policy-r", "plain,--policy-ring-size\n"),
    ],
)
def test_script_gets_its_words(words, expected):
    """What the script asks for is answered."""
    variables = {
        "_TETRAGON_PY_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-c", "from tetragon_py.cli import main; main()"],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.stderr) == (expected, "")
