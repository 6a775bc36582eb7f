# SPDX-License-Identifier: Apache-2.0
"""Tests of tests.vm.results: what pytest did is what is read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.vm.results import RESULTS_VARIABLE, read_results

ROOT = Path(__file__).parents[3]
TESTS = """
import pytest

def test_good(record_property):
    record_property("start_seconds", 1.5)

def test_skipped():
    pytest.skip("too old")

def test_bad():
    assert 1 == 2, "one is not two"

@pytest.fixture
def leaks():
    yield
    pytest.fail("left open", pytrace=False)

def test_bad_teardown(leaks):
    pass
"""


def run(folder, text):
    """The results of a test file."""
    (folder / "test_it.py").write_text(text)
    results = folder / "results.jsonl"
    subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "tests.vm.results"),
            *("-p", "no:cacheprovider", "--rootdir", folder, "-c", os.devnull, folder),
        ],
        cwd=ROOT,
        env={**os.environ, RESULTS_VARIABLE: str(results)},
        capture_output=True,
        check=False,
    )
    return read_results(results)


def test_session(tmp_path):
    """Every test is counted once, with its reason; measurements are kept."""
    results = run(tmp_path, TESTS)

    assert results.passed == 1
    assert results.skipped == {"test_it.py::test_skipped": "too old"}
    assert list(results.failed) == [
        "test_it.py::test_bad",
        "test_it.py::test_bad_teardown",
    ]
    assert "one is not two" in results.failed["test_it.py::test_bad"]
    assert results.failed["test_it.py::test_bad_teardown"] == "left open"
    assert results.measured == {"start_seconds": 1.5}
    assert results.is_complete
    assert not results.unfinished


def test_file_that_cannot_be_imported(tmp_path):
    """An error at collection is a failure."""
    results = run(tmp_path, "import no_such_module")

    assert "no_such_module" in results.failed["test_it.py"]


def test_death_in_a_test(tmp_path):
    """Without an end the running test is known; a cut line does no harm."""
    file = tmp_path / "results.jsonl"
    start = json.dumps({"event": "start", "test": "t.py::test_panic"})
    file.write_text(start + '\n{"event": "outc')
    results = read_results(file)

    assert results.unfinished == "t.py::test_panic"
    assert not results.is_complete


def test_no_file(tmp_path):
    """A guest that never ran pytest has no results."""
    results = read_results(tmp_path / "none")

    assert (results.passed, results.is_complete) == (0, False)
