# SPDX-License-Identifier: Apache-2.0
"""Builds the C programs of this folder into build/bench/.

In comes C, out go the paths of the programs. The floor is linked with the product's own
consumer of the ring buffers.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

__all__ = ["OUTPUT", "Programs", "build_programs"]

_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parents[1]
_SHIM = _ROOT / "tetragon_py" / "libbpf"
#: Programs and event files: the file system that the floor and the agent share.
OUTPUT = _ROOT / "build" / "bench"
_FLAGS = ("-O2", "-Wall", "-Wextra")
_FREESTANDING = ("-static", "-nostdlib", "-fno-stack-protector", "-Wl,--build-id=none")


class Programs(NamedTuple):
    """The built programs."""

    leaf: Path
    load: Path
    floor: Path


def build_programs() -> Programs:
    """Compile all three.

    Raises:
        subprocess.CalledProcessError: with the compiler's words in `stderr`.
    """
    OUTPUT.mkdir(parents=True, exist_ok=True)
    return Programs(
        leaf=_compile("leaf", *_FREESTANDING),
        load=_compile("load"),
        floor=_compile(
            "floor",
            f"-I{_ROOT / 'bpf'}",
            f"-I{_SHIM}",
            str(_SHIM / "_ring.c"),
        ),
    )


def _compile(name: str, *more: str) -> Path:
    target = OUTPUT / name
    command = ["gcc", *_FLAGS, "-o", str(target), str(_HERE / f"{name}.c"), *more]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return target
