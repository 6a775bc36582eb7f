# SPDX-License-Identifier: Apache-2.0
"""Rules of all tests: who may be skipped, and that nothing is left open."""

from __future__ import annotations

import contextlib
import gc
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.vm.expected import configured_without
from tetragon_py.libbpf import features

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

_FORCED = os.environ.get("TETRAGON_TEST_FORCE") == "1"
# How long an example takes says how busy the machine is.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")
#: Folders whose tests load programs into the kernel.
_ROOT_FOLDERS = ("bpf", "e2e")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this user or kernel cannot do, or fail if that is wanted."""
    if _needs_root(item) and os.geteuid() != 0:
        _skip("needs root")
    for mark in item.iter_markers("kernel"):
        feature, since = mark.kwargs["feature"], mark.kwargs["since"]
        result = features.probe(feature)
        is_old = _running_kernel() < _version(since)
        if not result.available and (is_old or configured_without(feature)):
            _skip(f"{feature} needs Linux {since}: {result.reason}")


def _skip(reason: str) -> None:
    if _FORCED:
        pytest.fail(f"skipped: {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With TETRAGON_TEST_FORCE=1 a skip that the test itself asks for fails too."""
    report = yield
    if _FORCED and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
    return report


@pytest.fixture(autouse=True)
def _nothing_stays_open(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test that leaves descriptors open: files, links, maps, programs."""
    if not _needs_root(request.node):
        yield
        return
    before = _open_files()
    yield
    gc.collect()
    left = _open_files() - before
    if left:
        pytest.fail(f"left open: {sorted(left)}", pytrace=False)


def _needs_root(item: pytest.Item) -> bool:
    folder = item.path.relative_to(Path(__file__).parent).parts[0]
    return folder in _ROOT_FOLDERS


def _open_files() -> set[tuple[int, str]]:
    found = set()
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - numbers
        with contextlib.suppress(OSError):  # of the listing itself
            found.add((int(name), os.readlink(f"/proc/self/fd/{name}")))  # noqa: PTH115 - no path
    return found


def _running_kernel() -> tuple[int, ...]:
    return _version(os.uname().release)


def _version(text: str) -> tuple[int, ...]:
    found = re.match(r"(\d+)\.(\d+)", text)
    assert found, text
    return tuple(map(int, found.groups()))
