# SPDX-License-Identifier: Apache-2.0
"""Builds the test program, as it is or with a mistake planted in one of its stages."""

from __future__ import annotations

import platform
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.fuzz.mutants import Mutant

__all__ = ["ROOT", "build_classifier"]

ROOT = Path(__file__).parent.parent.parent
_ARCH = {"x86_64": "x86", "aarch64": "arm64"}[platform.machine()]
_SOURCE = ROOT / "tests/bpf/progs/classify.bpf.c"
_BUILT = ROOT / "build/tests/classify.bpf.o"
_FLAGS = (
    *("-g", "-O2", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror"),
    *("-target", "bpf", "-mcpu=v3", f"-D__TARGET_ARCH_{_ARCH}"),
)
_FOLDERS = (ROOT / "bpf", ROOT / "vmlinux" / _ARCH)


def build_classifier(mutant: Mutant | None = None) -> bytes:
    """Return the object of classify.bpf.c; without a mutant it is built when needed."""
    if mutant is None:
        if _is_old():
            _BUILT.parent.mkdir(parents=True, exist_ok=True)
            _compile(_BUILT, ())
        return _BUILT.read_bytes()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mutant.plant(folder)
        _compile(folder / "mutant.bpf.o", (folder,))
        return (folder / "mutant.bpf.o").read_bytes()


def _is_old() -> bool:
    if not _BUILT.exists():
        return True
    sources = [_SOURCE, *(path for folder in _FOLDERS for path in folder.rglob("*.h"))]
    built = _BUILT.stat().st_mtime
    return any(path.stat().st_mtime >= built for path in sources)


# Folders that come first are searched first.
def _compile(out: Path, first: tuple[Path, ...]) -> None:
    folders = [part for folder in (*first, *_FOLDERS) for part in ("-I", str(folder))]
    command = ["clang-19", *_FLAGS, *folders, "-c", str(_SOURCE), "-o", str(out)]
    subprocess.run(command, check=True)
    subprocess.run(["llvm-strip-19", "-g", str(out)], check=True)
