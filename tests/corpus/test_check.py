# SPDX-License-Identifier: Apache-2.0
"""`tetragon-py policy check` finds no mistake in what others have published."""

from __future__ import annotations

import subprocess
import sys

from tests.corpus.folder import CORPUS
from tests.corpus.policies import corpus_files
from tests.e2e.agent import ROOT, SLOWNESS


def test_all_files_are_right() -> None:
    """As they are published, with placeholders: notes, warnings, and no error."""
    files = [str(CORPUS / file) for file in corpus_files()]
    done = subprocess.run(
        [sys.executable, "-m", "tetragon_py", "policy", "check", *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30 * SLOWNESS,
        check=False,
    )
    said = (done.stderr + done.stdout).splitlines()
    assert [line for line in said if ": error:" in line] == []
    assert done.returncode == 0
    # who has a placeholder is no policy yet
    count = sum(b"${" not in (CORPUS / file).read_bytes() for file in corpus_files())
    assert any(line.startswith(f"{count} policies are right") for line in said)
