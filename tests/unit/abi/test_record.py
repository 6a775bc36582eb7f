# SPDX-License-Identifier: Apache-2.0
"""The compiled structs read what C writes."""

from __future__ import annotations

import struct

import pytest

from tetragon_py.abi import _generated as c
from tetragon_py.abi import record
from tetragon_py.libbpf._libbpf import ffi

#: C struct, its Struct, and the nested structs that are opened in it.
RECORDS = {
    "process_key": (record.PROCESS_KEY, ()),
    "process_entry": (record.PROCESS_ENTRY, ("parent",)),
    "credentials": (record.CREDENTIALS, ()),
    "namespaces": (record.NAMESPACES, ()),
    "event_fork": (record.EVENT_FORK, ("header", "process", "parent")),
    "image": (record.IMAGE, ()),
    "event_exit": (record.EVENT_EXIT, ("header", "process")),
    "task_image": (record.TASK_IMAGE, ("process", "parent")),
    "loss_source": (record.LOSS_SOURCE, ()),
    "event_hook": (record.EVENT_HOOK, ("header", "process")),
    "hook_match": (record.HOOK_MATCH, ()),
    "argument_buffer": (record.ARGUMENT_BUFFER, ()),
    "argument_path": (record.ARGUMENT_PATH, ()),
    "argument_sock": (record.ARGUMENT_SOCK, ()),
    "argument_user_namespace": (record.ARGUMENT_USER_NAMESPACE, ()),
    "argument_module": (record.ARGUMENT_MODULE, ()),
    "argument_bpf": (record.ARGUMENT_BPF, ()),
    "argument_perf_event": (record.ARGUMENT_PERF_EVENT, ()),
}


def fill(pointer, opened, seed: int = 1) -> list[object]:
    """Give each member another value; what the Struct has to read."""
    values: list[object] = []
    for name, detail in ffi.typeof(pointer).item.fields:
        kind = detail.type.kind
        if kind == "struct":
            nested = ffi.addressof(pointer, name)
            if name in opened:
                values += fill(nested, (), seed + 17)
            else:
                fill(nested, (), seed + 31)
                values.append(bytes(ffi.buffer(nested)))
        elif kind == "array":
            member = getattr(pointer, name)
            if detail.type.item.kind == "struct":
                for i in range(len(member)):
                    fill(ffi.addressof(member, i), (), seed + i)
                values.append(bytes(ffi.buffer(member)))
                continue
            for i in range(len(member)):
                member[i] = seed + i
            is_text = detail.type.item.cname == "unsigned char"
            values += [bytes(ffi.buffer(member))] if is_text else list(member)
        elif not name.startswith("_pad"):
            setattr(pointer, name, seed)
            values.append(seed)
        seed += 3
    return values


@pytest.mark.parametrize("name", RECORDS)
def test_struct_reads_what_c_writes(name):
    """Each value comes back at its place, nested structs opened where it says so."""
    layout, opened = RECORDS[name]
    pointer = ffi.new(f"struct {name} *")
    values = fill(pointer, opened)

    assert tuple(values) == layout.unpack(bytes(ffi.buffer(pointer)))


def test_exec_is_read_in_two_parts():
    """The head has all up to the image, and the image follows without a gap."""
    pointer = ffi.new("struct event_exec *")
    values = fill(pointer, ("header", "process", "parent"))
    data = bytes(ffi.buffer(pointer))
    image_at = record.EXEC_HEAD.size

    assert tuple(values[:-1]) == record.EXEC_HEAD.unpack(data[:image_at])
    assert values[-1] == data[image_at:]
    assert image_at == c.EVENT_EXEC_OFFSETS["image"]
    assert len(data) == image_at + record.IMAGE.size


def test_index_is_what_the_ring_writes():
    """An entry of a batch's index is two native 32-bit numbers."""
    pair = ffi.new("__u32[2]", [7, 3])

    assert record.INDEX.unpack(bytes(ffi.buffer(pair))) == (7, 3)


def test_only_leading_structs_are_opened():
    """Opening a struct that is not there is an error, not another layout."""
    with pytest.raises(ValueError, match="not enough values"):
        record._flat("<I16s", "<QQQ")

    assert record._flat("<I16s8s", "<IIQ").unpack(bytes(28)) == (0, 0, 0, 0, bytes(8))
    assert struct.calcsize("<I16s8s") == 28
