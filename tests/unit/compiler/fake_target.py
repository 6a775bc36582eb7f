# SPDX-License-Identifier: Apache-2.0
"""A kernel made of tables: what the compiler's tests may ask for."""

from __future__ import annotations

from dataclasses import dataclass, field

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.target import (
    CType,
    Member,
    Parameter,
    Signature,
    TracepointField,
)

VOID = CType("void")
INT = CType("integer", "int", 4, is_signed=True)
UINT = CType("integer", "unsigned int", 4)
U16 = CType("integer", "unsigned short", 2)
LONG = CType("integer", "long int", 8, is_signed=True)
ULONG = CType("integer", "long unsigned int", 8)
CHAR = CType("integer", "char", 1, is_signed=True)
FLAG = CType("integer", "_Bool", 1)
BPF_CMD = CType("enum", "bpf_cmd", 4)
REASON = CType("enum", "skb_drop_reason", 4)
KUID = CType("struct", size=4, typedef="kuid_t", id=90)
CAPABILITIES = CType("struct", size=8, typedef="kernel_cap_t", id=91)
UNNAMED = CType("union", size=16, id=92)


def struct(name: str, size: int, number: int, module: str = "") -> CType:
    return CType("struct", name, size, id=number, module=module)


TASK = struct("task_struct", 9000, 1)
MM = struct("mm_struct", 900, 2)
FILE = struct("file", 200, 3)
PATH = struct("path", 16, 4)
DENTRY = struct("dentry", 190, 5)
CRED = struct("cred", 170, 6)
SOCK = struct("sock", 700, 7)
SOCKET = struct("socket", 128, 8)
SKB = struct("sk_buff", 230, 9)
BPRM = struct("linux_binprm", 400, 10)
FILENAME = struct("filename", 40, 11)
SOCKADDR = struct("sockaddr", 16, 12)
IOV_ITER = struct("iov_iter", 40, 13)
DEVICE = struct("acme_device", 64, 14, module="acme")
INODE = struct("inode", 600, 15)


def pointer(to: CType) -> CType:
    return CType("pointer", size=8, to=to)


def array(of: CType, count: int) -> CType:
    return CType("array", size=of.size * count, to=of, count=count)


MEMBERS = {
    TASK.id: (
        Member("flags", 44, UINT),
        Member("", 48, UNNAMED),
        Member("mm", 1000, pointer(MM)),
        Member("sched_reset", 1080, UINT, bits=1),
        Member("pid", 1100, INT),
        Member("real_parent", 1200, pointer(TASK)),
        Member("cred", 1300, pointer(CRED)),
        Member("comm", 1400, array(CHAR, 16)),
        Member("stack", 1500, pointer(VOID)),
    ),
    MM.id: (
        Member("owner", 64, pointer(TASK)),
        Member("exe_file", 72, pointer(FILE)),
        Member("arg_start", 80, ULONG),
        Member("saved_auxv", 96, array(ULONG, 48)),
        Member("pages", 500, array(pointer(FILE), 4)),
        Member("table", 600, pointer(pointer(FILE))),
    ),
    FILE.id: (
        Member("f_path", 64, PATH),
        Member("f_inode", 80, pointer(INODE)),
        Member("f_flags", 88, UINT),
        Member("f_cred", 96, pointer(CRED)),
        Member("private_data", 104, pointer(VOID)),
    ),
    PATH.id: (Member("mnt", 0, pointer(VOID)), Member("dentry", 8, pointer(DENTRY))),
    CRED.id: (
        Member("uid", 8, KUID),
        Member("cap_effective", 56, CAPABILITIES),
    ),
    INODE.id: (Member("i_mode", 0, U16), Member("i_ino", 64, ULONG)),
    KUID.id: (Member("val", 0, UINT),),
    UNNAMED.id: (Member("on_cpu", 0, INT), Member("wake_cpu", 8, INT)),
    DEVICE.id: (
        Member("serial", 8, pointer(CHAR)),
        Member("level", 16, array(U16, 4)),
    ),
    BPRM.id: (Member("file", 64, pointer(FILE)), Member("argc", 96, INT)),
}


def signature(returns: CType, **parameters: CType) -> Signature:
    return Signature(tuple(Parameter(n, t) for n, t in parameters.items()), returns)


COMMON = (
    TracepointField("common_type", "unsigned short", 0, 2),
    TracepointField("common_flags", "unsigned char", 2, 1),
    TracepointField("common_preempt_count", "unsigned char", 3, 1),
    TracepointField("common_pid", "int", 4, 4, is_signed=True),
)
TRACEPOINTS = {
    "raw_syscalls/sys_enter": (
        TracepointField("id", "long", 8, 8, is_signed=True),
        TracepointField("args", "unsigned long[6]", 16, 48),
    ),
    "syscalls/sys_enter_openat": (
        TracepointField("__syscall_nr", "int", 8, 4, is_signed=True),
        TracepointField("dfd", "int", 16, 8),
        TracepointField("filename", "const char *", 24, 8),
        TracepointField("flags", "int", 32, 8),
        TracepointField("how", "struct file *", 40, 8),
    ),
    "sched/sched_process_exec": (
        TracepointField("filename", "__data_loc char[]", 8, 4, is_data_loc=True),
        TracepointField("pid", "pid_t", 12, 4, is_signed=True),
        TracepointField("comm", "char[16]", 20, 16),
    ),
    "skb/kfree_skb": (
        TracepointField("skbaddr", "void *", 8, 8),
        TracepointField("location", "void *", 16, 8),
        TracepointField("protocol", "unsigned short", 32, 2),
        TracepointField("saddr", "__u8[4]", 40, 4),
        TracepointField("sk", "const struct sock *", 48, 8),
        TracepointField("old", "__rel_loc char[]", 56, 4),
        TracepointField("blob", "struct thing", 64, 24),
    ),
}
FUNCTIONS = {
    "fd_install": signature(VOID, fd=UINT, file=pointer(FILE)),
    "tcp_connect": signature(INT, sk=pointer(SOCK)),
    "tcp_close": signature(VOID, sk=pointer(SOCK), timeout=LONG),
    "security_file_permission": signature(INT, file=pointer(FILE), mask=INT),
    "security_socket_connect": signature(
        INT, sock=pointer(SOCKET), address=pointer(SOCKADDR), addrlen=INT
    ),
    "security_bprm_check": signature(INT, bprm=pointer(BPRM)),
    "cap_capable": signature(INT, cred=pointer(CRED), ns=pointer(VOID), cap=INT),
    "vfs_write": signature(
        LONG, file=pointer(FILE), buf=pointer(CHAR), count=ULONG, pos=pointer(LONG)
    ),
    "acme_open": signature(INT, device=pointer(VOID)),
    "capset_hook": signature(
        INT, new=pointer(CRED), old=pointer(CRED), set=pointer(CAPABILITIES)
    ),
    "by_value": signature(INT, address=UNNAMED),
    "seven": signature(INT, **dict.fromkeys("abcdefg", INT)),
    "ksys_read": signature(LONG, fd=UINT, buf=pointer(CHAR), count=ULONG),
    "ksys_write": signature(LONG, fd=UINT, buf=pointer(CHAR), count=ULONG),
    "sock_from": signature(pointer(SOCK), fd=INT),
}
X64 = {
    "read": 0,
    "write": 1,
    "close": 3,
    "lseek": 8,
    "mmap": 9,
    "dup": 32,
    "dup2": 33,
    "connect": 42,
    "ptrace": 101,
    "setuid": 105,
    "sethostname": 170,
    "openat": 257,
    "mkdirat": 258,
    "bpf": 321,
}
I386 = {"read": 3, "openat": 295, "dup": 41, "ptrace": 26, "open": 5}


@dataclass
class FakeTarget:
    """Everything above; tests change single fields."""

    native_abi: str = "x64"
    features: frozenset[str] = frozenset()
    host_namespaces: dict[str, int] = field(
        default_factory=lambda: {
            name: 4026531835 + number
            for number, name in enumerate(c.NAMESPACES_FIELDS)
            if not name.startswith("time")
        }
    )
    text_bytes_max: int = c.LONG_TEXT_BYTES
    functions: dict[str, Signature] = field(default_factory=lambda: dict(FUNCTIONS))
    without_btf: tuple[str, ...] = ("no_btf", "__x64_sys_openat")
    syscalls: dict[str, dict[str, int]] = field(
        default_factory=lambda: {"x64": X64, "i386": I386}
    )
    tracepoints: dict[str, tuple[TracepointField, ...]] = field(
        default_factory=lambda: {n: (*COMMON, *f) for n, f in TRACEPOINTS.items()}
    )
    raw_tracepoints: dict[str, Signature] = field(
        default_factory=lambda: {
            "sched_switch": signature(
                VOID, preempt=FLAG, prev=pointer(TASK), next=pointer(TASK), state=UINT
            ),
            "kfree_skb": signature(VOID, skb=pointer(SKB), at=pointer(VOID), r=REASON),
        }
    )
    lsm_hooks: dict[str, Signature] = field(
        default_factory=lambda: {
            "file_open": signature(INT, file=pointer(FILE)),
            "bpf": signature(INT, cmd=BPF_CMD, attr=pointer(VOID), size=UINT),
            "bprm_check_security": signature(INT, bprm=pointer(BPRM)),
            "path_mkdir": signature(
                INT, dir=pointer(PATH), dentry=pointer(DENTRY), mode=U16
            ),
            "path_mknod": signature(
                INT, dir=pointer(PATH), dentry=pointer(DENTRY), mode=U16, dev=UINT
            ),
            "socket_connect": signature(
                INT, sock=pointer(SOCKET), address=pointer(SOCKADDR), addrlen=INT
            ),
            "task_fix_setuid": signature(
                INT, new=pointer(CRED), old=pointer(CRED), flags=INT
            ),
            "capable": signature(
                INT, cred=pointer(CRED), ns=pointer(VOID), cap=INT, opts=UINT
            ),
            "file_permission": signature(INT, file=pointer(FILE), mask=INT),
        }
    )
    structs: dict[tuple[str, str], CType] = field(
        default_factory=lambda: {
            ("task_struct", ""): TASK,
            ("file", ""): FILE,
            ("mm_struct", ""): MM,
            ("acme_device", "acme"): DEVICE,
        }
    )

    def has_symbol(self, name):
        return name in self.functions or name in self.without_btf

    def function(self, name):
        return self.functions.get(name)

    def syscall_number(self, name, abi):
        return self.syscalls.get(abi, {}).get(name)

    def syscall_names(self, abi):
        return self.syscalls.get(abi, {}).keys()

    def tracepoint(self, subsystem, event):
        return self.tracepoints.get(f"{subsystem}/{event}")

    def raw_tracepoint(self, name):
        return self.raw_tracepoints.get(name)

    def lsm_hook(self, name):
        return self.lsm_hooks.get(name)

    def names(self, kind):
        return {
            "function": [*self.functions, *self.without_btf],
            "syscall": list(self.syscalls[self.native_abi]),
            "tracepoint": list(self.tracepoints),
            "raw_tracepoint": list(self.raw_tracepoints),
            "lsm": list(self.lsm_hooks),
        }[kind]

    def struct(self, name, module=""):
        return self.structs.get((name, module))

    def members(self, struct):
        return MEMBERS.get(struct.id, ())
