# SPDX-License-Identifier: Apache-2.0
"""Each type of argument as Tetragon's JSON, to the byte."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.records import (
    argument,
    hook_event,
    number,
    path_argument,
    sock_argument,
)
from tetragon_py.abi import _generated as c
from tetragon_py.abi import record
from tetragon_py.encode.argument_json import _FILES, ArgumentJson, constant

HOST_USER = 4026531837
PLAIN = ArgumentJson(HOST_USER, extended=False)
EXTENDED = ArgumentJson(HOST_USER, extended=True)
CONTROLS = frozenset(chr(code) for code in (*range(0x20), 0x7F, *range(0x80, 0xA0)))


def shown(raw: bytes, label: str | None = None, writer: ArgumentJson = PLAIN) -> str:
    """The object of one argument."""
    event = hook_event([raw])
    form = writer.form(event.heads[0], label)
    if form is None:
        return ""
    values = event.values if form.has_value else ()
    if form.writer:
        values = tuple(map(form.writer, values))
    return (form.text % values).decode()


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (c.ARGUMENT_INT32, 0, '{"int_arg":0}'),
        (c.ARGUMENT_INT32, -100, '{"int_arg":-100}'),
        (c.ARGUMENT_INT16, -1, '{"int_arg":-1}'),
        (c.ARGUMENT_INT8, 127, '{"int_arg":127}'),
        (c.ARGUMENT_UINT32, 4294967295, '{"uint_arg":4294967295}'),
        (c.ARGUMENT_UINT16, 0, '{"uint_arg":0}'),
        (c.ARGUMENT_UINT8, 255, '{"uint_arg":255}'),
        (c.ARGUMENT_INT64, -1, '{"long_arg":"-1"}'),
        (c.ARGUMENT_INT64, 0, '{"long_arg":"0"}'),
        (c.ARGUMENT_UINT64, -1, '{"size_arg":"18446744073709551615"}'),
        (c.ARGUMENT_KERNEL_CAP, 0x1FF, '{"kernel_cap_t_arg":"00000000000001ff"}'),
        (c.ARGUMENT_CAP_INHERITABLE, 0, '{"cap_inheritable_arg":"0000000000000000"}'),
        (c.ARGUMENT_CAP_PERMITTED, -1, '{"cap_permitted_arg":"ffffffffffffffff"}'),
        (c.ARGUMENT_CAP_EFFECTIVE, 1, '{"cap_effective_arg":"0000000000000001"}'),
        (
            c.ARGUMENT_CAPABILITY,
            1,
            '{"capability_arg":{"value":1,"name":"DAC_OVERRIDE"}}',
        ),
        (c.ARGUMENT_CAPABILITY, 0, '{"capability_arg":{"value":0,"name":"CAP_CHOWN"}}'),
        (c.ARGUMENT_CAPABILITY, 41, '{"capability_arg":{"value":41,"name":"41"}}'),
        (
            c.ARGUMENT_CAPABILITY,
            4294967295,
            '{"capability_arg":{"value":4294967295,"name":"4294967295"}}',
        ),
        (c.ARGUMENT_BPF_CMD, 0, '{"bpf_cmd_arg":"BPF_MAP_CREATE"}'),
        (c.ARGUMENT_BPF_CMD, 36, '{"bpf_cmd_arg":"BPF_TOKEN_CREATE"}'),
        (c.ARGUMENT_BPF_CMD, 999, '{"bpf_cmd_arg":999}'),
    ],
)
def test_numbers(kind, value, text):
    """64 bits as strings, 32 bits as numbers, 0 as any other."""
    assert shown(number(kind, value)) == text


def test_system_calls(monkeypatch):
    """The number and its table; bit 31 says the table of 32-bit programs."""
    monkeypatch.setattr("tetragon_py.encode.syscall_names._NATIVE", "arm64")
    monkeypatch.setattr("tetragon_py.encode.syscall_names._COMPAT", "arm32")

    for value, text in (
        (257, '{"syscall_id":{"id":257,"abi":"arm64"}}'),
        (1 << 31 | 5, '{"syscall_id":{"id":5,"abi":"arm32"}}'),
        (0, '{"syscall_id":{"abi":"arm64"}}'),
    ):
        assert shown(number(c.ARGUMENT_SYSCALL64, value)) == text


@pytest.mark.parametrize("kind", [c.ARGUMENT_STRING, c.ARGUMENT_NET_DEVICE])
def test_texts(kind):
    """Escaped; empty ones too; what is not UTF-8 becomes U+FFFD."""
    assert shown(argument(kind, b"")) == '{"string_arg":""}'
    assert shown(argument(kind, b"eth0")) == '{"string_arg":"eth0"}'
    assert shown(argument(kind, b'%d"\\\n\xff\0\x7f')) == (
        '{"string_arg":"%d\\"\\\\\\n\ufffd\\u0000\\u007f"}'
    )


def buffer(data: bytes, whole: int, flags: int = 0) -> bytes:
    return argument(c.ARGUMENT_CHAR_BUF, struct.pack("<Q", whole) + data, flags=flags)


def test_buffers():
    """Base64; with the size that the process named if there is less."""
    assert shown(buffer(b"\0\xff", 2)) == '{"bytes_arg":"AP8="}'
    assert shown(buffer(b"", 0)) == '{"bytes_arg":""}'
    assert shown(buffer(b"ab", 9000)) == (
        '{"truncated_bytes_arg":{"bytes_arg":"YWI=","orig_size":"9000"}}'
    )
    assert shown(buffer(b"ab", 2, c.ARGUMENT_CUT)) == (
        '{"truncated_bytes_arg":{"bytes_arg":"YWI=","orig_size":"2"}}'
    )
    assert shown(buffer(b"", 0, c.ARGUMENT_CUT)) == '{"truncated_bytes_arg":{}}'


def test_arrays_are_several_arguments():
    """One size_arg per number, each with the label."""

    def array(*words):
        raw = struct.pack(f"<{1 + len(words)}Q", 8 * len(words), *words)
        return argument(c.ARGUMENT_CONST_BUF, raw)

    assert shown(array(1, (1 << 64) - 1)) == (
        '{"size_arg":"1"},{"size_arg":"18446744073709551615"}'
    )
    assert shown(array(1, 2), "100%") == (
        '{"size_arg":"1","label":"100%"},{"size_arg":"2","label":"100%"}'
    )
    assert shown(array()) == '{"bytes_arg":""}'


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        (c.ARGUMENT_FILE, "file_arg"),
        (c.ARGUMENT_PATH, "path_arg"),
        (c.ARGUMENT_DENTRY, "path_arg"),
        (c.ARGUMENT_LINUX_BINPRM, "linux_binprm_arg"),
    ],
)
def test_files(kind, key):
    """Path and permission; a flag only where the front of the path is missing."""
    permission = '"permission":"-rw-r--r--"}}'

    assert shown(path_argument(kind=kind)) == (
        f'{{"{key}":{{"path":"/etc/passwd",{permission}'
    )
    assert shown(path_argument(b"", kind)) == f'{{"{key}":{{"path":"/",{permission}'
    assert shown(path_argument(b"/x%s\xff", kind, flags=c.PATH_DELETED)) == (
        f'{{"{key}":{{"path":"/x%s\ufffd (deleted)",{permission}'
    )
    assert shown(path_argument(b"/x", kind, flags=c.PATH_CUT)) == (
        f'{{"{key}":{{"path":"/x","flags":"unresolvedPathComponents",{permission}'
    )


@pytest.mark.parametrize("declared", ["string", "filename"])
@pytest.mark.parametrize("kind", sorted(_FILES))
def test_files_where_a_text_was_asked_for(kind, declared):
    """The path is the text, as the kernel shows it; other types stay what they are."""
    event = hook_event([path_argument(b"/etc/a\n", kind, flags=c.PATH_DELETED)])
    form = EXTENDED.form(event.heads[0], "what", declared)

    assert form
    assert form.writer
    assert form.text % form.writer(event.values[0]) == (
        rb'{"string_arg":"/etc/a\n (deleted)","label":"what"}'
    )
    event = hook_event([sock_argument(c.ARGUMENT_SOCKADDR)])
    form = PLAIN.form(event.heads[0], None, "sockaddr")
    assert form
    assert form.writer
    assert form.writer(event.values[0]).startswith(b'"sockaddr_arg":')


def test_extended_files():
    """Which file it is, how it was opened, what its path does not say."""
    opened = path_argument(open_flags=0o2000001, flags=c.PATH_UNREACHABLE)

    assert shown(opened, "file", EXTENDED) == (
        '{"file_arg":{"path":"/etc/passwd","permission":"-rw-r--r--",'
        '"unreachable":true,"inode":{"number":"77"},"device":"8:1",'
        '"open_flags":["O_WRONLY","O_CLOEXEC"]},"label":"file"}'
    )
    assert shown(path_argument(kind=c.ARGUMENT_PATH, inode=0), None, EXTENDED) == (
        '{"path_arg":{"path":"/etc/passwd","permission":"-rw-r--r--"}}'
    )


def test_credentials():
    """All ids, the capability sets, and the user namespace, which may be the host's."""
    ids = record.CREDENTIALS.pack(*range(8), 1, 9, 1, 2, 4, 0, 0)
    own = record.ARGUMENT_USER_NAMESPACE.pack(1, 1000, 1000, 7)

    assert shown(argument(c.ARGUMENT_CRED, ids + own)) == (
        '{"process_credentials_arg":{"uid":0,"gid":1,"euid":2,"egid":3,"suid":4,'
        '"sgid":5,"fsuid":6,"fsgid":7,"securebits":["SecBitNoRoot"],'
        '"caps":{"permitted":["CAP_CHOWN"],"effective":["DAC_OVERRIDE"],'
        '"inheritable":["CAP_DAC_READ_SEARCH"]},'
        '"user_ns":{"level":1,"uid":1000,"gid":1000,"ns":{"inum":7}}}}'
    )


def test_user_namespaces():
    """Wrappers are there also when they are 0."""
    host = record.ARGUMENT_USER_NAMESPACE.pack(0, 0, 0, HOST_USER)

    assert shown(argument(c.ARGUMENT_USER_NAMESPACE, host)) == (
        '{"user_ns_arg":{"level":0,"uid":0,"gid":0,'
        '"ns":{"inum":4026531837,"is_host":true}}}'
    )


def test_errors():
    """Tetragon's words; which error it was is extended."""
    failed = argument(c.ARGUMENT_STRING, error=14)
    resolved = argument(c.ARGUMENT_INT32, error=14, depth=3)

    assert shown(failed) == '{"error_arg":{"Message":"Bad address for basic type"}}'
    assert shown(resolved, "x%") == (
        '{"error_arg":{"Message":"Bad address encountered during resolve dereference '
        'at depth 3"},"label":"x%"}'
    )
    assert shown(failed, None, EXTENDED) == (
        '{"error_arg":{"Message":"Bad address for basic type"},"error":"EFAULT"}'
    )
    assert '"error":"4095"' in shown(
        argument(c.ARGUMENT_INT32, error=4095), None, EXTENDED
    )


def test_nop_is_not_shown():
    """A place holder has no object, unless it could not be read."""
    assert shown(argument(c.ARGUMENT_NOP)) == ""
    assert "error_arg" in shown(argument(c.ARGUMENT_NOP, error=1))


def test_labels_and_cuts():
    """The label as the policy has it; a mark for what was cut is extended."""
    cut = argument(c.ARGUMENT_STRING, b"a", flags=c.ARGUMENT_CUT)

    assert shown(cut, '"%s\udcff') == '{"string_arg":"a","label":"\\"%s?"}'
    assert shown(cut, "", EXTENDED) == '{"string_arg":"a","truncated":true}'
    assert shown(number(c.ARGUMENT_INT32, 1), "fd", EXTENDED) == (
        '{"int_arg":1,"label":"fd"}'
    )


def test_constants_are_for_texts_with_conversions():
    """What a policy says cannot become a conversion."""
    assert constant("100%d") == b'"100%%d"'
    assert constant({"a": ["%"]}) == b'{"a":["%%"]}'


@given(
    st.sampled_from(range(1, c.ARGUMENT_TYPE_COUNT)),
    st.binary(max_size=60),
    st.text() | st.none(),
    st.sampled_from([PLAIN, EXTENDED]),
    st.integers(0, 255),
)
def test_any_bytes_give_objects(kind, tail, label, writer, flags):
    """Whatever is captured: valid JSON without control characters."""
    fixed = {
        **dict.fromkeys(range(1, c.ARGUMENT_BPF_CMD + 1), 8),
        **dict.fromkeys(range(c.ARGUMENT_SOCK, c.ARGUMENT_SOCKADDR), 72),
        c.ARGUMENT_SOCKADDR: 72,
        c.ARGUMENT_CRED: 96,
        c.ARGUMENT_USER_NAMESPACE: 16,
    }
    raw = (tail * 72)[:72].ljust(72, b"\x80") + tail
    if kind in fixed:
        raw = raw.ljust(96, b"\xf0")[: fixed[kind]]
    text = shown(argument(kind, raw, flags=flags), label, writer)

    assert not CONTROLS & set(text)
    for told in json.loads(f"[{text}]"):
        assert told.get("label") == (label or None)
