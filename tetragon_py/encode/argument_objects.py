# SPDX-License-Identifier: Apache-2.0
"""Captured sockets, modules, BPF objects and the like as members of a JSON object.

Keys and their order are those of Tetragon's API; what is 0 or empty is left out.
"""

from __future__ import annotations

import socket
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final

from tetragon_py.abi import _generated as c
from tetragon_py.encode.kernel_names import (
    FAMILIES,
    MAP_TYPES,
    PERF_TYPES,
    PROGRAM_TYPES,
    PROTOCOLS,
    SOCKET_TYPES,
    TCP_STATES,
    name_of,
    taint_names,
)
from tetragon_py.encode.text import json_string, json_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tetragon_py.events.hook import (
        BpfValue,
        ModuleValue,
        PerfEventValue,
        SockValue,
    )

__all__ = ["OBJECT_WRITERS", "address_text", "member", "unix_name"]


def member(key: str, members: Mapping[str, object]) -> bytes:
    """`"key":{...}` without the members that are 0 or empty; False is kept."""
    kept = {name: value for name, value in members.items() if value or value is False}
    return b'"%b":%b' % (key.encode(), json_value(kept))


@lru_cache(maxsize=4096)
def address_text(family: int, raw: bytes) -> str:
    """An address as text; "" where the family has none."""
    if family == socket.AF_INET:
        return socket.inet_ntop(family, raw[:4])
    if family == socket.AF_INET6:
        return socket.inet_ntop(family, raw)
    return ""


def unix_name(name: bytes) -> bytes:
    """The path of a socket; abstract ones begin with @ instead of NUL."""
    abstract = b"@" if name.startswith(b"\0") else b""
    return abstract + name.replace(b"\0", b"")


@lru_cache(maxsize=256)
def _sock_words(family: int, kind: int, protocol: int) -> bytes:
    words = (
        name_of(family, FAMILIES),
        name_of(kind, SOCKET_TYPES),
        name_of(protocol, PROTOCOLS),
    )
    return b'"sock_arg":{"family":"%b","type":"%b","protocol":"%b"' % tuple(
        word.encode() for word in words
    )


@lru_cache(maxsize=4096)
def _sock_addresses(family: int, source: bytes, destination: bytes) -> bytes:
    if not address_text(family, source):
        return b""
    return b',"saddr":"%b","daddr":"%b"' % (
        address_text(family, source).encode(),
        address_text(family, destination).encode(),
    )


def _sock(value: SockValue) -> bytes:
    # By hand: policies on connections are the usual ones.
    family = value.family
    text = _sock_words(family, value.type, value.protocol)
    if value.mark:
        text += b',"mark":%d' % value.mark
    if value.priority:
        text += b',"priority":%d' % value.priority
    text += _sock_addresses(family, value.source_address, value.destination_address)
    if value.source_port:
        text += b',"sport":%d' % value.source_port
    if value.destination_port:
        text += b',"dport":%d' % value.destination_port
    if value.cookie:
        text += b',"cookie":"%d"' % value.cookie
    if value.state:
        text += b',"state":"%b"' % name_of(value.state, TCP_STATES).encode()
    return text + b"}"


def _packet(value: SockValue) -> bytes:
    return member(
        "skb_arg",
        {
            "hash": value.hash,
            "len": value.length,
            "priority": value.priority,
            "mark": value.mark,
            "saddr": address_text(value.family, value.source_address),
            "daddr": address_text(value.family, value.destination_address),
            "sport": value.source_port,
            "dport": value.destination_port,
            "proto": value.protocol,
            "sec_path_len": value.security_path_length,
            "sec_path_olen": value.security_path_original_length,
            "protocol": name_of(value.protocol, PROTOCOLS),
            "family": name_of(value.family, FAMILIES),
        },
    )


def _address(value: SockValue) -> bytes:
    return member(
        "sockaddr_arg",
        {
            "family": name_of(value.family, FAMILIES),
            "addr": address_text(value.family, value.source_address),
            "port": value.source_port,
        },
    )


def _unix_address(value: SockValue) -> bytes:
    path = unix_name(value.name)
    return b'"sockaddrun_arg":{"family":"%b"%b}' % (
        name_of(value.family, FAMILIES).encode(),
        b',"path":' + json_string(path) if path else b"",
    )


def _module(value: ModuleValue) -> bytes:
    return member(
        "module_arg",
        {
            "name": value.name.decode("utf-8", "replace"),
            "signature_ok": bool(value.signature_ok),
            "tainted": taint_names(value.taints),
        },
    )


def _program(key: str, value: BpfValue) -> bytes:
    return member(
        key,
        {
            "ProgType": name_of(value.type, PROGRAM_TYPES),
            "InsnCnt": value.instructions,
            "ProgName": value.name.decode("utf-8", "replace"),
        },
    )


def _map(value: BpfValue) -> bytes:
    return member(
        "bpf_map_arg",
        {
            "MapType": name_of(value.type, MAP_TYPES),
            "KeySize": value.key_size,
            "ValueSize": value.value_size,
            "MaxEntries": value.max_entries,
            "MapName": value.name.decode("utf-8", "replace"),
        },
    )


def _perf_event(value: PerfEventValue) -> bytes:
    return member(
        "perf_event_arg",
        {
            "KprobeFunc": value.function.decode("utf-8", "replace"),
            "Type": name_of(value.type, PERF_TYPES),
            "Config": str(value.config or ""),
            "ProbeOffset": str(value.probe_offset or ""),
        },
    )


#: By type.
OBJECT_WRITERS: Final[dict[int, Callable[[Any], bytes]]] = {
    c.ARGUMENT_SOCK: _sock,
    c.ARGUMENT_SKB: _packet,
    c.ARGUMENT_SOCKADDR: _address,
    c.ARGUMENT_SOCKADDR_UN: _unix_address,
    c.ARGUMENT_MODULE: _module,
    c.ARGUMENT_LOAD_INFO: _module,
    c.ARGUMENT_BPF_ATTR: partial(_program, "bpf_attr_arg"),
    c.ARGUMENT_BPF_PROG: partial(_program, "bpf_prog_arg"),
    c.ARGUMENT_BPF_MAP: _map,
    c.ARGUMENT_PERF_EVENT: _perf_event,
}
