# SPDX-License-Identifier: Apache-2.0
"""What the tests of a guest did: a pytest plugin that writes it, a reader of that.

The plugin (`-p tests.vm.results`) writes one JSON line per event into the file of
TETRAGON_TEST_RESULTS at once, so that a guest that dies in a test says in which.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

__all__ = ["RESULTS_VARIABLE", "Results", "read_results"]

RESULTS_VARIABLE = "TETRAGON_TEST_RESULTS"
_REASON_MAX = 300


@dataclass(slots=True)
class Results:
    """The tests of one guest; failed and skipped ones with their reasons."""

    passed: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    measured: dict[str, float] = field(default_factory=dict)  # record_property()
    unfinished: str = ""  # the test that ran when the guest died
    is_complete: bool = False


def read_results(path: Path) -> Results:
    """The results of a file; those of no file are empty and not complete."""
    results = Results()
    outcomes: dict[str, str] = {}
    text = path.read_text() if path.exists() else ""
    for line in text.splitlines():
        try:
            event = json.loads(line)
        except json.JSONDecodeError:  # cut by the guest's death
            continue
        _take(event, results, outcomes)
    results.passed = sum(outcome == "passed" for outcome in outcomes.values())
    return results


def _take(event: dict[str, Any], results: Results, outcomes: dict[str, str]) -> None:
    test = event.get("test", "")
    match event["event"]:
        case "start":
            results.unfinished = test
        case "finish":
            results.unfinished = ""
        case "end":
            results.is_complete = True
        case "outcome":
            outcome = event["outcome"]
            if outcomes.get(test) != "failed":  # a failing teardown follows a pass
                outcomes[test] = outcome
            if outcome == "failed":
                results.failed.setdefault(test, event["reason"])
            elif outcome == "skipped":
                results.skipped[test] = event["reason"]
            results.measured.update(event.get("measured", {}))


# ---- the plugin ----


def pytest_runtest_logstart(nodeid: str) -> None:
    """A test begins."""
    _write(event="start", test=nodeid)


def pytest_runtest_logfinish(nodeid: str) -> None:
    """A test is over, its teardown too."""
    _write(event="finish", test=nodeid)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """What counts of set-up, call and teardown."""
    if report.when == "call" or not report.passed:
        measured = {
            str(name): value
            for name, value in report.user_properties
            if isinstance(value, (int, float))
        }
        _write(
            event="outcome",
            test=report.nodeid,
            outcome=report.outcome,
            reason=_reason(report),
            measured=measured,
        )


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """A file that cannot be imported is a failure too."""
    if report.failed:
        reason = _reason(report)
        _write(event="outcome", test=report.nodeid, outcome="failed", reason=reason)


def pytest_sessionfinish() -> None:
    """All tests ran."""
    _write(event="end")


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    if report.passed:
        return ""
    if isinstance(report.longrepr, tuple):  # of a skip: file, line, reason
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash else str(report.longrepr).strip()
    if report.when == "collect":  # a whole traceback: its last line says why
        text = text.splitlines()[-1]
    return " ".join(text.removeprefix("Failed: ").split())[:_REASON_MAX]


def _write(**event: object) -> None:
    path = os.environ.get(RESULTS_VARIABLE)
    if path:
        with Path(path).open("a") as file:
            file.write(json.dumps(event) + "\n")
