# SPDX-License-Identifier: Apache-2.0
"""Look-ups in this kernel's types."""

from __future__ import annotations

import pytest

from tests.unit.btf_file import SIGNED, BtfFile
from tetragon_py.errors import UnsupportedError
from tetragon_py.libbpf import btf
from tetragon_py.libbpf.btf import (
    KIND_ENUM,
    KIND_FUNC,
    KIND_FUNC_PROTO,
    KIND_INT,
    KIND_PTR,
    KIND_STRUCT,
    KIND_TYPEDEF,
    MODULES,
    Btf,
    BtfField,
    BtfType,
    function_arguments,
    has_kernel_btf,
    require_kernel_btf,
    type_id,
)


def test_types_are_found_by_name_and_kind():
    """A name counts only with its kind."""
    assert has_kernel_btf()
    require_kernel_btf()

    assert type_id("task_struct", KIND_STRUCT)
    assert type_id("pid_t", KIND_TYPEDEF)
    assert type_id("vfs_read", KIND_FUNC)
    assert type_id("task_struct", KIND_FUNC) is None
    assert type_id("no_such_thing", KIND_STRUCT) is None


def test_arguments_of_functions():
    """How many arguments a function takes; None if there is none of its name."""
    assert function_arguments("vfs_read") == 4
    assert function_arguments("no_such_function") is None
    assert function_arguments("task_struct") is None


def test_kernel_without_btf(monkeypatch):
    """Without BTF nothing is found, and the error says what to do."""
    monkeypatch.setattr(btf, "has_kernel_btf", lambda: False)

    assert type_id("task_struct", KIND_STRUCT) is None
    assert function_arguments("vfs_read") is None
    with pytest.raises(UnsupportedError, match="CONFIG_DEBUG_INFO_BTF=y"):
        require_kernel_btf()


@pytest.fixture(scope="module")
def vmlinux() -> Btf:
    """The types of this kernel."""
    found = Btf.kernel()
    assert found
    return found


def test_the_index_finds_what_libbpf_finds(vmlinux):
    """The same lowest number, by name and kind; also for names that are shared."""
    wanted = [
        *(("task_struct", KIND_STRUCT), ("vfs_read", KIND_FUNC), ("int", KIND_INT)),
        *(("pid_t", KIND_TYPEDEF), ("pid_type", KIND_ENUM), ("file", KIND_STRUCT)),
        *(("task_struct", KIND_FUNC), ("no_such_thing", KIND_STRUCT)),
    ]
    wanted += [(name, KIND_FUNC) for name in vmlinux.names(KIND_FUNC)[::997]]

    for name, kind in wanted:
        assert vmlinux.find(name, kind) == type_id(name, kind), name


def test_names_of_a_kind(vmlinux):
    """Those with a prefix come without it."""
    hooks = vmlinux.names(KIND_FUNC, "bpf_lsm_")
    functions = vmlinux.names(KIND_FUNC)

    assert "file_open" in hooks
    assert len(hooks) == sum(name.startswith("bpf_lsm_") for name in functions)
    assert len(functions) > 10_000
    assert vmlinux.names(KIND_FUNC, "no_such_prefix") == []


def test_types_of_this_kernel(vmlinux):
    """A function's prototype, and a pointer in it, down to the struct."""
    number = vmlinux.find("security_file_open", KIND_FUNC)
    assert number
    function = vmlinux.type(number)
    prototype = vmlinux.type(function.value)
    (parameter,) = vmlinux.parameters(prototype)
    pointer = vmlinux.type(parameter.type)

    assert (function.kind, function.name) == (KIND_FUNC, "security_file_open")
    assert (prototype.kind, prototype.name) == (KIND_FUNC_PROTO, "")
    assert pointer.kind == KIND_PTR
    assert vmlinux.type(pointer.value)[:2] == (KIND_STRUCT, "file")
    assert vmlinux.type(0) == BtfType(0, "", flag=False, value=0, words=())
    with pytest.raises(LookupError):
        vmlinux.type(2**31)


def test_every_type_can_be_read(vmlinux):
    """Nothing in the kernel's BTF is of a shape that we do not know."""
    for number in range(1, 20_000):
        kind = vmlinux.type(number)
        if kind.kind == KIND_STRUCT:
            places = [field.bit_offset for field in vmlinux.members(kind)]
            assert all(place <= kind.value * 8 for place in places), kind.name


def test_types_from_a_file(tmp_path):
    """A module's numbers and names continue those of its base."""
    base = BtfFile()
    base.integer("int", 4, SIGNED)
    shared = base.record("shared", 4, ("x", 1, 0))
    module = BtfFile(base)
    own = module.record("own", 4, ("s", shared, 0))
    kernel = Btf.open(base.write(tmp_path / "vmlinux"))
    assert kernel
    extra = Btf.open(module.write(tmp_path / "extra"), kernel)
    assert extra

    assert (kernel.first, extra.first) == (1, own)
    assert extra.find("own", KIND_STRUCT) == own
    assert extra.find("shared", KIND_STRUCT) is None
    assert kernel.find("own", KIND_STRUCT) is None
    assert extra.names(KIND_STRUCT) == ["own"]
    assert list(extra.members(extra.type(own))) == [BtfField("s", shared)]
    assert extra.type(shared) == kernel.type(shared)


def test_files_without_types(tmp_path):
    """A file that is missing or is no BTF has none."""
    (tmp_path / "text").write_text("no BTF")
    (tmp_path / "cut").write_bytes(b"\x9f\xeb\1\0\x18\0\0\0")

    assert Btf.open(tmp_path / "missing") is None
    assert Btf.open(tmp_path / "text") is None
    assert Btf.open(tmp_path / "cut") is None


def test_modules_of_this_kernel(vmlinux):
    """Each that is loaded stands on vmlinux: what its functions take can be read."""
    for path in MODULES.iterdir():
        if path.name == "vmlinux":
            continue
        module = Btf.open(path, vmlinux)
        assert module, path
        for name in module.names(KIND_FUNC):
            number = module.find(name, KIND_FUNC)
            assert number
            assert number >= module.first
            prototype = module.type(module.type(number).value)
            for parameter in module.parameters(prototype):
                assert module.type(parameter.type)


def test_no_kernel_types(monkeypatch):
    """A kernel without BTF has no types, which is no error."""
    monkeypatch.setattr(btf, "has_kernel_btf", lambda: False)

    assert Btf.kernel() is None
