# SPDX-License-Identifier: Apache-2.0
"""Tests of tests.vm.report: the tables and what counts as a problem."""

from __future__ import annotations

import pytest

from tests.vm.guest import Outcome
from tests.vm.kernels import Kernel, PackageSet, load_kernels
from tests.vm.report import Row, problems, results_table, support_table
from tests.vm.results import Results
from tests.vm.runner import ROOT

GOOD = Outcome(status=0, boot_seconds=2.34, seconds=99.9, problem="")
NO_PACKAGES = PackageSet((), {})


def row(outcome=GOOD, **results):
    return Row("5.10", "5.10.0-46", outcome, Results(is_complete=True, **results))


def test_good_row():
    """A line with all numbers, and the reasons of skips with their counts."""
    good = row(
        passed=7,
        skipped={"a": "too old", "b": "too old"},
        measured={"start_seconds": 5.06},
    )

    assert results_table([good]).splitlines() == [
        "kernel  release    boot s  start s  passed  skipped  failed  all s",
        "5.10    5.10.0-46     2.3      5.1       7        2       0    100",
        "skipped on 5.10: 2 x too old",
    ]
    assert good.is_good


def test_failed_test():
    """A failure is told with kernel, test and reason."""
    bad = row(Outcome(1, 2, 3, ""), failed={"t.py::test_x": "1 == 2"})

    assert results_table([bad]).splitlines()[-1] == (
        "failed on 5.10: t.py::test_x: 1 == 2"
    )
    assert not bad.is_good


@pytest.mark.parametrize(
    ("outcome", "results", "problem"),
    [
        (Outcome(1, 2, 3, ""), Results(), "5.10: pytest did not get to its end"),
        (
            Outcome(5, 2, 3, ""),
            Results(is_complete=True),
            "5.10: pytest ended with status 5",
        ),
        (
            Outcome(124, None, 3, "it hangs\n--- x"),
            Results(),
            "5.10: it hangs",
        ),
    ],
)
def test_guest_that_failed(outcome, results, problem):
    """A guest that brings no results is a problem in one line."""
    assert problems(Row("5.10", "", outcome, results)) == [problem]


def test_guest_that_died_in_a_test():
    """The test is named."""
    dead = Row("5.10", "", Outcome(125, 2, 3, "the guest died\n..."), Results())
    dead.results.unfinished = "t.py::test_panic"

    assert problems(dead) == ["5.10: the guest died", "5.10: in t.py::test_panic"]


def test_no_boot():
    """What was not measured is a dash."""
    lines = results_table([row(Outcome(125, None, 3, "died"))]).splitlines()

    assert lines[1].split()[2:4] == ["-", "-"]


def test_support():
    """Features that differ are rows; the rest is two sentences."""
    old, new = PackageSet(("old",), {}), PackageSet(("new",), {})
    kernels = [
        Kernel("5.10", old, frozenset({"all"}), {}),
        Kernel("6.1", new, frozenset({"all", "new"}), {}),
    ]
    titles = {"all": "old thing", "new": "new thing", "never": "no thing"}

    assert support_table(kernels, titles, ["all"]) == (
        "| | 5.10 (old) | 6.1 (new) |\n"
        "|---|---|---|\n"
        "| process events | yes | yes |\n"
        "| new thing (`new`) | no | yes |\n\n"
        "On all of them: `all`.\n\n"
        "On none of them: `never`."
    )


def test_readme_shows_this_table():
    """The README's table is what `python -m tests.vm --support-table` prints."""
    features = pytest.importorskip("tetragon_py.libbpf.features")
    titles = {name: feature.title for name, feature in features.FEATURES.items()}
    kernels = load_kernels().kernels.values()
    table = support_table(kernels, titles, features.REQUIRED)
    readme = (ROOT / "README.md").read_text()

    assert table.splitlines()[0] not in readme or table in readme
