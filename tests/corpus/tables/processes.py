# SPDX-License-Identifier: Apache-2.0
"""Policies on processes: programs, ids, capabilities, namespaces, system calls."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from tests.corpus.example import Example
from tests.corpus.patterns import (
    Part,
    call,
    credentials,
    file,
    function,
    lsm,
    number,
    program,
    size,
    text,
    tracepoint,
)
from tests.corpus.triggers import processes
from tetragon_py.abi.syscalls import syscall_numbers
from tetragon_py.loader.syscalls import NATIVE_ABIS

if TYPE_CHECKING:
    from tests.corpus.patterns import Pattern
    from tests.corpus.told import Told

__all__ = ["PROCESSES"]

_ABI = NATIVE_ABIS[platform.machine()]
_NUMBERS = syscall_numbers(_ABI)
_OK = number(0)
_EXECUTABLE = "-rwxr-xr-x"
_TRUE, _SAMPLE = "/usr/bin/true", "/usr/bin/sample-exec"
_CREDENTIALS = "tracingpolicy/process-credentials/"
_SANDBOX = "tracingpolicy/sandbox/linux-namespaces/"


def _all_ids(prefix: str, value: int, **more: object) -> list[Pattern]:
    """The calls of processes._set_all."""
    same, keep = number(value), number(-1)
    return [
        function(prefix + name, *args, **more)
        for name, args in (
            ("setfsgid", [same]),
            ("setgid", [same]),
            ("setregid", [keep, same]),
            ("setresgid", [keep, same, keep]),
            ("setfsuid", [same]),
            ("setresuid", [keep, keep, same]),
            ("setreuid", [same, keep]),
            ("setuid", [same]),
        )
    ]


def _ids(kind: str, first: int) -> dict[str, int]:
    """After setresuid or setresgid of three numbers."""
    names = {"": first, "e": first + 1, "s": first + 2, "fs": first + 1}
    return {prefix + kind: value for prefix, value in names.items()}


def _raised(told: Told) -> list[Pattern]:
    text_ = "Process changed its capabilities using capset system call"
    namespace = (
        "Unprivileged process created a user namespace where it will be privileged"
    )
    sets = (
        credentials(uid=0, euid=0),
        {"cap_effective_arg": told["effective"]},
        {"cap_inheritable_arg": "0" * 16},
        {"cap_permitted_arg": told["permitted"]},
    )
    return [
        function("security_capset", *sets, message=text_),
        function("create_user_ns", message=namespace),
        *_all_ids("__sys_", 0),
    ]


def _changed_at_calls(told: Told) -> list[Pattern]:
    return [
        call(pattern["function_name"], *pattern["args"])
        for pattern in _all_ids("", 4712)
    ]


def _used(told: Told) -> list[Pattern]:
    host = {"inum": told["user_namespace"], "is_host": True}
    namespace = {"user_ns_arg": {"level": 0, "uid": 0, "gid": 0, "ns": host}}

    def checked(value: int, name: str, result: int) -> Pattern:
        capability = {"capability_arg": {"value": value, "name": name}}
        return function("cap_capable", namespace, capability, returned=number(result))

    return [checked(25, "CAP_SYS_TIME", -1), checked(21, "CAP_SYS_ADMIN", 0)]


def _committed(told: Told) -> list[Pattern]:
    return [function("commit_creds", credentials(**_ids("uid", 1011)))]


def _overridden(told: Told) -> list[Pattern]:
    return [
        *_committed(told),
        function("override_creds", credentials(uid=1011, fsuid=1011)),
        function("revert_creds", credentials(uid=1011, fsuid=1012)),
    ]


def _by(told: Told, hook: Pattern) -> list[Pattern]:
    hook["process"] = Part(pid=told["pid"])
    return [hook]


def _killed(told: Told) -> list[Pattern]:
    return [call("kill", process=Part(binary="/usr/bin/kill"))]


def _syscall(name: str) -> Pattern:
    argument = {"syscall_id": {"id": _NUMBERS[name], "abi": _ABI}}
    return tracepoint("raw_syscalls", "sys_enter", argument)


def _written(told: Told) -> list[Pattern]:
    written = call("write", number(1), {"bytes_arg": told["data"]}, size(told["size"]))
    return _by(told, written)


PROCESSES = [
    Example(
        "tracingpolicy/sys_setuid.yaml",
        processes.set_user,
        lambda _: [call("setuid", number(4711))],
        native=True,
    ),
    Example(
        _CREDENTIALS + "process.credentials.changes.at.syscalls.yaml",
        processes.set_ids_in_namespace,
        _changed_at_calls,
        native=True,
    ),
    Example(
        "tracingpolicy/sys_mount.yaml",
        processes.mount,
        lambda _: [call("mount", text("corpus-source"), text("/corpus/no/target"))],
        native=True,
    ),
    Example(
        "tracingpolicy/sys_ptrace.yaml",
        processes.trace,
        lambda _: [call("ptrace", number(4242))],
        native=True,
    ),
    Example(
        "tracingpolicy/sys_pivot_root.yaml",
        processes.pivot_root,
        lambda told: _by(
            told, call("pivot_root", text("/corpus/new"), text("/corpus/old"))
        ),
        native=True,
    ),
    Example(
        "tracingpolicy/sys_clock_settime.yaml",
        processes.set_clock,
        lambda told: _by(told, call("clock_settime", number(told["clock"]))),
        native=True,
    ),
    Example("tracingpolicy/write.yaml", processes.write_output, _written, native=True),
    Example(
        "tracingpolicy/list-syscalls.yaml",
        processes.duplicate,
        lambda _: [call("dup"), call("dup2")],
        native=True,
    ),
    Example(
        "tracingpolicy/list-syscalls-generated.yaml",
        processes.kill,
        _killed,
        native=True,
        has_others=True,
    ),
    Example(
        "tracingpolicy/list-syscalls-tracepoint.yaml",
        processes.duplicate,
        lambda _: [
            tracepoint("raw_syscalls", "sys_enter", size(_NUMBERS[name]))
            for name in ("dup", "dup2")
        ],
        native=True,
    ),
    Example(
        "tracingpolicy/killer.yaml",
        processes.duplicate_in_bash,
        lambda _: [_syscall("dup2")],
        native=True,
    ),
    Example(
        "tracingpolicy/raw_syscalls.yaml",
        processes.raw_calls,
        lambda _: [_syscall("getpgid")],
        native=True,
        has_others=True,
    ),
    Example(
        "tracingpolicy/rawtp.yaml",
        processes.execute,
        lambda _: [
            tracepoint("sched", "sched_process_exec", program(_TRUE, _EXECUTABLE))
        ],
        native=True,
    ),
    Example(
        "tracingpolicy/list-generated-ftrace.yaml",
        processes.kill,
        lambda _: [function("ksys_read", process=Part(binary="/usr/bin/kill"))],
        has_others=True,
    ),
    Example(
        "tracingpolicy/process-exec/process-exec-elf-begin.yaml",
        processes.execute,
        lambda _: [function("security_bprm_creds_from_file", file(_TRUE, _EXECUTABLE))],
    ),
    Example(
        "tracingpolicy/security_bprm_check.yaml",
        processes.execute_sample,
        lambda _: [function("security_bprm_check", program(_SAMPLE, _EXECUTABLE))],
    ),
    Example(
        "tracingpolicy/lsm_bprm_check.yaml",
        processes.execute_nop,
        lambda told: [lsm("bprm_check_security", program(told["path"], _EXECUTABLE))],
    ),
    Example(
        "tracingpolicy/lsm_track_grandparent.yml",
        processes.execute_as_grandchild,
        lambda _: [lsm("bprm_check_security", text("grandparent"))],
    ),
    Example(
        _SANDBOX + "kill_unprivileged_user_namespace.yaml",
        processes.unshare_user,
        lambda told: _by(told, function("create_user_ns")),
    ),
    Example(
        _SANDBOX + "kill_unprivileged_user_namespace_in_pid_namespace.yaml",
        processes.unshare_user_in_namespace,
        lambda told: _by(told, function("create_user_ns")),
    ),
    Example(
        "policylibrary/privileges/privileges-raise.yaml",
        processes.set_capabilities,
        _raised,
        has_others=True,
    ),
    Example(
        "policylibrary/privileges/privileges-setuid-root.yaml",
        processes.set_root,
        lambda _: _all_ids("__sys_", 0, returned=_OK),
    ),
    Example(
        "tracingpolicy/kprobe_commit_creds.yaml",
        processes.commit_credentials,
        lambda _: [
            function(
                "commit_creds",
                credentials(**_ids("uid", 1001), **_ids("gid", 2001)),
            )
        ],
        has_others=True,
    ),
    Example(
        _CREDENTIALS + "process-creds-installed.yaml",
        processes.commit_in_namespace,
        _committed,
    ),
    Example(
        _CREDENTIALS + "process-creds-changed.yaml",
        processes.commit_in_namespace,
        _overridden,
        has_others=True,
        refused={"7.2": "the kernel has no function 'override_creds'"},
    ),
    Example(
        _CREDENTIALS + "creds-capability-usage.yaml",
        processes.use_capability,
        _used,
        has_others=True,
    ),
]
