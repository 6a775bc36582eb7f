# SPDX-License-Identifier: Apache-2.0
"""BTF becomes the compiler's types: shapes written by hand, one of each kind."""

from __future__ import annotations

import pytest

from tests.unit.btf_file import SIGNED, BtfFile
from tetragon_py.compiler.target import CType, Member, Parameter, Signature
from tetragon_py.libbpf import btf as b
from tetragon_py.libbpf.btf import Btf
from tetragon_py.loader.kernel_types import TypeReader

INT = CType("integer", "int", 4, is_signed=True)
LONG = CType("integer", "unsigned long", 8)


@pytest.fixture
def types() -> BtfFile:
    """A kernel with two integers: int is type 1, unsigned long type 2."""
    made = BtfFile()
    made.integer("int", 4, SIGNED)
    made.integer("unsigned long", 8)
    return made


@pytest.fixture
def read(tmp_path):
    """Reads what was written: vmlinux, or a module after it."""

    def read_types(made: BtfFile, name: str = "vmlinux") -> TypeReader:
        base = read_types(made.base) if made.base else None
        types = Btf.open(made.write(tmp_path / name), base.types if base else None)
        assert types
        return TypeReader(types, base, "" if name == "vmlinux" else name)

    return read_types


def test_integers_and_void(types, read):
    """An integer has BTF's name, its size and its sign."""
    reader = read(types)

    assert reader.type(1) == INT
    assert reader.type(2) == LONG
    assert CType("void") == reader.type(0)


def test_typedefs_and_qualifiers_are_looked_through(types, read):
    """The outermost typedef is remembered; const and the like leave nothing."""
    inner = types.add(b.KIND_TYPEDEF, "__kernel_size_t", 2)
    const = types.add(b.KIND_CONST, "", inner)
    outer = types.add(b.KIND_TYPEDEF, "size_t", const)
    volatile = types.add(b.KIND_VOLATILE, "", outer)
    nothing = types.add(b.KIND_TYPEDEF, "nothing", types.add(b.KIND_CONST, "", 0))
    reader = read(types)

    assert CType("integer", "unsigned long", 8, typedef="size_t") == (
        reader.type(volatile)
    )
    assert CType("void", typedef="nothing") == reader.type(nothing)


def test_pointers_and_arrays(types, read):
    """They know what they point to, and their elements; structs stay closed."""
    node = types.record("node", 8, ("next", types.end + 1, 0))
    pointer = types.add(b.KIND_PTR, "", node)
    row = types.add(b.KIND_ARRAY, "", 0, (1, 2, 3))
    table = types.add(b.KIND_ARRAY, "", 0, (row, 2, 5))
    reader = read(types)
    struct = CType("struct", "node", 8, id=node)

    assert CType("pointer", size=8, to=struct) == reader.type(pointer)
    inner = CType("array", size=12, to=INT, count=3)
    assert CType("array", size=60, to=inner, count=5) == reader.type(table)
    assert (Member("next", 0, reader.type(pointer)),) == reader.members(node)


def test_enums_have_a_sign(types, read):
    """By the flag, and before kernels had it by a negative value."""
    plain = types.enum("plain", 0, 1)
    negative = types.enum("negative", 0, -1)
    flagged = types.enum("flagged", 0, flag=True)
    wide = types.add(b.KIND_ENUM64, "wide", 8, (types.text("x"), 0, 1), count=1)
    reader = read(types)

    assert CType("enum", "plain", 4) == reader.type(plain)
    assert CType("enum", "negative", 4, is_signed=True) == reader.type(negative)
    assert CType("enum", "flagged", 4, is_signed=True) == reader.type(flagged)
    assert CType("enum", "wide", 8) == reader.type(wide)


def test_forward_declarations(types, read):
    """One stands for its definition; without such it is something else."""
    declared = types.add(b.KIND_FWD, "late")
    unknown = types.add(b.KIND_FWD, "unknown", flag=True)
    late = types.record("late", 4, ("x", 1, 0))
    reader = read(types)

    assert CType("struct", "late", 4, id=late) == reader.type(declared)
    assert CType("other", "unknown") == reader.type(unknown)


def test_other_types(types, read):
    """Functions and floating point are of no use to a policy."""
    function = types.function("run", 0)
    number = types.add(b.KIND_FLOAT, "double", 8)
    reader = read(types)

    assert CType("other", "double", 8) == reader.type(number)
    assert CType("other") == reader.type(function - 1)


def test_members_without_a_name(types, read):
    """A union without a name is a member that has none, to be opened by its type."""
    union = types.record("", 8, ("a", 1, 0), ("b", 2, 0), kind=b.KIND_UNION)
    outer = types.record("outer", 16, ("x", 1, 0), ("", union, 64))
    reader = read(types)
    inner = CType("union", "", 8, id=union)

    assert (Member("x", 0, INT), Member("", 8, inner)) == reader.members(outer)
    assert (Member("a", 0, INT), Member("b", 0, LONG)) == reader.members(union)


def test_bit_fields(types, read):
    """Of both encodings: in the member's place, and in an integer of its own."""
    new = types.record(
        "new", 8, ("a", 1, 3 << 24 | 0), ("b", 1, 7 << 24 | 11), ("c", 1, 32), flag=True
    )
    narrow = types.integer("int", 4, SIGNED | 2 << 16, 3)
    const = types.add(b.KIND_CONST, "", narrow)
    old = types.record("old", 8, ("a", const, 8), ("b", 1, 32))
    reader = read(types)

    assert [(m.name, m.offset, m.bits) for m in reader.members(new)] == [
        *(("a", 0, 3), ("b", 1, 7), ("c", 4, 0)),
    ]
    assert [(m.name, m.offset, m.bits) for m in reader.members(old)] == [
        *(("a", 1, 3), ("b", 4, 0)),
    ]


def test_functions(types, read):
    """Parameters and the returned type; "..." is no parameter."""
    types.function("print", 1, ("format", 2), ("", 0))
    reader = read(types)

    assert Signature((Parameter("format", LONG),), INT) == reader.function("print")
    assert reader.function("int") is None


def test_typedefs_of_functions(types, read):
    """Raw tracepoints: a typedef of a pointer to a prototype."""
    function = types.function("probe", 0, ("__data", 2), ("x", 1))
    pointer = types.add(b.KIND_PTR, "", function - 1)
    types.add(b.KIND_TYPEDEF, "btf_trace_event", pointer)
    types.add(b.KIND_TYPEDEF, "btf_trace_odd", 1)
    reader = read(types)
    found = reader.function_type("btf_trace_event")

    assert found
    assert [Parameter("__data", LONG), Parameter("x", INT)] == list(found.parameters)
    assert reader.function_type("btf_trace_odd") is None
    assert reader.function_type("btf_trace_none") is None


def test_records_by_name(types, read):
    """A tag, or a typedef of a struct without one; no other typedef."""
    both = types.record("both", 4)
    union = types.record("choice", 8, kind=b.KIND_UNION)
    nameless = types.record("", 16)
    types.add(b.KIND_TYPEDEF, "alias", nameless)
    types.add(b.KIND_TYPEDEF, "number", 1)
    reader = read(types)

    assert CType("struct", "both", 4, id=both) == reader.record("both")
    assert CType("union", "choice", 8, id=union) == reader.record("choice")
    assert CType("struct", "", 16, typedef="alias", id=nameless) == (
        reader.record("alias")
    )
    assert reader.record("number") is None
    assert reader.record("nothing") is None


def test_a_module_stands_on_vmlinux(types, read):
    """Own types before the base's; a type of vmlinux is the same from everywhere."""
    shared = types.record("shared", 4, ("x", 1, 0))
    hidden = types.record("twice", 4)
    module = BtfFile(types)
    own = module.record("own", 8, ("link", shared, 0), ("y", 1, 32))
    twice = module.record("twice", 16)
    late = module.add(b.KIND_FWD, "shared")
    module.function("start", 1, ("of", own))
    reader = read(module, "extra")
    link = CType("struct", "shared", 4, id=shared)

    assert CType("struct", "own", 8, id=own, module="extra") == reader.record("own")
    assert (Member("link", 0, link), Member("y", 4, INT)) == reader.members(own)
    assert (Member("x", 0, INT),) == reader.members(shared)
    assert link == reader.record("shared") == reader.type(late)
    assert CType("struct", "twice", 16, id=twice, module="extra") == (
        reader.record("twice")
    )
    assert CType("struct", "twice", 4, id=hidden) == reader.type(hidden)
    started = reader.function("start")
    assert started
    assert reader.record("own") == started.parameters[0].type
