# SPDX-License-Identifier: Apache-2.0
"""Every object loads on this kernel, without a word of warning, and cheaply."""

from __future__ import annotations

import contextlib
import errno
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tetragon_py import loader
from tetragon_py.abi import _generated as c
from tetragon_py.errors import KernelError, VerifierError
from tetragon_py.libbpf import BpfObject
from tetragon_py.libbpf.features import probe
from tetragon_py.libbpf.maps import can_create
from tetragon_py.loader.object_files import read_object
from tetragon_py.loader.shared import SensorLimits, SharedMaps

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = sorted(
    path.name.removesuffix(".bpf.o")
    for path in (Path(loader.__file__).parent / "objects").glob("*.bpf.o")
)
#: Some 38,000 natively and from 6.12 on; the verifiers before it look at more ways.
VERIFIED_MAX = 60_000
LIMITS = SensorLimits((4096, 4096, 4096), 1024, 8192, 0)


#: Programs that are loaded for a hook only, and the feature that they need.
ONE_HOOK = {
    "enter_fentry": "get_func_arg",
    "exit_fentry": "get_func_arg",
    "enter_kprobe": "kprobe",
    "exit_kprobe": "kretprobe",
    "hit_raw_tp": "raw_tracepoint",
    "hit_tracepoint": "tracepoint",
    "override_fmod": "fmod_ret",
    "override_call": "fmod_ret",
    "decide_lsm": "lsm",
    "decide_fmod": "fmod_ret",
    "guard_lsm": "lsm",
    "guard_fmod": "fmod_ret",
    "forget_verdict": "sys_enter",
}


@contextlib.contextmanager
def opened(name: str) -> Iterator[BpfObject]:
    """An object with all programs that this kernel can have, not loaded yet."""
    with contextlib.ExitStack() as undo, SharedMaps(LIMITS) as shared:
        bpf_object = shared.open(name, undo)
        if name == "tracepoint":
            bpf_object.set_constant("parameters", 1)
        if name in {"function", "lsm"}:
            has_func_arg = probe("get_func_arg").available
            bpf_object.set_constant("has_func_arg", has_func_arg)
            bpf_object.set_constant("parameters", 1)
        for program in bpf_object.programs.values():
            if not program.autoload:
                program.autoload = probe(ONE_HOOK[program.name]).available
        yield bpf_object


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("no_warnings")
def test_object_loads_without_a_warning(name):
    """libbpf warns of BTF that the kernel refuses and goes on without it: a fault."""
    with opened(name) as bpf_object:
        bpf_object.load()

        wanted = [p for p in bpf_object.programs.values() if p.autoload]
        assert all(program.fd >= 0 for program in wanted)
        absent = set() if can_create(1, c.LONG_TEXT_KEY_SIZE, 4) else {"long_texts"}
        assert {m.name for m in bpf_object.maps.values() if m.fd < 0} <= absent


@pytest.mark.parametrize("name", NAMES)
def test_programs_are_cheap_to_verify(name):
    """No program comes near the verifier's limit."""
    with opened(name) as bpf_object:
        bpf_object.load()
        for program in bpf_object.programs.values():
            if not program.autoload:
                continue
            info = program.info()

            assert info.verified_instructions <= VERIFIED_MAX, program.name
            assert info.id > 0
            assert info.tag


@pytest.mark.parametrize("name", NAMES)
def test_names_are_whole_in_bpftool(name):
    """The kernel keeps 15 characters of a name."""
    with BpfObject(read_object(name), name) as bpf_object:
        named = [n for n in bpf_object.maps if not n.endswith((".rodata", ".bss"))]
        for each in (*named, *bpf_object.programs):
            assert len(each) <= 15, each


def test_verifier_error_names_program_and_reason(objects):
    """A refused program is told by its name, with the verifier's last lines."""
    with objects("maps") as bpf_object:
        bpf_object.programs["refused"].autoload = True
        with pytest.raises(VerifierError) as raised:
            bpf_object.load()

    assert raised.value.program == "refused"
    assert raised.value.errno == errno.EACCES
    assert "map_value_or_null" in str(raised.value)
    assert "processed" in raised.value.log


def test_constants_are_set_before_load(objects, run):
    """A `const volatile` of any width has the value that was set."""
    with objects("maps") as bpf_object:
        bpf_object.set_constant("number", 30)
        bpf_object.set_constant("long_number", 1 << 20)
        bpf_object.load()

        assert run(bpf_object.programs["count"]) == 30 + (1 << 20)


def test_constants_have_their_own_values(objects, run):
    """What is not set is as the source says."""
    with objects("maps") as bpf_object:
        bpf_object.load()

        assert run(bpf_object.programs["count"]) == 15


def test_unknown_constant(objects):
    """A name that is not there, or a value that is too wide, is an error at once."""
    with objects("maps") as bpf_object:
        with pytest.raises(KernelError, match="find constant nothing in maps"):
            bpf_object.set_constant("nothing", 1)
        with pytest.raises(OverflowError):
            bpf_object.set_constant("number", 1 << 32)


def test_object_without_constants(objects):
    """An object that has none at all says so too."""
    with (
        objects("ring") as bpf_object,
        pytest.raises(KernelError, match="find constant number in ring"),
    ):
        bpf_object.set_constant("number", 1)


def test_close_twice(objects):
    """Closing gives all back; again does nothing."""
    bpf_object = objects("maps")
    bpf_object.load()
    bpf_object.close()
    bpf_object.close()
