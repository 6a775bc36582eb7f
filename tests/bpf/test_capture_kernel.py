# SPDX-License-Identifier: Apache-2.0
"""Structs of the kernel among the arguments of a hit; bad pointers to any of them."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.bpf.capturing import BAD_ADDRESS, Capture, address_of, argument, load_capture
from tetragon_py.abi import _generated as c


@pytest.fixture(scope="module")
def loaded(objects):
    with load_capture(objects) as bpf_object:
        yield bpf_object


@pytest.fixture
def capture(loaded, run):
    return Capture(loaded, run)


@pytest.fixture
def closing():
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize(
    "wanted",
    [
        argument(c.ARGUMENT_FILE),
        argument(c.ARGUMENT_FILE, c.FORM_KIOCB),
        argument(c.ARGUMENT_PATH),
        argument(c.ARGUMENT_DENTRY),
        argument(c.ARGUMENT_LINUX_BINPRM),
        argument(c.ARGUMENT_SOCK),
        argument(c.ARGUMENT_SOCK, c.FORM_SOCKET),
        argument(c.ARGUMENT_SKB),
        argument(c.ARGUMENT_SOCKADDR),
        argument(c.ARGUMENT_SOCKADDR, c.FORM_USER),
        argument(c.ARGUMENT_SOCKADDR_UN),
        argument(c.ARGUMENT_SOCKADDR_UN, c.FORM_USER),
        argument(c.ARGUMENT_CRED),
        argument(c.ARGUMENT_USER_NAMESPACE),
        argument(c.ARGUMENT_BPF_ATTR),
        argument(c.ARGUMENT_BPF_ATTR, c.FORM_USER),
        argument(c.ARGUMENT_BPF_PROG),
        argument(c.ARGUMENT_BPF_MAP),
        argument(c.ARGUMENT_PERF_EVENT),
    ],
)
@pytest.mark.parametrize("address", [0, BAD_ADDRESS, 0xFFFF_FFFF_FFFF_F000])
def test_bad_pointers_are_errors(capture, wanted, address):
    """NULL, user memory, an error pointer: told, nothing follows."""
    captured = capture.one(wanted, address)

    assert captured[2:] == (0, 0, -errno.EFAULT, b"")


def test_struct_of_zeros_is_an_error_or_empty(capture):
    """A struct whose pointers are NULL gives no path."""
    memory = capture.remember()
    for kind in (c.ARGUMENT_FILE, c.ARGUMENT_PATH, c.ARGUMENT_LINUX_BINPRM):
        assert capture.one(argument(kind), memory).length == -errno.EFAULT
    assert capture.one(argument(c.ARGUMENT_SOCK), memory).data == bytes(72)


def test_credentials(capture):
    """Those of this process, and its user namespace."""
    known = capture.look()
    captured = capture(
        argument(c.ARGUMENT_CRED, source=c.FROM_TASK, steps=[(known.task_cred, 1)])
    )[0]
    credentials, namespace = captured.unpack("CREDENTIALS")
    lines = Path("/proc/self/status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines)

    assert [credentials[n] for n in ("uid", "euid", "suid", "fsuid")] == [
        int(number) for number in status["Uid"].split()
    ]
    assert [credentials[n] for n in ("gid", "egid", "sgid", "fsgid")] == [
        int(number) for number in status["Gid"].split()
    ]
    for ours, theirs in (
        *(("permitted", "CapPrm"), ("effective", "CapEff"), ("bounding", "CapBnd")),
        *(("inheritable", "CapInh"), ("ambient", "CapAmb")),
    ):
        assert credentials[ours] == int(status[theirs], 16)
    assert credentials["login_uid"] == 2**32 - 1
    assert namespace == namespace_of(capture).data


def namespace_of(capture):
    known = capture.look()
    steps = [(known.task_cred, 1), (known.cred_user_ns, 1)]
    wanted = argument(c.ARGUMENT_USER_NAMESPACE, source=c.FROM_TASK, steps=steps)
    return capture.one(wanted)


def test_user_namespace(capture):
    """That of this process."""
    fields, rest = namespace_of(capture).unpack("ARGUMENT_USER_NAMESPACE")

    assert rest == b""
    assert fields["inum"] == Path("/proc/self/ns/user").stat().st_ino
    if not fields["level"]:
        assert fields == {**fields, "uid": 0, "gid": 0}


def test_map_and_program(capture, loaded):
    """What their descriptors lead to."""
    found = loaded.maps["steps"]
    known = capture.look(found.fd)
    bpf_map, name = capture.one(
        argument(c.ARGUMENT_BPF_MAP), known.file_private
    ).unpack("ARGUMENT_BPF")
    known = capture.look(loaded.programs["look"].fd)
    program, program_name = capture.one(
        argument(c.ARGUMENT_BPF_PROG), known.file_private
    ).unpack("ARGUMENT_BPF")

    assert (name, program_name) == (b"steps", b"look")
    assert bpf_map == {
        "type": 2,  # BPF_MAP_TYPE_ARRAY
        "instructions": 0,
        "key_size": 4,
        "value_size": 8,
        "max_entries": 16,
    }
    assert program.pop("instructions") > 50
    assert program == {
        "type": 17,  # BPF_PROG_TYPE_RAW_TRACEPOINT
        "key_size": 0,
        "value_size": 0,
        "max_entries": 0,
    }


@pytest.mark.parametrize("form", [c.FORM_USER, c.FORM_KERNEL])
@pytest.mark.parametrize(("size", "name"), [(0, b"a name"), (64, b"a name"), (48, b"")])
def test_attributes_of_a_load(capture, form, size, name):
    """Type, length and name, as far as the caller's struct goes."""
    packed = struct.pack("<II40s16s", 5, 123, b"", b"a name")
    user, _kept = address_of(packed)
    memory = capture.remember((0, packed))
    wanted = argument(c.ARGUMENT_BPF_ATTR, form, size_register=2 if size else 0)
    fields, text = capture.one(
        wanted, user if form == c.FORM_USER else memory, size
    ).unpack("ARGUMENT_BPF")

    assert list(fields.values()) == [5, 123, 0, 0, 0]
    assert text == name


def test_module_or_why_not(capture):
    """A kernel without modules has no such struct; else a zero one has no name."""
    memory = capture.remember()
    for kind in (c.ARGUMENT_MODULE, c.ARGUMENT_LOAD_INFO):
        captured = capture.one(argument(kind), memory)
        if Path("/proc/modules").exists():
            has_name = kind == c.ARGUMENT_MODULE
            assert captured.length == (16 if has_name else -errno.EFAULT)
            assert captured.data == bytes(16 if has_name else 0)
        else:
            assert captured.length == -errno.EOPNOTSUPP


def perf_event_open(kind, config, function=b"", offset=0):
    """A perf event of this process; None if the kernel has none of this kind."""
    name, kept = address_of(function + b"\0") if function else (0, None)
    attributes = bytearray(112)
    struct.pack_into("<IIQ", attributes, 0, kind, len(attributes), config)
    struct.pack_into("<Q", attributes, 40, 1)  # disabled
    struct.pack_into("<QQ", attributes, 56, name, offset)
    buffer = (ctypes.c_char * len(attributes)).from_buffer(attributes)
    number = {"x86_64": 298, "aarch64": 241}[os.uname().machine]
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.syscall(
        number, buffer, -1 if function else 0, 0 if function else -1, -1, 8
    )
    return (descriptor, kept) if descriptor >= 0 else None


def test_perf_event(capture, closing):
    """A software event has no function; what is in its place is not read as one."""
    found = perf_event_open(1, 3)  # PERF_TYPE_SOFTWARE, context switches
    if not found:
        pytest.skip("no perf events here")
    closing.callback(os.close, found[0])
    event = capture.look(found[0]).file_private
    fields, text = capture.one(argument(c.ARGUMENT_PERF_EVENT), event).unpack(
        "ARGUMENT_PERF_EVENT"
    )

    assert fields == {"type": 1, "config": 3, "probe_offset": 0}
    assert text == b""


def test_perf_event_of_a_kprobe(capture, closing):
    """The function that is probed, and where in it."""
    kind = Path("/sys/bus/event_source/devices/kprobe/type")
    if not kind.exists():
        pytest.skip("no kprobes here")
    found = perf_event_open(int(kind.read_text()), 0, b"vfs_read")
    assert found, os.strerror(ctypes.get_errno())
    closing.callback(os.close, found[0])
    event = capture.look(found[0]).file_private
    fields, text = capture.one(argument(c.ARGUMENT_PERF_EVENT), event).unpack(
        "ARGUMENT_PERF_EVENT"
    )

    assert fields == {"type": int(kind.read_text()), "config": 0, "probe_offset": 0}
    assert text == b"vfs_read"
