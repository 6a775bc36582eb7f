# SPDX-License-Identifier: Apache-2.0
"""The kernel's types in the words of policies."""

from __future__ import annotations

import pytest

from tests.unit.compiler.fake_target import (
    BPF_CMD,
    CAPABILITIES,
    CHAR,
    CRED,
    FILE,
    FLAG,
    INT,
    LONG,
    PATH,
    REASON,
    SOCKADDR,
    TASK,
    U16,
    VOID,
    array,
    pointer,
)
from tetragon_py.compiler.capture.inference import (
    agrees,
    describe,
    field_shape,
    infer_type,
    integer_type,
    struct_name,
)
from tetragon_py.compiler.target import CType, TracepointField
from tetragon_py.policy.model.arguments import ArgumentType as Kind


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (INT, Kind.INT32),
        (U16, Kind.UINT16),
        (FLAG, Kind.UINT8),
        (LONG, Kind.INT64),
        (REASON, Kind.UINT32),
        (BPF_CMD, Kind.BPF_CMD),
        (pointer(CHAR), Kind.STRING),
        (array(CHAR, 16), Kind.STRING),
        (pointer(FILE), Kind.FILE),
        (PATH, Kind.PATH),
        (pointer(CAPABILITIES), Kind.KERNEL_CAP_T),
        (CAPABILITIES, Kind.KERNEL_CAP_T),
        (pointer(CRED), Kind.CRED),
        (pointer(CType("union", "bpf_attr", 120)), Kind.BPF_ATTR),
        (pointer(TASK), None),
        (pointer(VOID), None),
        (pointer(pointer(FILE)), None),
        (array(LONG, 4), None),
        (CType("integer", "__int128", 16), None),
    ],
)
def test_types(found, kind):
    """None: the policy has to say what it is."""
    assert infer_type(found) is kind


@pytest.mark.parametrize(
    ("kind", "found", "is_good"),
    [
        (Kind.CAPABILITY, INT, True),
        (Kind.CAPABILITY, LONG, False),
        (Kind.UINT32, INT, False),
        (Kind.CHAR_BUF, pointer(CHAR), True),
        (Kind.CHAR_BUF, array(CHAR, 4), False),
        (Kind.CAP_EFFECTIVE, pointer(CAPABILITIES), True),
        (Kind.CAP_EFFECTIVE, pointer(CRED), False),
        (Kind.SOCKADDR_UN, pointer(SOCKADDR), True),
        (Kind.SOCK, pointer(SOCKADDR), False),
        (Kind.SOCK, pointer(VOID), True),
    ],
)
def test_agreement(kind, found, is_good):
    """What says more than C does agrees with what C says."""
    assert agrees(kind, found) is is_good


def test_c_types_are_described():
    """As a C programmer would write them."""
    assert [
        describe(t) for t in (pointer(FILE), array(CHAR, 8), VOID, CAPABILITIES)
    ] == [
        "struct file *",
        "char[8]",
        "void",
        "kernel_cap_t",
    ]
    assert describe(pointer(VOID)) == "void *"
    assert describe(CType("struct")) == "struct (unnamed)"


def test_shapes_of_fields():
    """Sizes of elements come from the array, else from their names."""
    args = TracepointField("args", "unsigned long[6]", 16, 48)
    loc = TracepointField("a", "__data_loc u64[]", 8, 4, is_data_loc=True)
    text = TracepointField("name", "const char *", 8, 8)

    assert field_shape(args) == ("unsigned long", False, True, 8)
    assert field_shape(loc) == ("u64", False, True, 8)
    assert field_shape(text) == ("char", True, False, 1)


def test_numbers_by_size():
    """There is no number of three bytes."""
    assert integer_type(2, is_signed=True) is Kind.INT16
    assert integer_type(3, is_signed=True) is None
    assert (struct_name(Kind.SKB), struct_name(Kind.INT)) == ("sk_buff", "")
