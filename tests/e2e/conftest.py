# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: triggers, a file system of their own, one agent."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.agent import ROOT, Agent

if TYPE_CHECKING:
    from collections.abc import Iterator

_SOURCES = Path(__file__).parent / "triggers"
_BUILT = ROOT / "build" / "triggers"
_COMPILE = ["cc", "-static", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread"]
#: All that an event can show, but for what makes each one ten times as long.
ALL_FIELDS = (
    "--fields=extended",
    "--enable-process-cred",
    "--enable-process-ns",
    "--enable-process-environment-variables",
    "--filter-environment-variables=TPY_ONE,TPY_TWO",
)


@pytest.fixture(scope="session")
def arena() -> Iterator[Path]:
    """A tmpfs of the tests: set-id bits and file capabilities work, inodes compare."""
    # not below pytest's own folder, where other users may not look
    folder = Path(tempfile.mkdtemp(prefix="tetragon-py-"))
    folder.chmod(0o755)
    mount = ["mount", "-t", "tmpfs", "-o", "mode=755", "arena", str(folder)]
    subprocess.run(mount, check=True)
    yield folder
    subprocess.run(["umount", "--recursive", "--lazy", folder], check=True)
    folder.rmdir()


@pytest.fixture(scope="session")
def triggers(arena: Path) -> Path:
    """The folder with the compiled triggers, by the names of their sources."""
    _BUILT.mkdir(parents=True, exist_ok=True)
    folder = arena / "triggers"
    folder.mkdir()
    headers = max(header.stat().st_mtime for header in _SOURCES.glob("*.h"))
    for source in sorted(_SOURCES.glob("*.c")):
        binary = _BUILT / source.stem
        newest = max(headers, source.stat().st_mtime)
        if not binary.exists() or binary.stat().st_mtime < newest:
            subprocess.run([*_COMPILE, str(source), "-o", str(binary)], check=True)
        shutil.copy(binary, folder)
    return folder


@pytest.fixture(scope="session")
def running_agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """One agent that shows everything, for all tests that need no special one."""
    with Agent(tmp_path_factory.mktemp("agent"), *ALL_FIELDS) as running:
        yield running
        assert running.stop() == 0


@pytest.fixture
def agent(running_agent: Agent) -> Agent:
    """The same, without the events of the test before."""
    running_agent.forget()
    return running_agent


@pytest.fixture
def scratch(arena: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """An empty folder on the tests' own file system."""
    folder = arena / f"{abs(hash(request.node.nodeid)):x}"
    folder.mkdir()
    yield folder
    subprocess.run(
        ["rm", "-rf", folder], check=True
    )  # deeper than shutil.rmtree can go
