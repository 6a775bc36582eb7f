# SPDX-License-Identifier: Apache-2.0
"""Structs of the kernel as Tetragon's JSON, to the byte."""

from __future__ import annotations

import pytest

from tests.unit.records import argument, hook_event, sock_argument
from tetragon_py.abi import _generated as c
from tetragon_py.abi import record
from tetragon_py.encode.argument_objects import (
    OBJECT_WRITERS,
    address_text,
    member,
    unix_name,
)

IPV6 = bytes.fromhex("20010db8000000000000000000000001")


def shown(raw: bytes) -> str:
    event = hook_event([raw])
    kind = event.heads[0] >> 8 & 0xFF
    return OBJECT_WRITERS[kind](event.values[0]).decode()


def test_members_that_are_empty_are_left_out():
    """What is 0 or empty has no key, but False has."""
    found = member("k", {"a": 0, "b": "", "c": [], "d": False, "e": 1})

    assert found == b'"k":{"d":false,"e":1}'
    assert member("k", {}) == b'"k":{}'


def test_sockets():
    """Words for numbers, addresses as text, the cookie as a string."""
    assert shown(sock_argument()) == (
        '"sock_arg":{"family":"AF_INET","type":"SOCK_STREAM",'
        '"protocol":"IPPROTO_TCP","saddr":"10.0.0.1","daddr":"1.1.1.1","sport":4321,'
        '"dport":443,"cookie":"9223372036854775808","state":"TCP_ESTABLISHED"}'
    )
    assert shown(
        sock_argument(
            family=10,
            protocol=17,
            type=2,
            state=7,
            mark=5,
            priority=6,
            source_address=IPV6,
            destination_address=bytes(16),
        )
    ) == (
        '"sock_arg":{"family":"AF_INET6","type":"SOCK_DGRAM",'
        '"protocol":"IPPROTO_UDP","mark":5,"priority":6,"saddr":"2001:db8::1",'
        '"daddr":"::","sport":4321,"dport":443,"cookie":"9223372036854775808",'
        '"state":"TCP_CLOSE"}'
    )


def test_sockets_without_addresses():
    """A unix socket has none; numbers without a name are numbers."""
    unix = sock_argument(
        family=1, protocol=0, cookie=0, state=0, source_port=0, destination_port=0
    )

    assert shown(unix) == (
        '"sock_arg":{"family":"AF_UNIX","type":"SOCK_STREAM","protocol":"IPPROTO_IP"}'
    )
    assert '"family":"99","type":"77","protocol":"999"' in shown(
        sock_argument(family=99, type=77, protocol=999)
    )


def test_packets():
    """The same of a packet, in its own order."""
    packet = sock_argument(
        c.ARGUMENT_SKB,
        hash=1,
        length=60,
        priority=2,
        mark=3,
        security_path_length=4,
        security_path_original_length=5,
    )

    assert shown(packet) == (
        '"skb_arg":{"hash":1,"len":60,"priority":2,"mark":3,"saddr":"10.0.0.1",'
        '"daddr":"1.1.1.1","sport":4321,"dport":443,"proto":6,"sec_path_len":4,'
        '"sec_path_olen":5,"protocol":"IPPROTO_TCP","family":"AF_INET"}'
    )


def test_addresses():
    """The address is the one that was passed, whichever end it is for."""
    assert shown(sock_argument(c.ARGUMENT_SOCKADDR)) == (
        '"sockaddr_arg":{"family":"AF_INET","addr":"10.0.0.1","port":4321}'
    )
    assert shown(sock_argument(c.ARGUMENT_SOCKADDR, family=1, source_port=0)) == (
        '"sockaddr_arg":{"family":"AF_UNIX"}'
    )


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (b"/run/x", '"path":"/run/x"'),
        (b"\0x\0y\0", '"path":"@xy"'),
        (b'\0"\xff', '"path":"@\\"\ufffd"'),
        (b"/run/x\0\0", '"path":"/run/x"'),
    ],
)
def test_unix_addresses(name, path):
    """Abstract names begin with @, NULs are stripped."""
    raw = sock_argument(c.ARGUMENT_SOCKADDR_UN, family=1, name=name)

    assert shown(raw) == f'"sockaddrun_arg":{{"family":"AF_UNIX",{path}}}'


def test_unnamed_unix_addresses():
    """A socket without a name has no path."""
    raw = sock_argument(c.ARGUMENT_SOCKADDR_UN, family=1)

    assert shown(raw) == '"sockaddrun_arg":{"family":"AF_UNIX"}'
    assert unix_name(b"") == b""


@pytest.mark.parametrize("kind", [c.ARGUMENT_MODULE, c.ARGUMENT_LOAD_INFO])
def test_modules(kind):
    """Whether the signature is good is told also if it is not."""

    def module(taints, signature_ok, name):
        packed = record.ARGUMENT_MODULE.pack(taints, signature_ok)
        return argument(kind, packed + name)

    assert shown(module(1 << 12 | 1 << 13, 0, b"evil\xff")) == (
        '"module_arg":{"name":"evil\ufffd","signature_ok":false,'
        '"tainted":["TAINT_OUT_OF_TREE_MODULE","TAINT_UNSIGNED_MODULE"]}'
    )
    assert shown(module(0, 1, b"")) == '"module_arg":{"signature_ok":true}'
    assert shown(module(8, 1, b"")) == (
        '"module_arg":{"signature_ok":true,"tainted":[8]}'
    )


@pytest.mark.parametrize(
    ("kind", "key"),
    [(c.ARGUMENT_BPF_ATTR, "bpf_attr_arg"), (c.ARGUMENT_BPF_PROG, "bpf_prog_arg")],
)
def test_bpf_programs(kind, key):
    """Type, instructions, name."""
    packed = record.ARGUMENT_BPF.pack(2, 2048, 0, 0, 0)

    assert shown(argument(kind, packed + b"amazing")) == (
        f'"{key}":{{"ProgType":"BPF_PROG_TYPE_KPROBE","InsnCnt":2048,'
        f'"ProgName":"amazing"}}'
    )
    assert shown(argument(kind, record.ARGUMENT_BPF.pack(0, 0, 0, 0, 0))) == (
        f'"{key}":{{"ProgType":"BPF_PROG_TYPE_UNSPEC"}}'
    )


def test_bpf_maps():
    """Type, sizes, name."""
    packed = record.ARGUMENT_BPF.pack(1, 0, 4, 8, 1024)

    assert shown(argument(c.ARGUMENT_BPF_MAP, packed + b"m")) == (
        '"bpf_map_arg":{"MapType":"BPF_MAP_TYPE_HASH","KeySize":4,"ValueSize":8,'
        '"MaxEntries":1024,"MapName":"m"}'
    )


def test_perf_events():
    """Numbers of 64 bits as strings."""

    def event(*numbers, name=b""):
        packed = record.ARGUMENT_PERF_EVENT.pack(*numbers)
        return argument(c.ARGUMENT_PERF_EVENT, packed + name)

    assert shown(event(2, 1 << 40, 16, name=b"commit_creds")) == (
        '"perf_event_arg":{"KprobeFunc":"commit_creds","Type":"PERF_TYPE_TRACEPOINT",'
        '"Config":"1099511627776","ProbeOffset":"16"}'
    )
    assert shown(event(8, 0, 0)) == '"perf_event_arg":{"Type":"8"}'


def test_addresses_of_other_families_have_no_text():
    """Only IPv4 and IPv6 have one."""
    assert address_text(2, bytes(16)) == "0.0.0.0"
    assert address_text(10, bytes(10) + b"\xff\xff\x01\x02\x03\x04") == "::ffff:1.2.3.4"
    assert address_text(1, bytes(16)) == ""
