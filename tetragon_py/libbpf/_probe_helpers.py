# SPDX-License-Identifier: Apache-2.0
"""Probes of single kernel helpers: a program that calls the helper is loaded.

The helper must be known to the kernel and allowed in the kind of program in which the
agent calls it. Nothing is attached, nothing runs; each probe returns in words what it
found, or raises.
"""

from __future__ import annotations

import struct

from tetragon_py.libbpf import _insn as insn
from tetragon_py.libbpf._attempt import (
    AbsentError,
    AttachType,
    ProgramType,
    address,
    bpf_command,
    btf_number,
    load_program,
    owned,
    verifier_says,
)
from tetragon_py.libbpf._libbpf import ffi
from tetragon_py.libbpf._probe_hooks import RENAME, hooked_function
from tetragon_py.libbpf.btf import KIND_FUNC, KIND_TYPEDEF, type_id

__all__ = [
    "attach_cookie",
    "boot_clock",
    "copy_from_user",
    "function_argument",
    "ima_file_hash",
    "loop",
    "override_return",
    "path_in_lsm",
    "read_kernel",
    "send_signal",
    "task_registers",
    "task_storage",
]

_MAP_CREATE = 0
_BTF_LOAD = 18
_MAP_TYPE_TASK_STORAGE = 29
_BPF_F_NO_PREALLOC = 1
#: R3 = the address of 8 zero bytes on the stack
_ROOM = insn.store_number(10, -8, 0) + insn.copy(3, 10) + insn.add_number(3, -8)
#: R2 = the same, R3 = their number
_BUFFER = _ROOM + insn.copy(2, 3) + insn.set_number(3, 8)
#: R1 = the first argument of a function or hook
_FIRST_ARGUMENT = insn.load(1, 1, 0)


def boot_clock() -> str:
    """bpf_ktime_get_boot_ns()."""
    return _in_raw_tracepoint(insn.call(125))


def read_kernel() -> str:
    """bpf_probe_read_kernel(room, 8, 0); lockdown takes it away."""
    code = _ROOM + insn.copy(1, 3) + insn.set_number(2, 8) + insn.set_number(3, 0)
    return _in_raw_tracepoint(code + insn.call(113))


def send_signal() -> str:
    """bpf_send_signal(0)."""
    return _in_raw_tracepoint(insn.set_number(1, 0) + insn.call(109))


def _in_raw_tracepoint(code: bytes) -> str:
    with load_program(ProgramType.RAW_TRACEPOINT, code + insn.result(0)):
        return "loaded"


def attach_cookie() -> str:
    """bpf_get_attach_cookie(context)."""
    with load_program(ProgramType.KPROBE, insn.call(174) + insn.result(0)):
        return "loaded"


def override_return() -> str:
    """bpf_override_return(context, 0)."""
    code = insn.set_number(2, 0) + insn.call(58) + insn.result(0)
    with load_program(ProgramType.KPROBE, code):
        return "loaded, for functions that allow error injection"


def function_argument() -> str:
    """bpf_get_func_arg(context, 0, room)."""
    code = _ROOM + insn.set_number(2, 0) + insn.call(183) + insn.result(0)
    target = btf_number(hooked_function(), KIND_FUNC)
    with load_program(
        ProgramType.TRACING, code, attach_type=AttachType.FENTRY, btf_id=target
    ):
        return "loaded"


def loop() -> str:
    """bpf_loop(1, a number, ...), to be refused for its callback only.

    A callback would need BTF that describes the program.
    """
    code = (
        insn.set_number(1, 1)
        + insn.set_number(2, 0)
        + insn.set_number(3, 0)
        + insn.set_number(4, 0)
        + insn.call(181)
        + insn.result(0)
    )
    said = verifier_says(ProgramType.RAW_TRACEPOINT, code)
    if not said or "expected=func" in said:
        return "known to the verifier"
    lines = [line for line in said.splitlines() if "func" in line or "helper" in line]
    raise AbsentError(f"EINVAL: the verifier says: {(lines or ['nothing'])[0]}")


def path_in_lsm() -> str:
    """bpf_d_path(path, room, 8), in a hook that gets a path."""
    code = _FIRST_ARGUMENT + _BUFFER + insn.call(147) + insn.result(0)
    return _in_lsm("inode_getattr", code, sleepable=False)


def ima_file_hash() -> str:
    """bpf_ima_file_hash(file, room, 8); the kernel must be built with IMA as well."""
    code = _FIRST_ARGUMENT + _BUFFER + insn.call(193) + insn.result(0)
    said = _in_lsm("file_open", code, sleepable=True)
    if type_id("ima_file_hash", KIND_FUNC) is None:
        raise AbsentError("the helper is there, but the kernel is built without IMA")
    return said


def copy_from_user() -> str:
    """bpf_copy_from_user(room, 8, 0)."""
    code = (
        _ROOM
        + insn.copy(1, 3)
        + insn.set_number(2, 8)
        + insn.set_number(3, 0)
        + insn.call(148)
        + insn.result(0)
    )
    return _in_lsm("file_open", code, sleepable=True)


def _in_lsm(hook: str, code: bytes, *, sleepable: bool) -> str:
    target = btf_number(f"bpf_lsm_{hook}", KIND_FUNC)
    with load_program(
        ProgramType.LSM,
        code,
        attach_type=AttachType.LSM_MAC,
        btf_id=target,
        sleepable=sleepable,
    ):
        return "loaded"


def task_registers() -> str:
    """bpf_task_pt_regs(current task), in a tracepoint."""
    target = btf_number(f"btf_trace_{RENAME}", KIND_TYPEDEF)
    # bpf_get_current_task_btf
    code = insn.call(158) + insn.copy(1, 0) + insn.call(175) + insn.result(0)
    with load_program(
        ProgramType.TRACING, code, attach_type=AttachType.RAW_TP, btf_id=target
    ):
        return "loaded"


def task_storage() -> str:
    """bpf_task_storage_get(map, current task, NULL, create), in a tracepoint."""
    target = btf_number(f"btf_trace_{RENAME}", KIND_TYPEDEF)
    # its map wants BTF: one type, int; `struct btf_header`, `struct btf_type`, names
    types = struct.pack("=4I", 1, 1 << 24, 4, 32)
    names = b"\0int\0"
    head = struct.pack(
        "=HBB5I", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(names)
    )
    blob = ffi.new("char[]", head + types + names)
    size = len(head + types + names)
    with (
        # data, log | sizes, level
        owned(
            "load BTF", bpf_command(_BTF_LOAD, "2Q3I", address(blob), 0, size, 0, 0)
        ) as btf,
        owned(
            "create map",
            bpf_command(
                _MAP_CREATE,
                # type, key, value, entries, flags | unused | BTF, types of key, value
                "5I 28x 3I",
                *(_MAP_TYPE_TASK_STORAGE, 4, 8 // 2, 0, _BPF_F_NO_PREALLOC),
                *(btf, 1, 1),
            ),
        ) as storage,
        load_program(
            ProgramType.TRACING,
            insn.call(158)  # bpf_get_current_task_btf
            + insn.copy(2, 0)
            + insn.load_map(1, storage)
            + insn.set_number(3, 0)
            + insn.set_number(4, 1)
            + insn.call(156)
            + insn.result(0),
            attach_type=AttachType.RAW_TP,
            btf_id=target,
        ),
    ):
        return "loaded"
