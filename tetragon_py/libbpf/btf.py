# SPDX-License-Identifier: Apache-2.0
"""Look-ups in the running kernel's type information (/sys/kernel/btf/vmlinux)."""

from __future__ import annotations

from tetragon_py.errors import UnsupportedError
from tetragon_py.libbpf._libbpf import lib
from tetragon_py.libbpf.messages import flush_messages

__all__ = [
    "KIND_FUNC",
    "KIND_STRUCT",
    "KIND_TYPEDEF",
    "KIND_VAR",
    "function_arguments",
    "has_kernel_btf",
    "has_preemptible_tracepoints",
    "require_kernel_btf",
    "type_id",
]

# Documentation/bpf/btf.rst
KIND_STRUCT = 4
KIND_TYPEDEF = 8
KIND_FUNC = 12
KIND_VAR = 14


def has_kernel_btf() -> bool:
    """Whether the kernel was built with CONFIG_DEBUG_INFO_BTF; parses it once."""
    result = lib.tpy_btf_load_kernel()
    flush_messages(quiet=True)
    return result == 0


def require_kernel_btf() -> None:
    """Raise UnsupportedError without it: programs could not be relocated."""
    if not has_kernel_btf():
        raise UnsupportedError(
            "kernel BTF",
            "5.10",
            "/sys/kernel/btf/vmlinux is missing; "
            "boot a kernel that is built with CONFIG_DEBUG_INFO_BTF=y",
        )


def type_id(name: str, kind: int) -> int | None:
    """The number of a type of the kernel, or None."""
    if not has_kernel_btf():
        return None
    found = lib.tpy_btf_find(name.encode(), kind)
    return found if found > 0 else None


def has_preemptible_tracepoints() -> bool:
    """Whether a task can be preempted in a program on a tracepoint (since Linux 7.0).

    Tracepoints are then guarded by fast SRCU: the SRCU of their own, which kernels up
    to 6.12 had for another purpose, and the counters that came with the fast kind
    (v6.15).
    """
    return (
        type_id("tracepoint_srcu_srcu_data", KIND_VAR) is not None
        and type_id("srcu_ctr", KIND_STRUCT) is not None
    )


def function_arguments(name: str) -> int | None:
    """How many arguments a kernel function has; None if there is no such one."""
    if not has_kernel_btf():
        return None
    count = lib.tpy_btf_function_arguments(name.encode())
    return count if count >= 0 else None
