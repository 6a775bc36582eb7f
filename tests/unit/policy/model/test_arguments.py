# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.policy.model.arguments: types and their properties."""

from __future__ import annotations

import pytest

from tetragon_py.policy.model.arguments import Argument, ArgumentType
from tetragon_py.policy.model.operators import TypeKind


@pytest.mark.parametrize(
    ("name", "kind", "bits", "is_signed"),
    [
        ("int", TypeKind.NUMBER, 32, True),
        ("sint8", TypeKind.NUMBER, 8, True),
        ("uint16", TypeKind.NUMBER, 16, False),
        ("long", TypeKind.NUMBER, 64, True),
        ("ulong", TypeKind.NUMBER, 64, False),
        ("size_t", TypeKind.NUMBER, 64, False),
        ("syscall64", TypeKind.NUMBER, 64, False),
        ("cap_effective", TypeKind.CAPABILITIES, 64, False),
        ("kernel_cap_t", TypeKind.CAPABILITIES, 64, False),
        ("string", TypeKind.STRING, 0, False),
        ("fd", TypeKind.FILE, 0, False),
        ("socket", TypeKind.SOCK, 0, False),
        ("sockaddr_un", TypeKind.SOCKADDR_UN, 0, False),
        ("net_device", TypeKind.DEVICE, 0, False),
        ("auto", TypeKind.AUTO, 0, False),
        ("cred", TypeKind.NONE, 0, False),
        ("nop", TypeKind.NONE, 0, False),
    ],
)
def test_types(name, kind, bits, is_signed):
    """A type knows what one may ask of it, its width and its sign."""
    found = ArgumentType(name)

    assert (found.kind, found.bits, found.is_signed) == (kind, bits, is_signed)


@pytest.mark.parametrize("text", ["ulong", "ULong", "unsigned long"])
def test_spellings(text):
    """Case does not count, and C's own name works."""
    argument = Argument.model_validate({"index": 0, "type": text})

    assert argument.type is ArgumentType.ULONG


def test_declared_type():
    """Where a path leads elsewhere, only the kernel knows the type."""
    plain = Argument.model_validate({"index": 0, "type": "int"})
    resolved = Argument.model_validate({"index": 0, "type": "int", "resolve": "a[1].b"})

    assert plain.declared_type is ArgumentType.INT
    assert resolved.declared_type is ArgumentType.AUTO


def test_all_types_of_the_schema():
    """Every type that is documented exists."""
    assert len(ArgumentType) == 52
