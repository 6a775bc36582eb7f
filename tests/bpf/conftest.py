# SPDX-License-Identifier: Apache-2.0
"""Builds tests/bpf/progs and runs its programs in the kernel."""

from __future__ import annotations

import logging
import platform
import struct
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog
import structlog.testing

from tests.bpf.lseek import LIMITS, Kernel, events
from tetragon_py.libbpf import BpfObject
from tetragon_py.libbpf._libbpf import ffi, lib
from tetragon_py.loader.generation import PolicyGenerations
from tetragon_py.loader.lifecycle import LifecycleSensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tetragon_py.libbpf import Program

ROOT = Path(__file__).parent.parent.parent
ARCH = {"x86_64": "x86", "aarch64": "arm64"}[platform.machine()]
CFLAGS = (
    *("-g", "-O2", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror"),
    *("-target", "bpf", "-mcpu=v3", f"-D__TARGET_ARCH_{ARCH}"),
    *("-I", str(ROOT / "bpf"), "-I", str(ROOT / "vmlinux" / ARCH)),
)


def build(name: str) -> bytes:
    """The object of progs/NAME.bpf.c."""
    out = ROOT / "build" / "tests" / f"{name}.bpf.o"
    out.parent.mkdir(parents=True, exist_ok=True)
    source = Path(__file__).parent / "progs" / f"{name}.bpf.c"
    subprocess.run(["clang-19", *CFLAGS, "-c", source, "-o", out], check=True)
    subprocess.run(["llvm-strip-19", "-g", out], check=True)
    return out.read_bytes()


@pytest.fixture(scope="session")
def objects() -> Callable[[str], BpfObject]:
    """Open an object of progs/, built once; whoever opens it closes it."""
    images: dict[str, bytes] = {}

    def open_object(name: str) -> BpfObject:
        if name not in images:
            images[name] = build(name)
        return BpfObject(images[name], name)

    return open_object


@pytest.fixture
def run() -> Callable[..., int]:
    """Run a raw tracepoint program once, with 1 to 12 numbers; what it returns."""

    def run_program(program: Program, *arguments: int) -> int:
        arguments = arguments or (0,)
        context = struct.pack(f"={len(arguments)}Q", *arguments)
        result = ffi.new("__u32 *")
        error = lib.tpy_test_run(
            program.fd, ffi.from_buffer("char[]", context), len(context), result
        )
        assert error == 0
        return int(ffi.cast("int", result[0]))

    return run_program


@pytest.fixture(scope="module")
def sensor() -> Iterator[LifecycleSensor]:
    """Process events on, everybody in the table. One: a start takes seconds in a VM."""
    with LifecycleSensor(LIMITS) as found:
        found.attach()
        found.seed()
        yield found


@pytest.fixture
def generations(sensor: LifecycleSensor) -> Iterator[PolicyGenerations]:
    """An empty policy set."""
    events(sensor)
    sensor.shared.maps["active"].update(bytes(4), bytes(4))
    found = PolicyGenerations(sensor, Kernel(), lambda *_: None)
    yield found
    found.close()


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """libbpf's debug messages would bury what a failing test has to say."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        cache_logger_on_first_use=False,
    )
    yield
    structlog.reset_defaults()


@pytest.fixture
def no_warnings() -> Iterator[None]:
    """Fail if libbpf warns of anything during the test."""
    with structlog.testing.capture_logs() as logs:
        yield
    warnings = [entry for entry in logs if entry["log_level"] == "warning"]

    assert warnings == []
