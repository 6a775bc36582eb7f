# SPDX-License-Identifier: Apache-2.0
"""Hits in the words of Tetragon's compact output, one harmless line each."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.records import (
    NO_CREDENTIALS,
    argument,
    exec_event,
    hook_event,
    match_bytes,
    number,
    path_argument,
    process_of,
    sock_argument,
)
from tetragon_py.abi import _generated as c
from tetragon_py.abi import record
from tetragon_py.encode.compact import CompactEncoder
from tetragon_py.encode.hook_compact import _FORMS
from tetragon_py.encode.timestamp import Timestamps
from tetragon_py.events.hook import (
    Enforcement,
    HookNames,
    HookTexts,
    Match,
    PolicyTexts,
)
from tetragon_py.events.repeat import RepeatEvent

FILE = path_argument(b"/etc/password")
FD = number(c.ARGUMENT_INT32, 3)
SOCK = sock_argument()
IPV6 = sock_argument(
    family=10, protocol=17, source_address=bytes(16), destination_address=b"\x20" * 16
)
UNIX = sock_argument(family=1)
BPF = record.ARGUMENT_BPF.pack(2, 2048, 0, 0, 0) + b"amazing-program"
MAP = record.ARGUMENT_BPF.pack(1, 0, 8, 8, 1024) + b"amazing-map"
PERF = record.ARGUMENT_PERF_EVENT.pack(2, 0, 0) + b"commit_creds"
READ_WRITE = number(c.ARGUMENT_UINT32, 3, slot=1)


def text(raw: bytes, slot: int) -> bytes:
    return argument(c.ARGUMENT_STRING, raw, slot=slot)


def size(value: int, slot: int = 2) -> bytes:
    return number(c.ARGUMENT_UINT64, value, slot=slot)


def line(kind, function, arguments=(), args=None, **changes) -> str:
    names = HookNames()
    names.add_hook(9, HookTexts(kind, function))
    names.add_match(9, 5, PolicyTexts("p", args=args))
    encoder = CompactEncoder("node", color=False, timestamps=None)
    process = process_of(exec_event(arguments=b"curl\0cilium.io\0"))
    (shown,) = encoder.hook_lines(process, hook_event(arguments, **changes), names)
    return shown.decode()


FORMS = [
    ("fd_install", [FD, path_argument(b"/etc/password", slot=1)], "📬 open   ", "F"),
    ("__x64_sys_openat", [FD, text(b"/etc/password", 1), size(0)], "📬️ open   ", "F"),
    ("__arm64_sys_openat2", [text(b"/etc/password", 1)], "📬️ open   ", "F"),
    ("sys_open", [text(b"/etc/password", 0)], "📬️ open   ", "F"),
    ("do_sys_openat2", [FD, text(b"/etc/password", 1)], "📬️ open   ", "F"),
    ("__x64_sys_write", [FILE, size(1234)], "📝 write  ", "F 1234 bytes"),
    ("__x64_sys_read", [FILE, size(0)], "📚 read   ", "F 0 bytes"),
    ("__x64_sys_read", [FILE], "📚 read   ", "F"),
    ("__x64_sys_close", [FILE], "📪 close  ", "F"),
    ("security_file_permission", [FILE, size(2)], "📝 write  ", "F"),
    ("security_file_permission", [FILE, size(4)], "📚 read   ", "F"),
    (
        *("security_file_permission", [FILE, size(1)]),
        *("❓ syscall", "security_file_permission"),
    ),
    ("security_mmap_file", [FILE, READ_WRITE, size(1)], "📝 mmap-rw", "F"),
    ("security_mmap_file", [FILE, size(7, 1)], "📝 mmap-rwx", "F"),
    ("security_mmap_file", [FILE, size(0, 1)], "📝 mmap   ", "F"),
    ("security_path_truncate", [FILE], "📝 truncate", "F"),
    ("security_file_truncate", [FILE], "📝 truncate", "F"),
    ("__x64_sys_mount", [text(b"src", 0), text(b"dst", 1)], "💾 mount  ", "src dst"),
    ("__x64_sys_pivot_root", [text(b"a", 0), text(b"b", 1)], "💾 pivot_root", "a b"),
    ("__x64_sys_setuid", [number(c.ARGUMENT_INT32, 0)], "🔑 setuid ", "0"),
    ("__x64_sys_setns", [FD, size(0x40000000)], "🔧 setns  ", "net"),
    ("__x64_sys_setns", [FD, size(0)], "🔧 setns  ", "any"),
    ("__x64_sys_setns", [], "🔧 setns  ", ""),
    ("__x64_sys_clock_settime", [FD], "⏰ clock_settime", ""),
    (
        *("tcp_connect", [SOCK], "🔌 connect"),
        "tcp 10.0.0.1:4321 -> 1.1.1.1:443",
    ),
    ("tcp_close", [SOCK], "🧹 close  ", "tcp 10.0.0.1:4321 -> 1.1.1.1:443"),
    ("tcp_close", [UNIX], "🧹 close  ", "AF_UNIX"),
    ("tcp_close", [], "🧹 close  ", ""),
    (
        *("tcp_sendmsg", [SOCK, number(c.ARGUMENT_INT32, 512)], "📤 sendmsg"),
        "tcp 10.0.0.1:4321 -> 1.1.1.1:443 bytes 512",
    ),
    (
        *("tcp_sendmsg", [IPV6], "📤 sendmsg"),
        "udp :::4321 -> 2020:2020:2020:2020:2020:2020:2020:2020:443",
    ),
    (
        *("bpf_check", [argument(c.ARGUMENT_BPF_ATTR, BPF)], "🐝 bpf_load"),
        "BPF_PROG_TYPE_KPROBE amazing-program instruction count 2048",
    ),
    (
        *("security_perf_event_alloc", [argument(c.ARGUMENT_PERF_EVENT, PERF)]),
        *("🐝 perf_event_alloc", "PERF_TYPE_TRACEPOINT commit_creds"),
    ),
    (
        *("security_bpf_map_alloc", [argument(c.ARGUMENT_BPF_MAP, MAP)]),
        "🗺 bpf_map_create",
        "BPF_MAP_TYPE_HASH amazing-map key size 8 value size 8 max entries 1024",
    ),
    (
        *("security_bpf_map_create", [argument(c.ARGUMENT_BPF_MAP, MAP[:24])]),
        "🗺 bpf_map_create",
        "BPF_MAP_TYPE_HASH key size 8 value size 8 max entries 1024",
    ),
    ("bpf_check", [FD], "❓ syscall", "bpf_check"),
    ("security_perf_event_alloc", [FD], "❓ syscall", "security_perf_event_alloc"),
    ("security_bpf_map_alloc", [], "❓ syscall", "security_bpf_map_alloc"),
    ("proc_exec_connector", [], "🔧 proc_exec_connector", ""),
    ("unhandled_function", [FILE], "❓ syscall", "unhandled_function"),
    ("__x64_sys_mkdir", [FILE], "❓ syscall", "__x64_sys_mkdir"),
]


@pytest.mark.parametrize(("function", "arguments", "word", "details"), FORMS)
def test_kprobes(function, arguments, word, details):
    """Tetragon's symbol and word, and what tells most about the call."""
    end = details.replace("F", "/etc/password", 1) if "F " in f"{details} " else details
    end = f" {end}" if end else ""

    assert line("kprobe", function, arguments) == f"{word} node /usr/bin/curl{end}\n"


def test_all_forms_are_tested():
    """A function with words of its own has a line above."""
    names = {name.replace("__x64_", "").replace("__arm64_", "") for name, *_ in FORMS}

    assert _FORMS.keys() <= names


def test_system_calls():
    """By name, with what was captured of its arguments."""
    call = number(c.ARGUMENT_SYSCALL64, 9999)
    words = argument(
        c.ARGUMENT_CONST_BUF, struct.pack("<4Q", 24, 0, 255, 1 << 63), slot=1
    )
    start = "☎  syscall node /usr/bin/curl"
    name = "raw_syscalls/sys_enter"

    assert line("tracepoint", name, [call]) == f"{start} syscall 9999()\n"
    assert line("tracepoint", name, [call, words]) == (
        f"{start} syscall 9999(0x0, 0xff, 0x8000000000000000)\n"
    )
    assert line("tracepoint", name, [call, FD]) == f"{start} syscall 9999(0x3)\n"
    assert line("tracepoint", name) == f"{start}\n"
    assert line("tracepoint", name, [number(c.ARGUMENT_INT64, 0)]) in (
        *(f"{start} read()\n", f"{start} io_setup()\n"),
    )
    assert "syscall 18446744071562067967()" in line(
        "tracepoint", name, [number(c.ARGUMENT_INT64, -(1 << 31) - 1)]
    )


def test_other_kinds():
    """Tracepoints by subsystem and event, LSM hooks by their name."""
    assert line("tracepoint", "sched/sched_process_exec") == (
        "⁉️ tracepoint node /usr/bin/curl sched sched_process_exec\n"
    )
    assert line("lsm", "file_open", [FILE]) == (
        "🔒 LSM     node /usr/bin/curl file_open\n"
    )


def test_only_arguments_of_the_policy():
    """What other policies asked for is not shown, and the policy's order counts."""
    arguments = [text(b"a", 0), text(b"b", 1), text(b"c", 2)]
    args = ((2, None, "string"), (7, None, "string"), (0, None, "string"))

    assert line("kprobe", "sys_mount", arguments, args).endswith(" c a\n")
    assert line("kprobe", "sys_mount", arguments, ()).endswith("/curl\n")


def test_values_that_could_not_be_read():
    """They are not there; the line is."""
    failed = argument(c.ARGUMENT_FILE, error=14)

    assert line("kprobe", "sys_write", [failed, size(5)]).endswith("curl 5 bytes\n")


def test_empty_texts_are_quoted():
    """A path of no bytes can be seen."""
    assert line("kprobe", "sys_open", [text(b"", 0)]).endswith('/curl ""\n')


def test_one_line_per_policy():
    """As in JSON; with time, colours and trailer like all other lines."""
    encoder = CompactEncoder("n", color=True, timestamps=Timestamps(0))
    credentials = NO_CREDENTIALS._replace(effective=1 << 21)
    process = process_of(exec_event(credentials=credentials))
    names = HookNames()
    names.add_hook(9, HookTexts("kprobe", "sys_write"))
    event = hook_event([FILE, size(5)], [match_bytes(5), match_bytes(6)])
    lines = encoder.hook_lines(process, event, names)

    assert len(lines) == 2
    assert (
        lines[0]
        .decode()
        .startswith(
            "1970-01-01T00:00:00.000006000Z \x1b[34m📝 write  \x1b[0m \x1b[32mn\x1b[0m "
            "\x1b[35m/usr/bin/curl\x1b[0m \x1b[36m/etc/password\x1b[0m "
            "\x1b[36m5 bytes\x1b[0m "
        )
    )
    assert lines[0].endswith("🛑 CAP_SYS_ADMIN\n".encode())


@pytest.mark.parametrize("color", [False, True])
def test_what_was_done_about_it(color):
    """The end of the line says it, in red; without colours the words are enough."""
    names = HookNames()
    names.add_hook(9, HookTexts("kprobe", "sys_write"))
    known = {
        0: Enforcement(0, 13, 0),
        1: Enforcement(0, 0, 9),
        2: Enforcement(c.ACTION_SIGNAL, 0, 9),
    }
    actions = (("OVERRIDE",), ("SIGKILL",), ("SIGKILL",))
    names.add_match(
        9, 5, PolicyTexts("p", args=None, actions=actions, enforcement=known)
    )
    encoder = CompactEncoder("node", color=color, timestamps=None)
    matches = [
        match_bytes(5, 0, 0x21, mechanism=1),
        match_bytes(5, 1, 0x11),
        match_bytes(5, 1, 0x11, 0x1, error=-3),
        match_bytes(5, 2, 0x11, 0x1),
    ]
    lines = encoder.hook_lines(process_of(exec_event()), hook_event([], matches), names)
    words = ["DENIED EACCES", "KILLED", "FAILED ESRCH", "MONITORED SIGKILL"]
    if color:
        words = [f"\x1b[31m{word}\x1b[0m" for word in words]

    for shown, word in zip(lines, words, strict=True):
        assert shown.decode().endswith(f" {word}\n")


@pytest.mark.parametrize("kind", ["kprobe", "tracepoint", "lsm"])
def test_repeats(kind):
    """The hook, what was done, and how often."""
    names = HookNames()
    names.add_hook(9, HookTexts(kind, "sched/open"))
    encoder = CompactEncoder("node", color=False, timestamps=None)
    process = process_of(exec_event())
    for actions, end in ((0x11, " SIGNALLED 4900 more times"), (1, " 4900 more times")):
        event = RepeatEvent(9, Match(5, 0, actions, actions, 0, 0), 4900, 1, 2)
        shown = encoder.repeat_line(process, event, names).decode()

        assert shown.endswith(f"open{end}\n")


@given(
    st.sampled_from(sorted(_FORMS)),
    st.sampled_from(["kprobe", "tracepoint", "lsm"]),
    st.binary(max_size=30),
    st.integers(0, (1 << 64) - 1),
    st.integers(0, 15),
)
def test_any_bytes_give_one_harmless_line(function, kind, raw, value, flags):
    """Nothing that a workload says ends the line or steers the terminal."""
    arguments = [
        path_argument(raw, flags=flags),
        text(raw, 1),
        size(value),
        sock_argument(c.ARGUMENT_SOCKADDR_UN, slot=3, name=raw, family=value & 0xFFFF),
        argument(c.ARGUMENT_BPF_MAP, MAP[:24] + raw, slot=4),
        argument(c.ARGUMENT_PERF_EVENT, PERF[:24] + raw, slot=5),
        argument(c.ARGUMENT_CONST_BUF, bytes(8) + raw, slot=6),
    ]
    shown = line(kind, function, arguments)

    assert shown.endswith("\n")
    assert shown[:-1].replace("\ufe0f", "").isprintable()


@given(st.text(), st.sampled_from(["kprobe", "tracepoint", "lsm"]))
def test_any_name_of_a_hook(name, kind):
    """What a policy calls its hook is a text from outside too."""
    assert line(kind, name)[:-1].replace("\ufe0f", "").isprintable()
