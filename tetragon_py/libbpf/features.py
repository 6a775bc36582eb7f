# SPDX-License-Identifier: Apache-2.0
"""What the running kernel can do: each feature is tried, once, and never inferred.

A name of `FEATURES` comes in, a `ProbeResult` goes out; a failure of libbpf or the
kernel becomes its `reason`. The version is mainline's, for the reader: it decides
nothing. Needs root, or every reason is EPERM. For one thread at a time.
"""

from __future__ import annotations

import errno
import os
from functools import cache, partial
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from tetragon_py.errors import KernelError
from tetragon_py.libbpf import _probe_base as base
from tetragon_py.libbpf import _probe_helpers as helpers
from tetragon_py.libbpf import _probe_hooks as hooks
from tetragon_py.libbpf._attempt import AbsentError, AttachType, ProgramType
from tetragon_py.libbpf.messages import take_messages

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "FEATURES",
    "REQUIRED",
    "Feature",
    "Group",
    "ProbeResult",
    "probe",
    "probe_all",
]

Group: TypeAlias = Literal["base", "hooks", "enforcement", "helpers"]


class Feature(NamedTuple):
    """Something that a kernel has or has not.

    `attempt` says what it found, or raises; `needs` is what a kernel that is new enough
    may lack: a build option or a setting.
    """

    title: str
    group: Group
    since: str
    attempt: Callable[[], str]
    needs: str = ""


class ProbeResult(NamedTuple):
    """Whether the running kernel has a feature, and how the probe knows."""

    name: str
    title: str
    since: str
    available: bool
    reason: str


#: What process events need.
REQUIRED = ("kernel_btf", "ringbuf", "tp_btf", "iter_task", "read_kernel")

# Above each the commit that brought it; without one, that of the entry before.
FEATURES: dict[str, Feature] = {
    # Linux commit 341dfcf8d78e ("btf: expose BTF info through sysfs")
    "kernel_btf": Feature("types of the kernel", "base", "5.4", base.kernel_btf),
    # Linux commit 457f44363a88 ("bpf: Implement BPF ring buffer and verifier support
    # for it")
    "ringbuf": Feature("ring buffer", "base", "5.8", base.ring_buffer),
    # Linux commit ccfe29eb29c2 ("bpf: Add attach_btf_id attribute to program load")
    "tp_btf": Feature(
        "typed tracepoints",
        "base",
        "5.5",
        partial(hooks.typed_tracepoint, hooks.RENAME, hooks.rename_self),
    ),
    # Linux commit eaaacd23910f ("bpf: Add task and task/file iterator targets")
    "iter_task": Feature("iterator over tasks", "base", "5.8", base.task_iterator),
    # Linux commit 6ae08ae3dea2 ("bpf: Add probe_read_{user, kernel} and
    # probe_read_{user, kernel}_str helpers")
    "read_kernel": Feature(
        "memory of the kernel",
        "base",
        "5.5",
        helpers.read_kernel,
        "lockdown below confidentiality",
    ),
    # Linux commit 71d19214776e ("bpf: add bpf_ktime_get_boot_ns()")
    "boot_clock": Feature("clock since boot", "base", "5.8", helpers.boot_clock),
    # Linux commit 057996380a42 ("bpf: Add batch ops to all htab bpf map")
    "batch": Feature("map operations by batch", "base", "5.6", base.batch_operations),
    # Linux commit b2197755b263 ("bpf: add support for persistent maps/progs")
    "bpffs": Feature("bpf file system", "base", "4.4", base.bpf_file_system),
    # Linux commit 80ee81e0403c ("bpf: Eliminate rlimit-based memory accounting infra
    # for bpf maps")
    "memcg": Feature(
        "map memory by control group", "base", "5.11", base.memory_accounting
    ),
    # Linux commit d46edd671a14 ("bpf: Sharing bpf runtime stats with BPF_ENABLE_STATS")
    "bpf_stats": Feature("run time statistics", "base", "5.8", base.statistics),
    # Linux commit 1b4d60ec162f ("bpf: Enable BPF_PROG_TEST_RUN for raw_tracepoint")
    "test_run": Feature(
        "test run of raw tracepoints",
        "base",
        "5.10",
        partial(base.run_without_hook, ProgramType.RAW_TRACEPOINT),
    ),
    # Linux commit 79a7f8bdb159 ("bpf: Introduce bpf_sys_bpf() helper and program
    # type.")
    "syscall_prog": Feature(
        "programs run by a system call",
        "base",
        "5.14",
        partial(base.run_without_hook, ProgramType.SYSCALL),
    ),
    # Linux commit c4f6699dfcb8 ("bpf: introduce BPF_RAW_TRACEPOINT")
    "raw_tracepoint": Feature("raw tracepoints", "hooks", "4.17", hooks.raw_tracepoint),
    # Linux commit 98b5c2c65c29 ("perf, bpf: allow bpf programs attach to tracepoints")
    "tracepoint": Feature("perf tracepoints", "hooks", "4.7", hooks.perf_tracepoint),
    # Linux commit ccfe29eb29c2, as tp_btf
    "sys_enter": Feature(
        "entry of every system call",
        "hooks",
        "5.5",
        partial(hooks.typed_tracepoint, "sys_enter", hooks.get_group),
    ),
    # Linux commit e12f03d7031a ("perf/core: Implement the 'perf_kprobe' PMU")
    "kprobe": Feature(
        "kernel functions by kprobe", "hooks", "4.17", partial(hooks.kernel_probe, 0)
    ),
    "kretprobe": Feature(
        "their return by kprobe", "hooks", "4.17", partial(hooks.kernel_probe, 1)
    ),
    # Linux commit 0dcac2725406 ("bpf: Add multi kprobe link")
    "kprobe_multi": Feature(
        "lists of functions by one kprobe link",
        "hooks",
        "5.18",
        partial(hooks.kernel_probe_multi, AttachType.KPROBE_MULTI),
        "CONFIG_FPROBE",
    ),
    # Linux commit 535a3692ba72 ("bpf: Add support for kprobe session attach")
    "kprobe_session": Feature(
        "entry and return by one program",
        "hooks",
        "6.10",
        partial(hooks.kernel_probe_multi, AttachType.KPROBE_SESSION),
        "CONFIG_FPROBE",
    ),
    # Linux commit fec56f5890d9 ("bpf: Introduce BPF trampoline")
    "fentry": Feature(
        "kernel functions by trampoline",
        "hooks",
        "5.5",
        partial(hooks.trampoline, AttachType.FENTRY),
    ),
    "fexit": Feature(
        "their return by trampoline",
        "hooks",
        "5.5",
        partial(hooks.trampoline, AttachType.FEXIT),
    ),
    # Linux commit 33ea4b24277b ("perf/core: Implement the 'perf_uprobe' PMU")
    "uprobe": Feature("user functions", "hooks", "4.17", hooks.user_probe),
    # Linux commit 89ae89f53d20 ("bpf: Add multi uprobe link")
    "uprobe_multi": Feature(
        "lists of user functions by one link", "hooks", "6.6", hooks.user_probe_multi
    ),
    # Linux commit af6eea57437a ("bpf: Implement bpf_link-based cgroup BPF program
    # attachment")
    "cgroup_skb": Feature(
        "packets of a control group",
        "hooks",
        "5.7",
        partial(
            hooks.control_group, ProgramType.CGROUP_SKB, AttachType.CGROUP_INET_EGRESS
        ),
    ),
    "cgroup_connect4": Feature(
        "connects of a control group",
        "hooks",
        "5.7",
        partial(
            hooks.control_group,
            ProgramType.CGROUP_SOCK_ADDR,
            AttachType.CGROUP_INET4_CONNECT,
        ),
    ),
    # Linux commit 8b401f9ed244 ("bpf: implement bpf_send_signal() helper")
    "send_signal": Feature(
        "signal to the current process", "enforcement", "5.3", helpers.send_signal
    ),
    # Linux commit fc611f47f218 ("bpf: Introduce BPF_PROG_TYPE_LSM")
    "lsm": Feature(
        "deny by LSM",
        "enforcement",
        "5.7",
        partial(hooks.security_hook, "task_getpgid", hooks.get_group, sleepable=False),
    ),
    # Linux commit 423f16108c9d ("bpf: Augment the set of sleepable LSM hooks")
    "lsm_sleepable": Feature(
        "LSM programs that may sleep",
        "enforcement",
        "5.11",
        partial(
            hooks.security_hook, "socket_socketpair", hooks.make_pair, sleepable=True
        ),
    ),
    # Linux commit ae24082331d9 ("bpf: Introduce BPF_MODIFY_RETURN")
    "fmod_ret": Feature(
        "deny by changed return value",
        "enforcement",
        "5.7",
        partial(hooks.trampoline, AttachType.MODIFY_RETURN),
    ),
    # Linux commit ae24082331d9, for functions that allow error injection
    "fmod_ret_syscall": Feature(
        "deny system calls by return value",
        "enforcement",
        "5.7",
        hooks.system_call,
        "CONFIG_FUNCTION_ERROR_INJECTION",
    ),
    # Linux commit 9802d86585db ("bpf: add a bpf_override_function helper")
    "override_return": Feature(
        "deny by error injection",
        "enforcement",
        "4.16",
        helpers.override_return,
        "CONFIG_BPF_KPROBE_OVERRIDE",
    ),
    # Linux commit f92c1e183604 ("bpf: Add get_func_[arg|ret|arg_cnt] helpers")
    "get_func_arg": Feature(
        "argument by number", "helpers", "5.17", helpers.function_argument
    ),
    # Linux commit e6f2dd0f8067 ("bpf: Add bpf_loop helper")
    "bpf_loop": Feature("loops of any length", "helpers", "5.17", helpers.loop),
    # Linux commit 7adfc6c9b315 ("bpf: Add bpf_get_attach_cookie() BPF helper to access
    # bpf_cookie value")
    "attach_cookie": Feature(
        "number per attach point", "helpers", "5.15", helpers.attach_cookie
    ),
    # Linux commit a10787e6d58c ("bpf: Enable task local storage for tracing programs")
    "task_storage": Feature(
        "storage per task", "helpers", "5.12", helpers.task_storage
    ),
    # Linux commit dd6e10fbd9fb ("bpf: Add bpf_task_pt_regs() helper")
    "task_registers": Feature(
        "registers of a system call", "helpers", "5.15", helpers.task_registers
    ),
    # Linux commit 6f100640ca5b ("bpf: Expose bpf_d_path helper to sleepable LSM hooks")
    "d_path": Feature("paths in LSM programs", "helpers", "5.11", helpers.path_in_lsm),
    # Linux commit 174b16946e39 ("bpf-lsm: Introduce new helper bpf_ima_file_hash()")
    "ima_file_hash": Feature(
        "hash of a file's content", "helpers", "5.18", helpers.ima_file_hash
    ),
    # 423f16108c9d, as above: the helper itself is of 5.10
    "copy_from_user": Feature(
        "user memory that is swapped out", "helpers", "5.11", helpers.copy_from_user
    ),
}

_UNKNOWN = "unknown to this kernel"
_UNBUILT = "not built into this kernel"
_ENOTSUPP = 524  # the kernel's own
# What a failure means to an operator.
_MEANING = {
    errno.EPERM: "not permitted: lockdown, a missing capability or a hardened kernel",
    errno.EACCES: "not permitted, or refused by the verifier",
    errno.EINVAL: _UNKNOWN,
    errno.E2BIG: _UNKNOWN,
    errno.ENOENT: "this kernel has no such hook",
    errno.ENOSYS: _UNBUILT,
    errno.ENODEV: _UNBUILT,
    errno.EOPNOTSUPP: _UNBUILT,
    errno.EBUSY: "somebody else holds the hook",
    _ENOTSUPP: "not supported on this architecture or by this kernel",
}
#: Python's errno has no name for the first and an old one for the second.
_NAMES = {_ENOTSUPP: "ENOTSUPP", errno.EOPNOTSUPP: "EOPNOTSUPP"}


@cache
def probe(name: str) -> ProbeResult:
    """Try one feature; later calls give the same answer."""
    feature = FEATURES[name]
    try:
        available, reason = True, feature.attempt()
    except AbsentError as error:
        available, reason = False, str(error)
    except KernelError as error:
        available, reason = False, _explain(error.errno, error.operation, feature)
    except OSError as error:
        symbol = errno.errorcode.get(error.errno or 0, "OSError")
        available, reason = False, f"{symbol}: {error.strerror}: {error.filename}"
    take_messages()  # the reason says it all
    return ProbeResult(name, feature.title, feature.since, available, reason)


def probe_all() -> list[ProbeResult]:
    """Try every feature, in the order of the table."""
    return [probe(name) for name in FEATURES]


def _explain(number: int, operation: str, feature: Feature) -> str:
    name = _NAMES.get(number) or errno.errorcode.get(number, str(number))
    meaning = _MEANING.get(number) or os.strerror(number)
    if feature.needs and meaning in {_UNKNOWN, _UNBUILT}:
        meaning += f" (it needs {feature.needs})"
    return f"{name} at {operation}: {meaning}"
