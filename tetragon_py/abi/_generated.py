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
PATH_MAX_BYTES = 4096
PATH_COMPONENTS_MAX = 2048
TTY_MAX_BYTES = 64
CGROUP_MAX_BYTES = 4096
ARGUMENTS_MAX_BYTES = 196608
ENVIRONMENT_MAX_BYTES = 131072
PROCESS_EXECED = 0x1
LOSS_INDEX_COUNT = 16

LANE_LIFECYCLE = 0
LANE_VERDICT = 1
LANE_POLICY = 2
LANE_COUNT = 3

EVENT_NONE = 0
EVENT_FORK = 1
EVENT_EXEC = 2
EVENT_EXIT = 3
EVENT_TYPE_COUNT = 4

IMAGE_FILENAME = 0
IMAGE_INTERPRETER = 1
IMAGE_EXECUTABLE = 2
IMAGE_CWD = 3
IMAGE_TTY = 4
IMAGE_CGROUP = 5
IMAGE_TEXT_COUNT = 6

LOSS_RING_FULL = 0
LOSS_TABLE_FULL = 1
LOSS_NO_SCRATCH = 2
LOSS_NOT_RUN = 3
LOSS_CAUSE_COUNT = 4

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

PROCESS_ENTRY_FORMAT = "<Q16sQI4x"
PROCESS_ENTRY_SIZE = 40
PROCESS_ENTRY_FIELDS = (
    "start_boottime_ns",
    "parent",
    "execs",
    "flags",
)
PROCESS_ENTRY_OFFSETS = {
    "start_boottime_ns": 0,
    "parent": 8,
    "execs": 24,
    "flags": 32,
    "_pad": 36,
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
