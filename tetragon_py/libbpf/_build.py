# SPDX-License-Identifier: Apache-2.0
"""How the package is built: the cffi extension `_libbpf` and the BPF objects.

Comes in: `_cdef.h` (libbpf's functions), `_shim.h` and `bpf/abi/*.h`. Goes out: an
extension module in cffi's API mode, for which the C compiler checks every declaration,
offset and constant, built against the stable ABI (abi3).

setuptools loads this file by its path, before the package can be imported.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from cffi import FFI
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["BdistWheel", "BuildExt", "BuildPy", "abi_declarations", "declarations"]

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
ABI = ROOT / "bpf" / "abi"
#: The last header includes the others.
ABI_TOP = ABI / "stats.h"
MODULE = "tetragon_py.libbpf._libbpf"
SOURCE = f"""
#include "{ABI_TOP.relative_to(ROOT / "bpf")}"
#include "_shim.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
"""


def _preprocess(header: Path) -> str:
    command = ["cc", "-E", "-P", "-DTPY_CDEF", f"-I{ROOT / 'bpf'}", str(header)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - the project's own header


def _constants(headers: Iterable[Path]) -> str:
    """The `#define NAME integer` lines, which the preprocessor would swallow."""
    pattern = re.compile(r"^#define (\w+) (0x[0-9A-Fa-f]+|[0-9]+)U?\b", re.MULTILINE)
    return "\n".join(
        f"#define {name} {value}"
        for header in headers
        for name, value in pattern.findall(header.read_text())
    )


def abi_declarations() -> str:
    """Everything of bpf/abi as cffi reads it."""
    structs = _preprocess(ABI_TOP).replace(";;", ";")
    return f"{structs}\n{_constants(sorted(ABI.glob('*.h')))}"


def declarations() -> str:
    """The whole cdef: integers and libbpf first, then the shim and the ABI."""
    shim = _preprocess(HERE / "_shim.h")
    libbpf = (HERE / "_cdef.h").read_text()
    # cffi cannot parse empty declarations: what ABI_SIZE() leaves
    return re.sub(
        r"^\s*;", "", f"{libbpf}\n{shim}\n{abi_declarations()}", flags=re.MULTILINE
    )


class BuildExt(build_ext):
    """Writes the extension's C source, then builds it with the shim."""

    def build_extension(self, ext) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001 - setuptools has no types
        """Complete the extension that pyproject.toml names."""
        ffi = FFI()
        ffi.cdef(declarations())
        ffi.set_source(MODULE, SOURCE)
        generated = Path(self.build_temp) / "_libbpf.c"
        generated.parent.mkdir(parents=True, exist_ok=True)
        ffi.emit_c_code(str(generated))
        here = HERE.relative_to(Path.cwd())
        ext.sources = [str(generated), str(here / "_shim.c"), str(here / "_ring.c")]
        ext.include_dirs += [str(here), "bpf"]
        ext.extra_compile_args += ["-O2", "-Wall"]
        super().build_extension(ext)


class BuildPy(build_py):
    """Compiles the BPF objects of this architecture before files are collected."""

    def run(self) -> None:
        """Let the Makefile decide what is out of date."""
        subprocess.run(["make", "--silent", "objects"], check=True, cwd=ROOT)  # noqa: S607 - the build tool of the path
        super().run()


class BdistWheel(bdist_wheel):
    """One wheel for all Python versions from 3.11 on."""

    def finalize_options(self) -> None:
        """Tag the wheel abi3."""
        self.py_limited_api = "cp311"
        super().finalize_options()
