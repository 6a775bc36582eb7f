# SPDX-License-Identifier: Apache-2.0
"""Look-ups in this kernel's types."""

from __future__ import annotations

import pytest

from tetragon_py.errors import UnsupportedError
from tetragon_py.libbpf import btf
from tetragon_py.libbpf.btf import (
    KIND_FUNC,
    KIND_STRUCT,
    KIND_TYPEDEF,
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
