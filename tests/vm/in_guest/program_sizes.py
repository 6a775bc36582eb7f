# SPDX-License-Identifier: Apache-2.0
"""Loads every BPF program alone and asks the verifier how much work it was.

bpf_prog_info has that number since Linux commit aba64c7da983 ("bpf: Add verified_insns
to bpf_prog_info and fdinfo") (v5.16); the verifier's log has it on every kernel.
"""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import TYPE_CHECKING

from structlog.testing import capture_logs

from tetragon_py.abi._generated import LONG_TEXT_KEY_SIZE
from tetragon_py.daemon import app
from tetragon_py.errors import KernelError
from tetragon_py.libbpf import BpfObject
from tetragon_py.libbpf._libbpf import ffi
from tetragon_py.libbpf.maps import can_create
from tetragon_py.libbpf.messages import take_messages
from tetragon_py.loader import object_files
from tetragon_py.loader.lifecycle import configure_process
from tetragon_py.loader.object_files import read_object
from tetragon_py.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.vm.programs import Sizes

__all__ = ["measure_programs"]

_OBJECTS = Path(object_files.__file__).with_name("objects")
_LIBBPF = ctypes.CDLL("libbpf.so.1")  # the one that the extension has loaded
_LOG_STATISTICS = 4  # BPF_LOG_STATS
_PROCESSED = re.compile(rb"processed (\d+) insns")
_REASON_LINES = 3


def measure_programs() -> tuple[Sizes, dict[str, str]]:
    """Program -> verified instructions, 0 if it does not load; and why it does not."""
    sizes: Sizes = {}
    errors: dict[str, str] = {}
    with capture_logs():  # libbpf tells of each relocation
        for object_name, program in _programs():
            name = f"{object_name}/{program}"
            try:
                sizes[name] = _verify(object_name, program)
            except KernelError as error:
                sizes[name] = 0
                lines = map(str.strip, str(error).splitlines())
                said = [line for line in lines if line and "processed" not in line]
                errors[name] = " | ".join(said[-_REASON_LINES:])
    return sizes, errors


def _programs() -> Iterator[tuple[str, str]]:
    for path in sorted(_OBJECTS.glob("*.bpf.o")):
        name = path.name.removesuffix(".bpf.o")
        with BpfObject(read_object(name), name) as found:
            yield from ((name, program) for program in found.programs)


def _verify(object_name: str, program: str) -> int:
    with BpfObject(read_object(object_name), object_name) as alone:
        _configure(object_name, alone)
        for name, other in alone.programs.items():
            other.autoload = name == program
        log = ctypes.create_string_buffer(1 << 16)
        pointer = _address(alone.programs[program])
        _LIBBPF.bpf_program__set_log_level(pointer, _LOG_STATISTICS)
        _LIBBPF.bpf_program__set_log_buf(pointer, log, ctypes.c_size_t(len(log)))
        try:
            alone.load()
        except KernelError:
            take_messages()
            _explain(object_name, program)
            raise
        found = _PROCESSED.search(log.value)
        assert found, log.value
        return int(found[1])


# Fails again, but with the verifier's reason: libbpf asks for it if no buffer is given.
def _explain(object_name: str, program: str) -> None:
    with BpfObject(read_object(object_name), object_name) as alone:
        _configure(object_name, alone)
        for name, other in alone.programs.items():
            other.autoload = name == program
        alone.load()


_CONSTANTS = {"tracepoint": ("parameters",), "lsm": ("parameters",)}
_CLASSIFYING = frozenset({"function", "lsm", "syscall", "tracepoint"})


# As the agent does, with all that can be switched on: the most that is verified.
def _configure(object_name: str, opened: BpfObject) -> None:
    if object_name == "process":
        settings = Settings(enable_process_environment_variables=True)
        configure_process(opened, app._limits(settings))
        opened.set_constant("is_stand_in", 1)
    if "parameters" in _CONSTANTS.get(object_name, ()):
        opened.set_constant("parameters", 1)
    if "long_texts" in opened.maps and not can_create(1, LONG_TEXT_KEY_SIZE, 4):
        opened.maps["long_texts"].skip()
        if object_name in _CLASSIFYING:
            opened.set_constant("has_long_texts", 0)


def _address(program: object) -> ctypes.c_void_p:
    pointer = program._pointer  # type: ignore[attr-defined]  # ours
    return ctypes.c_void_p(int(ffi.cast("uintptr_t", pointer)))
