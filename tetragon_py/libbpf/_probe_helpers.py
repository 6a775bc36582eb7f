# SPDX-License-Identifier: Apache-2.0
"""Probes of single kernel helpers: a program that calls the helper is loaded.

The helper must be known to the kernel and allowed in the kind of program in which the
agent calls it. Nothing is attached, nothing runs.
"""

from __future__ import annotations

import struct

from tetragon_py.libbpf import _insn as insn
from tetragon_py.libbpf._attempt import (
    AbsentError,
    address,
    bpf_command,
    btf_number,
    load_program,
    owned,
    verifier_says,
)
from tetragon_py.libbpf._libbpf import ffi
from tetragon_py.libbpf._probes import (
    KPROBE,
    LSM,
    LSM_MAC,
    RAW_TRACEPOINT,
    TRACE_FENTRY,
    TRACE_RAW_TP,
    TRACING,
    _RENAME,
    hooked_function,
)
from tetragon_py.libbpf.btf import KIND_FUNC, KIND_TYPEDEF, type_id
