# SPDX-License-Identifier: Apache-2.0
"""Registers by name, on both architectures."""

from __future__ import annotations

import pytest

from tetragon_py.compiler.capture.registers import find_register


@pytest.mark.parametrize(
    ("abi", "name", "is_syscall", "expected"),
    [
        ("x64", "rdi", False, (0, 8)),
        ("x64", "ecx", False, (3, 4)),
        ("x64", "ecx", True, None),
        ("x64", "r10d", True, (3, 4)),
        ("x64", "r10", False, None),
        ("x64", "x0", False, None),
        ("arm64", "x5", False, (5, 8)),
        ("arm64", "w3", True, (3, 4)),
        ("arm64", "x8", True, None),
        ("arm64", "rdi", False, None),
    ],
)
def test_registers(abi, name, is_syscall, expected):
    """The kernel takes a system call's fourth argument from r10: rcx is overwritten."""
    assert find_register(abi, name, is_syscall=is_syscall) == expected
