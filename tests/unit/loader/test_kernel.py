# SPDX-License-Identifier: Apache-2.0
"""The kernel as a Target, on a kernel that was written for the purpose."""

from __future__ import annotations

import gc
import platform
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.unit.btf_file import SIGNED, BtfFile
from tetragon_py.abi import _generated as c
from tetragon_py.compiler.target import CType, Parameter, Signature
from tetragon_py.libbpf import btf as b
from tetragon_py.libbpf import features
from tetragon_py.libbpf.btf import Btf
from tetragon_py.loader import kernel
from tetragon_py.loader.kernel import KernelTarget, read_namespaces
from tetragon_py.loader.symbols import Symbol, Symbols
from tetragon_py.loader.tracefs import Tracefs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tetragon_py.compiler.target import Target

ABI, PREFIX = {
    "x86_64": ("x64", "__x64_sys_"),
    "aarch64": ("arm64", "__arm64_sys_"),
}[platform.machine()]
INT = CType("integer", "int", 4, is_signed=True)
VOID = CType("void")


def vmlinux() -> BtfFile:
    made = BtfFile()
    made.integer("int", 4, SIGNED)  # 1
    made.record("file", 8, ("mode", 1, 0))  # 2
    pointer = made.add(b.KIND_PTR, "", 2)
    made.function("vfs_read", 1, ("file", pointer))
    made.function("bpf_lsm_file_open", 1, ("file", pointer))
    made.function("bpf_lsm_verify_prog", 1)
    made.function(f"{PREFIX}read", 1)
    made.record(
        *("security_list_options", 8), ("file_open", pointer, 0), kind=b.KIND_UNION
    )
    probe = made.function("probe", 0, ("__data", pointer), ("x", 1)) - 1
    made.add(b.KIND_TYPEDEF, "btf_trace_run", made.add(b.KIND_PTR, "", probe))
    return made


def module(base: BtfFile) -> BtfFile:
    made = BtfFile(base)
    own = made.record("nf_state", 4, ("x", 1, 0))
    pointer = made.add(b.KIND_PTR, "", own)
    made.function("nf_hook", 1, ("state", pointer))
    probe = made.function("nf_probe", 0, ("__data", pointer), ("s", pointer)) - 1
    made.add(b.KIND_TYPEDEF, "btf_trace_nf_run", made.add(b.KIND_PTR, "", probe))
    return made


KALLSYMS = f"""\
0 T vfs_read
0 t untyped
0 t untyped
0 T {PREFIX}read
0 T {PREFIX}openat
0 t nf_hook\t[nf_tables]
0 t untyped_in_module\t[nf_tables]
0 t __traceiter_nf_run\t[nf_tables]
0 t gone\t[no_btf]
"""


@pytest.fixture
def target(tmp_path, monkeypatch) -> KernelTarget:
    base = vmlinux()
    module(base).write(tmp_path / "nf_tables")
    path = base.write(tmp_path / "vmlinux")
    monkeypatch.setattr(Btf, "kernel", lambda: Btf.open(path))
    monkeypatch.setattr(kernel, "MODULES", tmp_path)
    (tmp_path / "kallsyms").write_text(KALLSYMS)
    event = tmp_path / "tracing" / "events" / "sched" / "run"
    event.mkdir(parents=True)
    (event / "format").write_text("\tfield:int x;\toffset:8;\tsize:4;\tsigned:1;\n")
    (tmp_path / "tracing" / "available_events").write_text("sched:run\n")
    for process in ("1", "self"):
        (tmp_path / "proc" / process / "ns").mkdir(parents=True)
        (tmp_path / "proc" / process / "ns" / "uts").touch()
    return KernelTarget(
        Symbols(tmp_path / "kallsyms"),
        Tracefs([tmp_path / "tracing"]),
        tmp_path / "proc",
    )


def test_it_is_a_target(target):
    """The compiler takes it: checked by the types; it knows what it runs on."""
    as_compiler_sees_it: Target = target

    assert as_compiler_sees_it.native_abi == ABI


def test_functions(target):
    """From vmlinux, else from the module that has it; a symbol is more than a type."""
    read = target.function("vfs_read")
    hook = target.function("nf_hook")

    assert read
    assert read.parameters[0].type.to == CType("struct", "file", 8, id=2)
    assert hook
    assert hook.parameters[0].type.to
    assert hook.parameters[0].type.to.module == "nf_tables"
    for name in ("untyped", "untyped_in_module", "gone", "nothing"):
        assert target.function(name) is None
    for name in ("vfs_read", "untyped", "nf_hook", "gone"):
        assert target.has_symbol(name)
        assert target.has_symbol(name)
    assert not target.has_symbol("nothing")
    assert not target.has_symbol("file")
    assert target.symbol("untyped") == Symbol("", 2)


def test_raw_tracepoints(target):
    """The hidden first argument is left out."""
    assert target.raw_tracepoint("run") == Signature((Parameter("x", INT),), VOID)
    of_module = target.raw_tracepoint("nf_run")
    assert of_module
    assert [each.name for each in of_module.parameters] == ["s"]
    assert target.raw_tracepoint("nothing") is None


def test_lsm_hooks(target):
    """Only those that programs attach to: other functions have the prefix too."""
    assert target.lsm_hook("file_open")
    assert target.lsm_hook("verify_prog") is None
    assert target.lsm_hook("nothing") is None


def test_structs(target):
    """By name, from a module if one is named; their members on demand."""
    own = target.struct("nf_state", "nf-tables")

    assert own
    assert [member.name for member in target.members(own)] == ["x"]
    assert target.struct("file", "nf_tables") == target.struct("file")
    assert target.struct("file", "vmlinux") == target.struct("file")
    assert target.struct("nf_state") is None
    assert target.members(INT) == ()


@pytest.mark.parametrize("name", ["missing", "../vmlinux", "..", "/", "\0"])
def test_modules_that_are_none(target, name):
    """Not loaded, or no name at all."""
    assert target.struct("file", name) is None


def test_system_calls(target):
    """Those that the kernel has a function for, typed or not."""
    assert target.syscall_number("openat", ABI) is not None
    assert target.syscall_number("mount", ABI) is None
    assert set(target.syscall_names(ABI)) == {"read", "openat"}
    assert target.syscall_entry("openat", ABI) == f"{PREFIX}openat"


def test_tracepoints(target):
    """From tracefs."""
    fields = target.tracepoint("sched", "run")

    assert fields
    assert [field.name for field in fields] == ["x"]
    assert target.tracepoint("sched", "nothing") is None


def test_names(target):
    """All of a kind, sorted."""
    assert target.names("tracepoint") == ("sched/run",)
    assert target.names("raw_tracepoint") == ("run",)
    assert target.names("lsm") == ("file_open",)
    assert set(target.names("syscall")) == {"read", "openat"}
    functions = target.names("function")
    assert {"vfs_read", "untyped", "nf_hook"} <= set(functions)
    assert list(functions) == sorted(functions)


def test_ftrace_knows_best(target, tmp_path):
    """Where it tells which functions can be hooked, patterns see no others."""
    (tmp_path / "tracing" / "available_filter_functions").write_text("vfs_read\n")

    assert target.names("function") == ("vfs_read",)
    assert target.has_symbol("untyped")


def test_modules_and_events_come_and_go(target, tmp_path):
    """Then it is no longer current; how many use a module does not matter."""
    modules, events = tmp_path / "proc/modules", tmp_path / "tracing/dynamic_events"
    assert target.is_current
    modules.write_text("nf_tables 4096 1 a,b, Live 0x1000 (E)\nx 1 0 - Live 0x2000\n")
    assert not target.is_current
    target._changeable = target._read_changeable()
    modules.write_text("x 1 7 - Live 0x2000\nnf_tables 4096 0 - Live 0x1000 (E)\n")
    assert target.is_current
    events.write_text("p:kprobes/mine vfs_read\n")
    assert not target.is_current
    events.unlink()
    modules.write_text("nf_tables 4096 0 - Live 0x3000 (E)\nx 1 0 - Live 0x2000\n")
    assert not target.is_current


def test_features_are_probed_when_asked(target, monkeypatch):
    """Each probe costs; a name that is none is simply not there."""
    asked = []

    def probe(name: str) -> features.ProbeResult:
        asked.append(name)
        return features.ProbeResult(name, "", "", name == "send_signal", "")

    monkeypatch.setattr(features, "probe", probe)

    assert "send_signal" in target.features
    assert "lsm" not in target.features
    assert "nothing" not in target.features
    assert asked == ["send_signal", "lsm"]
    assert list(target.features) == ["send_signal"]
    assert len(target.features) == 1


def test_host_namespaces(target, tmp_path):
    """Those of process 1; kinds that the kernel does not have are missing."""
    inode = (tmp_path / "proc/1/ns/uts").stat().st_ino

    assert target.host_namespaces == {"uts": inode}


@pytest.fixture
def _own_only(monkeypatch) -> Iterator[None]:
    real = Path.stat

    def refuse(path: Path, *, follow_symlinks: bool = True):
        if "/1/ns" in str(path):
            raise PermissionError(13, "Permission denied")
        return real(path, follow_symlinks=follow_symlinks)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", refuse)
        yield


@pytest.mark.usefixtures("_own_only")
def test_namespaces_of_another(target, tmp_path):
    """Where process 1 is out of reach, this one stands for it, and that is told."""
    inode = (tmp_path / "proc/self/ns/uts").stat().st_ino

    assert read_namespaces(tmp_path / "proc/1") == {}
    assert target.host_namespaces == {"uts": inode}
    assert "host namespaces" in target.unjudged


def test_without_anything(tmp_path, monkeypatch):
    """No BTF, no symbols, no tracefs, no root: no answers, and a reason for each."""
    monkeypatch.setattr(Btf, "kernel", lambda: None)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    target = KernelTarget(Symbols(tmp_path / "kallsyms"), Tracefs([tmp_path]), tmp_path)

    assert target.function("vfs_read") is None
    assert target.struct("file") is None
    assert target.struct("file", "nf_tables") is None
    assert target.lsm_hook("file_open") is None
    assert target.raw_tracepoint("run") is None
    assert target.tracepoint("sched", "run") is None
    assert not target.has_symbol("vfs_read")
    assert target.names("function") == target.names("lsm") == ()
    assert target.host_namespaces == {}
    assert target.syscall_number("openat", ABI) is not None
    assert set(target.unjudged) == {
        *("types", "functions", "tracepoints", "features", "host namespaces"),
    }


@pytest.mark.parametrize("is_long", [True, False])
def test_longest_text(target, monkeypatch, is_long):
    """What a hash of this kernel holds; who may not try hopes for the best."""
    monkeypatch.setattr(kernel, "can_create", lambda *_sizes: is_long)
    monkeypatch.setattr("os.geteuid", lambda: 0)

    longest = c.LONG_TEXT_BYTES if is_long else c.SHORT_TEXT_BYTES
    assert target.text_bytes_max == longest
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert KernelTarget().text_bytes_max == c.LONG_TEXT_BYTES


def test_it_goes_with_the_last_reference(target):
    """Its megabytes do not wait for the garbage collector."""
    own = KernelTarget(target._symbols, target._tracefs)
    assert own.has_symbol("untyped")
    assert own.syscall_names(ABI)
    assert own.struct("nf_state", "nf_tables")
    gone = weakref.ref(own)
    gc.disable()
    try:
        del own
        assert gone() is None
    finally:
        gc.enable()


def test_nothing_is_missing(target, monkeypatch):
    """Root on a kernel that tells everything."""
    monkeypatch.setattr("os.geteuid", lambda: 0)

    assert target.unjudged == {}
