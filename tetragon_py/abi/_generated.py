# SPDX-License-Identifier: Apache-2.0
"""Generated from bpf/abi/*.h by `make abi`: never edited, checked by the tests."""

EXEC_AFTER_FORK = 0x1
EXEC_SETUID = 0x2
EXEC_SETGID = 0x4
EXEC_FILE_CAPS = 0x8
EXEC_PARENT_UNKNOWN = 0x10
EXEC_ARGUMENTS_CUT = 0x20
EXEC_ENVIRONMENT_CUT = 0x40
PATH_CUT = 0x1
PATH_DELETED = 0x2
PATH_UNREACHABLE = 0x4
PATH_PSEUDO = 0x8
HOOK_MATCHES_MAX = 64
HOOK_ARGUMENTS_MAX = 16
ARGUMENT_TEXT_MAX = 4096
ARGUMENTS_BYTES_MAX = 16384
ARGUMENT_CUT = 0x1
ACTION_POST = 0x1
ACTION_NO_POST = 0x2
ACTION_TRACK_SOCK = 0x4
ACTION_UNTRACK_SOCK = 0x8
ACTION_SIGNAL = 0x10
ACTION_OVERRIDE = 0x20
ACTION_NOTIFY_ENFORCER = 0x40
ACTION_CLEANUP_ENFORCER = 0x80
ACTION_SET = 0x100
ACTION_ENFORCE = 0x200
HOOK_RETURNED = 0x1
HOOK_CONTINUED = 0x2
HOOK_ARGUMENTS_CUT = 0x4
HOOK_PROCESS_UNKNOWN = 0x8
HOOKS_MAX = 2048
SELECTORS_MAX = 1024
VECTOR_WORDS = 16
DIMENSIONS_MAX = 24
STEPS_MAX = 10
SYSCALL_NUMBERS = 1024
TEXT_KEY_BYTES = 248
SUBSTRING_BYTES_MAX = 1024
FOLLOW_SETS_MAX = 64
GUARD_COMPAT = 0x80000000
GUARD_IO_URING = 0x40000000
GUARD_IO_URING_MAX = 16
REPEATS_TOLD = 100
REPEATS_WINDOW_NS = 1000000000
CLASS_HAS_BINARIES = 0x1
CLASS_HAS_PIDS = 0x2
DIMENSION_SIGNED = 0x1
DIMENSION_AT_RETURN = 0x2
ARGUMENT_FILTERED = 0x1
ARGUMENT_AT_RETURN = 0x2
ARGUMENT_SIZE_RETURNED = 0x4
HOOK_WANTS_RETURN = 0x1
HOOK_HAS_SOCK = 0x4
HOOK_SOCK_SHIFT = 8
HOOK_KILLS = 0x8
HOOK_WANTS_CLASS = 0x2
SHORT_TEXT_BYTES = 472
LONG_TEXT_BYTES = 4096
PATH_MAX_BYTES = 4096
PATH_COMPONENTS_MAX = 2048
TTY_MAX_BYTES = 64
CGROUP_MAX_BYTES = 4096
ARGUMENTS_MAX_BYTES = 196608
ENVIRONMENT_MAX_BYTES = 131072
PROCESS_EXECED = 0x1
LOSS_INDEX_COUNT = 32

LANE_LIFECYCLE = 0
LANE_VERDICT = 1
LANE_POLICY = 2
LANE_COUNT = 3

EVENT_NONE = 0
EVENT_FORK = 1
EVENT_EXEC = 2
EVENT_EXIT = 3
EVENT_HOOK = 4
EVENT_TYPE_COUNT = 5

IMAGE_FILENAME = 0
IMAGE_INTERPRETER = 1
IMAGE_EXECUTABLE = 2
IMAGE_CWD = 3
IMAGE_TTY = 4
IMAGE_CGROUP = 5
IMAGE_TEXT_COUNT = 6

ARGUMENT_NONE = 0
ARGUMENT_INT32 = 1
ARGUMENT_INT16 = 2
ARGUMENT_INT8 = 3
ARGUMENT_UINT32 = 4
ARGUMENT_UINT16 = 5
ARGUMENT_UINT8 = 6
ARGUMENT_INT64 = 7
ARGUMENT_UINT64 = 8
ARGUMENT_SYSCALL64 = 9
ARGUMENT_CAPABILITY = 10
ARGUMENT_KERNEL_CAP = 11
ARGUMENT_CAP_INHERITABLE = 12
ARGUMENT_CAP_PERMITTED = 13
ARGUMENT_CAP_EFFECTIVE = 14
ARGUMENT_BPF_CMD = 15
ARGUMENT_STRING = 16
ARGUMENT_NET_DEVICE = 17
ARGUMENT_CHAR_BUF = 18
ARGUMENT_CONST_BUF = 19
ARGUMENT_FILE = 20
ARGUMENT_PATH = 21
ARGUMENT_DENTRY = 22
ARGUMENT_LINUX_BINPRM = 23
ARGUMENT_SOCK = 24
ARGUMENT_SKB = 25
ARGUMENT_SOCKADDR = 26
ARGUMENT_SOCKADDR_UN = 27
ARGUMENT_CRED = 28
ARGUMENT_USER_NAMESPACE = 29
ARGUMENT_MODULE = 30
ARGUMENT_LOAD_INFO = 31
ARGUMENT_BPF_ATTR = 32
ARGUMENT_BPF_PROG = 33
ARGUMENT_BPF_MAP = 34
ARGUMENT_PERF_EVENT = 35
ARGUMENT_NOP = 36
ARGUMENT_TYPE_COUNT = 37

MECHANISM_NONE = 0
MECHANISM_LSM = 1
MECHANISM_FMOD_RET = 2
MECHANISM_OVERRIDE_RETURN = 3

DIMENSION_NONE = 0
DIMENSION_RANGE = 1
DIMENSION_BITS = 2
DIMENSION_NO_BITS = 3
DIMENSION_CLASS = 4
DIMENSION_TEXT = 5
DIMENSION_TEXT_END = 6
DIMENSION_TEXT_WHOLE = 7
DIMENSION_SUBSTRING = 8
DIMENSION_NO_SUBSTRING = 9
DIMENSION_ADDRESS = 10
DIMENSION_KIND_COUNT = 11

SOURCE_ARGUMENT = 0
SOURCE_RETURN = 1
SOURCE_PID = 2
SOURCE_NAMESPACE_PID = 3
SOURCE_BINARY = 4
SOURCE_FOLLOWED = 5
SOURCE_NAMESPACE = 6
SOURCE_NAMESPACES_CHANGED = 7
SOURCE_CAPABILITIES = 8
SOURCE_CAPABILITIES_CHANGED = 9
SOURCE_CAPABILITIES_GAINED = 10
SOURCE_ENFORCER = 11
SOURCE_COUNT = 12

CAPABILITIES_EFFECTIVE = 0
CAPABILITIES_INHERITABLE = 1
CAPABILITIES_PERMITTED = 2
CAPABILITY_SET_COUNT = 3

BINARY_BEGIN = 0
BINARY_END = 1
BINARY_PARENT_BEGIN = 2
BINARY_PARENT_END = 3
BINARY_CLASS_COUNT = 4

FROM_REGISTER = 0
FROM_FIELD = 1
FROM_DATA_LOC = 2
FROM_TASK = 3
FROM_RETURN = 4
FROM_SYSCALL = 5

FORM_PLAIN = 0
FORM_MEMORY = 1
FORM_USER = 2
FORM_KERNEL = 3
FORM_FD = 4
FORM_KIOCB = 5
FORM_FILENAME = 6
FORM_SOCKET = 7
FORM_IOVEC = 8
FORM_IOV_ITER = 9
FORM_INLINE = 10
FORM_CHILD = 11

RATE_THREAD = 0
RATE_PROCESS = 1
RATE_GLOBAL = 2

LOSS_RING_FULL = 0
LOSS_TABLE_FULL = 1
LOSS_NO_SCRATCH = 2
LOSS_NOT_RUN = 3
LOSS_VERDICTS_FULL = 4
LOSS_CAUSE_COUNT = 5

PROCESS_KEY_FORMAT = "<QI4x"
PROCESS_KEY_SIZE = 16
PROCESS_KEY_FIELDS = (
    "start_boottime_ns",
    "tgid",
)
PROCESS_KEY_OFFSETS = {
    "start_boottime_ns": 0,
    "tgid": 8,
    "_pad": 12,
}

PROCESS_CLASS_FORMAT = "<4IQ"
PROCESS_CLASS_SIZE = 24
PROCESS_CLASS_FIELDS = (
    "binary",
    "followed",
)
PROCESS_CLASS_OFFSETS = {
    "binary": 0,
    "followed": 16,
}

NAMESPACES_FORMAT = "<IIIIIIIIII"
NAMESPACES_SIZE = 40
NAMESPACES_FIELDS = (
    "uts",
    "ipc",
    "mnt",
    "pid",
    "pid_for_children",
    "net",
    "time",
    "time_for_children",
    "cgroup",
    "user",
)
NAMESPACES_OFFSETS = {
    "uts": 0,
    "ipc": 4,
    "mnt": 8,
    "pid": 12,
    "pid_for_children": 16,
    "net": 20,
    "time": 24,
    "time_for_children": 28,
    "cgroup": 32,
    "user": 36,
}

PROCESS_ENTRY_FORMAT = "<Q16sQI4x48s3Q40s"
PROCESS_ENTRY_SIZE = 152
PROCESS_ENTRY_FIELDS = (
    "start_boottime_ns",
    "parent",
    "execs",
    "flags",
    "classes",
    "capabilities",
    "namespaces",
)
PROCESS_ENTRY_OFFSETS = {
    "start_boottime_ns": 0,
    "parent": 8,
    "execs": 24,
    "flags": 32,
    "_pad": 36,
    "classes": 40,
    "capabilities": 88,
    "namespaces": 112,
}

CREDENTIALS_FORMAT = "<IIIIIIIIIIQQQQQ"
CREDENTIALS_SIZE = 80
CREDENTIALS_FIELDS = (
    "uid",
    "gid",
    "euid",
    "egid",
    "suid",
    "sgid",
    "fsuid",
    "fsgid",
    "securebits",
    "login_uid",
    "permitted",
    "effective",
    "inheritable",
    "ambient",
    "bounding",
)
CREDENTIALS_OFFSETS = {
    "uid": 0,
    "gid": 4,
    "euid": 8,
    "egid": 12,
    "suid": 16,
    "sgid": 20,
    "fsuid": 24,
    "fsgid": 28,
    "securebits": 32,
    "login_uid": 36,
    "permitted": 40,
    "effective": 48,
    "inheritable": 56,
    "ambient": 64,
    "bounding": 72,
}

EVENT_HEADER_FORMAT = "<IBBHQQ"
EVENT_HEADER_SIZE = 24
EVENT_HEADER_FIELDS = (
    "size",
    "type",
    "lane",
    "cpu",
    "sequence",
    "boottime_ns",
)
EVENT_HEADER_OFFSETS = {
    "size": 0,
    "type": 4,
    "lane": 5,
    "cpu": 6,
    "sequence": 8,
    "boottime_ns": 16,
}

EVENT_FORK_FORMAT = "<24s16s16sII40s"
EVENT_FORK_SIZE = 104
EVENT_FORK_FIELDS = (
    "header",
    "process",
    "parent",
    "namespaces_changed",
    "nspid",
    "namespaces",
)
EVENT_FORK_OFFSETS = {
    "header": 0,
    "process": 24,
    "parent": 40,
    "namespaces_changed": 56,
    "nspid": 60,
    "namespaces": 64,
}

IMAGE_FORMAT = "<QQIIIBB2x6i80s40s"
IMAGE_SIZE = 176
IMAGE_FIELDS = (
    "inode",
    "cgroup_id",
    "links",
    "device",
    "mode",
    "cwd_flags",
    "executable_flags",
    "lengths",
    "credentials",
    "namespaces",
)
IMAGE_OFFSETS = {
    "inode": 0,
    "cgroup_id": 8,
    "links": 16,
    "device": 20,
    "mode": 24,
    "cwd_flags": 28,
    "executable_flags": 29,
    "_pad": 30,
    "lengths": 32,
    "credentials": 56,
    "namespaces": 136,
}

EVENT_EXEC_FORMAT = "<24s16s16sIIIIIIii176s"
EVENT_EXEC_SIZE = 264
EVENT_EXEC_FIELDS = (
    "header",
    "process",
    "parent",
    "flags",
    "tid_before",
    "nspid",
    "image_bytes",
    "arguments_bytes",
    "environment_bytes",
    "arguments_length",
    "environment_length",
    "image",
)
EVENT_EXEC_OFFSETS = {
    "header": 0,
    "process": 24,
    "parent": 40,
    "flags": 56,
    "tid_before": 60,
    "nspid": 64,
    "image_bytes": 68,
    "arguments_bytes": 72,
    "environment_bytes": 76,
    "arguments_length": 80,
    "environment_length": 84,
    "image": 88,
}

EVENT_EXIT_FORMAT = "<24s16sII"
EVENT_EXIT_SIZE = 48
EVENT_EXIT_FIELDS = (
    "header",
    "process",
    "status",
    "tid",
)
EVENT_EXIT_OFFSETS = {
    "header": 0,
    "process": 24,
    "status": 40,
    "tid": 44,
}

TASK_IMAGE_FORMAT = "<16s16sIII4xQ16s80s40s"
TASK_IMAGE_SIZE = 192
TASK_IMAGE_FIELDS = (
    "process",
    "parent",
    "flags",
    "nspid",
    "kernel_thread",
    "cgroup_id",
    "comm",
    "credentials",
    "namespaces",
)
TASK_IMAGE_OFFSETS = {
    "process": 0,
    "parent": 16,
    "flags": 32,
    "nspid": 36,
    "kernel_thread": 40,
    "_pad": 44,
    "cgroup_id": 48,
    "comm": 56,
    "credentials": 72,
    "namespaces": 152,
}

ARGUMENT_HEAD_FORMAT = "<BBBBi"
ARGUMENT_HEAD_SIZE = 8
ARGUMENT_HEAD_FIELDS = (
    "slot",
    "type",
    "flags",
    "depth",
    "length",
)
ARGUMENT_HEAD_OFFSETS = {
    "slot": 0,
    "type": 1,
    "flags": 2,
    "depth": 3,
    "length": 4,
}

ARGUMENT_BUFFER_FORMAT = "<Q"
ARGUMENT_BUFFER_SIZE = 8
ARGUMENT_BUFFER_FIELDS = ("bytes",)
ARGUMENT_BUFFER_OFFSETS = {
    "bytes": 0,
}

ARGUMENT_PATH_FORMAT = "<QIIII"
ARGUMENT_PATH_SIZE = 24
ARGUMENT_PATH_FIELDS = (
    "inode",
    "device",
    "mode",
    "open_flags",
    "flags",
)
ARGUMENT_PATH_OFFSETS = {
    "inode": 0,
    "device": 8,
    "mode": 12,
    "open_flags": 16,
    "flags": 20,
}

ARGUMENT_SOCK_FORMAT = "<QHHHHHHIIIIHH16s16s"
ARGUMENT_SOCK_SIZE = 72
ARGUMENT_SOCK_FIELDS = (
    "cookie",
    "family",
    "protocol",
    "type",
    "state",
    "source_port",
    "destination_port",
    "mark",
    "priority",
    "hash",
    "length",
    "security_path_length",
    "security_path_original_length",
    "source_address",
    "destination_address",
)
ARGUMENT_SOCK_OFFSETS = {
    "cookie": 0,
    "family": 8,
    "protocol": 10,
    "type": 12,
    "state": 14,
    "source_port": 16,
    "destination_port": 18,
    "mark": 20,
    "priority": 24,
    "hash": 28,
    "length": 32,
    "security_path_length": 36,
    "security_path_original_length": 38,
    "source_address": 40,
    "destination_address": 56,
}

ARGUMENT_USER_NAMESPACE_FORMAT = "<iIII"
ARGUMENT_USER_NAMESPACE_SIZE = 16
ARGUMENT_USER_NAMESPACE_FIELDS = (
    "level",
    "uid",
    "gid",
    "inum",
)
ARGUMENT_USER_NAMESPACE_OFFSETS = {
    "level": 0,
    "uid": 4,
    "gid": 8,
    "inum": 12,
}

ARGUMENT_MODULE_FORMAT = "<QI4x"
ARGUMENT_MODULE_SIZE = 16
ARGUMENT_MODULE_FIELDS = (
    "taints",
    "signature_ok",
)
ARGUMENT_MODULE_OFFSETS = {
    "taints": 0,
    "signature_ok": 8,
    "_pad": 12,
}

ARGUMENT_BPF_FORMAT = "<IIIII4x"
ARGUMENT_BPF_SIZE = 24
ARGUMENT_BPF_FIELDS = (
    "type",
    "instructions",
    "key_size",
    "value_size",
    "max_entries",
)
ARGUMENT_BPF_OFFSETS = {
    "type": 0,
    "instructions": 4,
    "key_size": 8,
    "value_size": 12,
    "max_entries": 16,
    "_pad": 20,
}

ARGUMENT_PERF_EVENT_FORMAT = "<I4xQQ"
ARGUMENT_PERF_EVENT_SIZE = 24
ARGUMENT_PERF_EVENT_FIELDS = (
    "type",
    "config",
    "probe_offset",
)
ARGUMENT_PERF_EVENT_OFFSETS = {
    "type": 0,
    "_pad": 4,
    "config": 8,
    "probe_offset": 16,
}

HOOK_MATCH_FORMAT = "<IHHHHi"
HOOK_MATCH_SIZE = 16
HOOK_MATCH_FIELDS = (
    "policy",
    "selector",
    "actions",
    "done",
    "mechanism",
    "error",
)
HOOK_MATCH_OFFSETS = {
    "policy": 0,
    "selector": 4,
    "actions": 6,
    "done": 8,
    "mechanism": 10,
    "error": 12,
}

EVENT_HOOK_FORMAT = "<24s16sIIIHBBQ"
EVENT_HOOK_SIZE = 64
EVENT_HOOK_FIELDS = (
    "header",
    "process",
    "tid",
    "hook",
    "generation",
    "matches",
    "arguments",
    "flags",
    "entry_ns",
)
EVENT_HOOK_OFFSETS = {
    "header": 0,
    "process": 24,
    "tid": 40,
    "hook": 44,
    "generation": 48,
    "matches": 52,
    "arguments": 54,
    "flags": 55,
    "entry_ns": 56,
}

VECTOR_FORMAT = "<16Q"
VECTOR_SIZE = 128
VECTOR_FIELDS = ("words",)
VECTOR_OFFSETS = {
    "words": 0,
}

CLASS_CONFIG_FORMAT = "<IIIIII"
CLASS_CONFIG_SIZE = 24
CLASS_CONFIG_FIELDS = (
    "begin_table",
    "end_table",
    "begin_follow_rows",
    "end_follow_rows",
    "flags",
    "pid_table",
)
CLASS_CONFIG_OFFSETS = {
    "begin_table": 0,
    "end_table": 4,
    "begin_follow_rows": 8,
    "end_follow_rows": 12,
    "flags": 16,
    "pid_table": 20,
}

PID_KEY_FORMAT = "<II"
PID_KEY_SIZE = 8
PID_KEY_FIELDS = (
    "table",
    "pid",
)
PID_KEY_OFFSETS = {
    "table": 0,
    "pid": 4,
}

SYSCALL_HOOKS_FORMAT = "<II"
SYSCALL_HOOKS_SIZE = 8
SYSCALL_HOOKS_FIELDS = (
    "native",
    "compat",
)
SYSCALL_HOOKS_OFFSETS = {
    "native": 0,
    "compat": 4,
}

GUARD_KEY_FORMAT = "<II"
GUARD_KEY_SIZE = 8
GUARD_KEY_FIELDS = (
    "guard",
    "call",
)
GUARD_KEY_OFFSETS = {
    "guard": 0,
    "call": 4,
}

ENFORCER_VERDICT_FORMAT = "<IiI4x"
ENFORCER_VERDICT_SIZE = 16
ENFORCER_VERDICT_FIELDS = (
    "enforcer",
    "error",
    "signal",
)
ENFORCER_VERDICT_OFFSETS = {
    "enforcer": 0,
    "error": 4,
    "signal": 8,
    "_pad": 12,
}

REPEAT_KEY_FORMAT = "<II"
REPEAT_KEY_SIZE = 8
REPEAT_KEY_FIELDS = (
    "tgid",
    "policy",
)
REPEAT_KEY_OFFSETS = {
    "tgid": 0,
    "policy": 4,
}

REPEAT_FORMAT = "<QQQQQIHHHHi"
REPEAT_SIZE = 56
REPEAT_FIELDS = (
    "window_ns",
    "last_ns",
    "start_boottime_ns",
    "told",
    "counted",
    "hook",
    "selector",
    "actions",
    "done",
    "mechanism",
    "error",
)
REPEAT_OFFSETS = {
    "window_ns": 0,
    "last_ns": 8,
    "start_boottime_ns": 16,
    "told": 24,
    "counted": 32,
    "hook": 40,
    "selector": 44,
    "actions": 46,
    "done": 48,
    "mechanism": 50,
    "error": 52,
}

DIMENSION_FORMAT = "<BBBBHHIIII"
DIMENSION_SIZE = 24
DIMENSION_FIELDS = (
    "kind",
    "source",
    "slot",
    "width",
    "offset",
    "flags",
    "table",
    "count",
    "miss",
    "error",
)
DIMENSION_OFFSETS = {
    "kind": 0,
    "source": 1,
    "slot": 2,
    "width": 3,
    "offset": 4,
    "flags": 6,
    "table": 8,
    "count": 12,
    "miss": 16,
    "error": 20,
}

ARGUMENT_CONFIG_FORMAT = "<BBBBHHBBB1xI"
ARGUMENT_CONFIG_SIZE = 16
ARGUMENT_CONFIG_FIELDS = (
    "type",
    "source",
    "form",
    "index",
    "offset",
    "size",
    "size_register",
    "steps",
    "flags",
    "first_step",
)
ARGUMENT_CONFIG_OFFSETS = {
    "type": 0,
    "source": 1,
    "form": 2,
    "index": 3,
    "offset": 4,
    "size": 6,
    "size_register": 8,
    "steps": 9,
    "flags": 10,
    "_pad": 11,
    "first_step": 12,
}

RESOLVE_STEP_FORMAT = "<II"
RESOLVE_STEP_SIZE = 8
RESOLVE_STEP_FIELDS = (
    "offset",
    "dereference",
)
RESOLVE_STEP_OFFSETS = {
    "offset": 0,
    "dereference": 4,
}

HOOK_CONFIG_FORMAT = "<IIIHBBBBH256s576s"
HOOK_CONFIG_SIZE = 852
HOOK_CONFIG_FIELDS = (
    "generation",
    "first_selector",
    "return_vector",
    "selectors",
    "words",
    "arguments",
    "dimensions",
    "return_dimensions",
    "flags",
    "argument",
    "dimension",
)
HOOK_CONFIG_OFFSETS = {
    "generation": 0,
    "first_selector": 4,
    "return_vector": 8,
    "selectors": 12,
    "words": 14,
    "arguments": 15,
    "dimensions": 16,
    "return_dimensions": 17,
    "flags": 18,
    "argument": 20,
    "dimension": 276,
}

SOCK_OWNER_FORMAT = "<16sI4x"
SOCK_OWNER_SIZE = 24
SOCK_OWNER_FIELDS = (
    "process",
    "tid",
)
SOCK_OWNER_OFFSETS = {
    "process": 0,
    "tid": 16,
    "_pad": 20,
}

SELECTOR_FORMAT = "<IHHIHHIiBBBBIIB3x"
SELECTOR_SIZE = 40
SELECTOR_FIELDS = (
    "policy",
    "number",
    "policy_end",
    "counter",
    "actions",
    "arguments",
    "monitored",
    "error",
    "signal",
    "sock_slot",
    "rate_scope",
    "tells_return",
    "rate_ms",
    "enforcer",
    "failure_signal",
)
SELECTOR_OFFSETS = {
    "policy": 0,
    "number": 4,
    "policy_end": 6,
    "counter": 8,
    "actions": 12,
    "arguments": 14,
    "monitored": 16,
    "error": 20,
    "signal": 24,
    "sock_slot": 25,
    "rate_scope": 26,
    "tells_return": 27,
    "rate_ms": 28,
    "enforcer": 32,
    "failure_signal": 36,
    "_pad": 37,
}

SELECTOR_COUNTERS_FORMAT = "<QQQQQQQQQQ"
SELECTOR_COUNTERS_SIZE = 80
SELECTOR_COUNTERS_FIELDS = (
    "matched",
    "posted",
    "limited",
    "signalled",
    "overridden",
    "notified",
    "monitored",
    "failed",
    "repeated",
    "lost",
)
SELECTOR_COUNTERS_OFFSETS = {
    "matched": 0,
    "posted": 8,
    "limited": 16,
    "signalled": 24,
    "overridden": 32,
    "notified": 40,
    "monitored": 48,
    "failed": 56,
    "repeated": 64,
    "lost": 72,
}

BOUND_FORMAT = "<QI4x"
BOUND_SIZE = 16
BOUND_FIELDS = (
    "low",
    "vector",
)
BOUND_OFFSETS = {
    "low": 0,
    "vector": 8,
    "_pad": 12,
}

TEXT_KEY_FORMAT = "<II248s"
TEXT_KEY_SIZE = 256
TEXT_KEY_FIELDS = (
    "prefix_bits",
    "table",
    "text",
)
TEXT_KEY_OFFSETS = {
    "prefix_bits": 0,
    "table": 4,
    "text": 8,
}

ADDRESS_KEY_FORMAT = "<II16s"
ADDRESS_KEY_SIZE = 24
ADDRESS_KEY_FIELDS = (
    "prefix_bits",
    "table",
    "address",
)
ADDRESS_KEY_OFFSETS = {
    "prefix_bits": 0,
    "table": 4,
    "address": 8,
}

SHORT_TEXT_KEY_FORMAT = "<II472s"
SHORT_TEXT_KEY_SIZE = 480
SHORT_TEXT_KEY_FIELDS = (
    "table",
    "length",
    "text",
)
SHORT_TEXT_KEY_OFFSETS = {
    "table": 0,
    "length": 4,
    "text": 8,
}

LONG_TEXT_KEY_FORMAT = "<II4096s"
LONG_TEXT_KEY_SIZE = 4104
LONG_TEXT_KEY_FIELDS = (
    "table",
    "length",
    "text",
)
LONG_TEXT_KEY_OFFSETS = {
    "table": 0,
    "length": 4,
    "text": 8,
}

AUTOMATON_STATE_FORMAT = "<256HI4x"
AUTOMATON_STATE_SIZE = 520
AUTOMATON_STATE_FIELDS = (
    "next",
    "found",
)
AUTOMATON_STATE_OFFSETS = {
    "next": 0,
    "found": 512,
    "_pad": 516,
}

LOSS_SOURCE_FORMAT = "<IHH"
LOSS_SOURCE_SIZE = 8
LOSS_SOURCE_FIELDS = (
    "tgid",
    "type",
    "cause",
)
LOSS_SOURCE_OFFSETS = {
    "tgid": 0,
    "type": 4,
    "cause": 6,
}
