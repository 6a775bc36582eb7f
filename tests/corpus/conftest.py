# SPDX-License-Identifier: Apache-2.0
"""What the tests share: the corpus, one kernel side, a file system, a few programs."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog

from tests.corpus.folder import CORPUS
from tests.corpus.kernel_side import KernelSide
from tests.corpus.triggers.system import Place
from tests.vm.expected import guest_kernel
from tetragon_py.libbpf import features

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What policies name and this host lacks: copies of what it has. In guests only.
_PROGRAMS = {
    "/usr/sbin/sshd": Path(sys.executable).resolve(),
    "/usr/bin/sample-exec": Path("/usr/bin/true"),
}


@pytest.fixture(scope="session", autouse=True)
def _corpus() -> None:
    """Without root or corpus there is nothing to test."""
    if not CORPUS.is_dir():
        pytest.skip(f"no folder {CORPUS}: set TETRAGON_CORPUS")


@pytest.fixture(scope="session")
def kernel_name() -> str:
    """The kernel's name in the table."""
    if guest := guest_kernel():
        return guest.name
    return "native" if features.probe("kprobe").available else "hardened"


@pytest.fixture(scope="session")
def kernel_side(_corpus: None) -> Iterator[KernelSide]:
    """The kernel side of the agent, for all policies."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        cache_logger_on_first_use=False,
    )
    with KernelSide() as found:
        yield found
        found.clear()
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def place() -> Iterator[Place]:
    """A tmpfs of the tests, and the programs that are missing in a guest."""
    for name, source in _PROGRAMS.items():
        if guest_kernel() and not Path(name).exists():
            shutil.copy(source, name)
    folder = Path(tempfile.mkdtemp(prefix="corpus-"))
    folder.chmod(0o755)
    mount = ["mount", "-t", "tmpfs", "-o", "mode=755", "corpus", str(folder)]
    subprocess.run(mount, check=True)
    yield Place(folder, folder)
    subprocess.run(["umount", "--lazy", folder], check=True)
    folder.rmdir()


@pytest.fixture
def own_place(place: Place) -> Place:
    """The same with an empty folder."""
    return Place(Path(tempfile.mkdtemp(dir=place.mount)), place.mount)
