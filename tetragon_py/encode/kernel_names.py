# SPDX-License-Identifier: Apache-2.0
"""Numbers in the arguments of hooks as the words of the kernel's headers.

They are ABI: numbers never change, kernels only add to them. A number without a name is
shown as a number.
"""

from __future__ import annotations

import errno
import os
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from tetragon_py.encode.names import capability_names

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "BPF_COMMANDS",
    "FAMILIES",
    "MAP_TYPES",
    "NAMESPACE_TYPES",
    "PERF_TYPES",
    "PROGRAM_TYPES",
    "PROTOCOLS",
    "SOCKET_TYPES",
    "TCP_STATES",
    "capability_name",
    "error_name",
    "name_of",
    "open_flag_names",
    "taint_names",
]


def _numbered(prefix: str, names: str, first: int = 0) -> dict[int, str]:
    return {number: prefix + name for number, name in enumerate(names.split(), first)}


def _listed(prefix: str, names: str) -> dict[int, str]:
    pairs = (pair.partition(":") for pair in names.split())
    return {int(number, 0): prefix + name for number, _, name in pairs}


#: include/linux/socket.h
FAMILIES: Final = _numbered(
    "AF_",
    """
    UNSPEC UNIX INET AX25 IPX APPLETALK NETROM BRIDGE ATMPVC X25 INET6 ROSE DECnet
    NETBEUI SECURITY KEY NETLINK PACKET ASH ECONET ATMSVC RDS SNA IRDA PPPOX WANPIPE
    LLC IB MPLS CAN TIPC BLUETOOTH IUCV RXRPC ISDN PHONET IEEE802154 CAIF ALG NFC VSOCK
    KCM QIPCRTR SMC XDP MCTP
    """,
)

#: include/linux/net.h
SOCKET_TYPES: Final = _listed(
    "SOCK_", "1:STREAM 2:DGRAM 3:RAW 4:RDM 5:SEQPACKET 6:DCCP 10:PACKET"
)

#: include/uapi/linux/in.h and in6.h
PROTOCOLS: Final = _listed(
    "IPPROTO_",
    """
    0:IP 1:ICMP 2:IGMP 4:IPIP 6:TCP 8:EGP 12:PUP 17:UDP 22:IDP 29:TP 33:DCCP 41:IPV6
    43:ROUTING 44:FRAGMENT 46:RSVP 47:GRE 50:ESP 51:AH 58:ICMPV6 59:NONE 60:DSTOPTS
    92:MTP 94:BEETPH 98:ENCAP 103:PIM 108:COMP 115:L2TP 132:SCTP 135:MH 136:UDPLITE
    137:MPLS 143:ETHERNET 255:RAW 256:SMC 262:MPTCP
    """,
)

#: include/net/tcp_states.h; sockets of all protocols use them.
TCP_STATES: Final = _numbered(
    "TCP_",
    """
    ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT1 FIN_WAIT2 TIME_WAIT CLOSE CLOSE_WAIT
    LAST_ACK LISTEN CLOSING NEW_SYN_RECV BOUND_INACTIVE
    """,
    1,
)

#: include/uapi/linux/bpf.h, as this and the next two
MAP_TYPES: Final = _numbered(
    "BPF_MAP_TYPE_",
    """
    UNSPEC HASH ARRAY PROG_ARRAY PERF_EVENT_ARRAY PERCPU_HASH PERCPU_ARRAY STACK_TRACE
    CGROUP_ARRAY LRU_HASH LRU_PERCPU_HASH LPM_TRIE ARRAY_OF_MAPS HASH_OF_MAPS DEVMAP
    SOCKMAP CPUMAP XSKMAP SOCKHASH CGROUP_STORAGE REUSEPORT_SOCKARRAY
    PERCPU_CGROUP_STORAGE QUEUE STACK SK_STORAGE DEVMAP_HASH STRUCT_OPS RINGBUF
    INODE_STORAGE TASK_STORAGE BLOOM_FILTER USER_RINGBUF CGRP_STORAGE ARENA INSN_ARRAY
    """,
)
PROGRAM_TYPES: Final = _numbered(
    "BPF_PROG_TYPE_",
    """
    UNSPEC SOCKET_FILTER KPROBE SCHED_CLS SCHED_ACT TRACEPOINT XDP PERF_EVENT CGROUP_SKB
    CGROUP_SOCK LWT_IN LWT_OUT LWT_XMIT SOCK_OPS SK_SKB CGROUP_DEVICE SK_MSG
    RAW_TRACEPOINT CGROUP_SOCK_ADDR LWT_SEG6LOCAL LIRC_MODE2 SK_REUSEPORT FLOW_DISSECTOR
    CGROUP_SYSCTL RAW_TRACEPOINT_WRITABLE CGROUP_SOCKOPT TRACING STRUCT_OPS EXT LSM
    SK_LOOKUP SYSCALL NETFILTER
    """,
)
BPF_COMMANDS: Final = _numbered(
    "BPF_",
    """
    MAP_CREATE MAP_LOOKUP_ELEM MAP_UPDATE_ELEM MAP_DELETE_ELEM MAP_GET_NEXT_KEY
    PROG_LOAD OBJ_PIN OBJ_GET PROG_ATTACH PROG_DETACH PROG_TEST_RUN PROG_GET_NEXT_ID
    MAP_GET_NEXT_ID PROG_GET_FD_BY_ID MAP_GET_FD_BY_ID OBJ_GET_INFO_BY_FD PROG_QUERY
    RAW_TRACEPOINT_OPEN BTF_LOAD BTF_GET_FD_BY_ID TASK_FD_QUERY
    MAP_LOOKUP_AND_DELETE_ELEM MAP_FREEZE BTF_GET_NEXT_ID MAP_LOOKUP_BATCH
    MAP_LOOKUP_AND_DELETE_BATCH MAP_UPDATE_BATCH MAP_DELETE_BATCH LINK_CREATE
    LINK_UPDATE LINK_GET_FD_BY_ID LINK_GET_NEXT_ID ENABLE_STATS ITER_CREATE LINK_DETACH
    PROG_BIND_MAP TOKEN_CREATE
    """,
)

#: include/uapi/linux/perf_event.h
PERF_TYPES: Final = _numbered(
    "PERF_TYPE_", "HARDWARE SOFTWARE TRACEPOINT HW_CACHE RAW BREAKPOINT"
)

#: include/uapi/linux/sched.h: what setns(2) may be told to expect.
NAMESPACE_TYPES: Final = _listed(
    "",
    """
    0:any 0x80:time 0x20000:mnt 0x2000000:cgroup 0x4000000:uts 0x8000000:ipc
    0x10000000:user 0x20000000:pid 0x40000000:net
    """,
)

#: Those of modules in include/linux/panic.h, by bit; Tetragon's API has no others.
_TAINTS: Final = _listed(
    "TAINT_",
    """
    0:PROPRIETARY_MODULE 1:FORCED_MODULE 2:FORCED_UNLOAD_MODULE 10:STAGED_MODULE
    12:OUT_OF_TREE_MODULE 13:UNSIGNED_MODULE 15:KERNEL_LIVE_PATCH_MODULE
    18:TEST_MODULE
    """,
)

_ACCESS: Final = {os.O_WRONLY: "O_WRONLY", os.O_RDWR: "O_RDWR"}
#: Their numbers differ between architectures; longer ones before their parts.
_OPEN_FLAGS: Final = tuple(
    (getattr(os, name), name)
    for name in (
        *("O_SYNC", "O_DSYNC", "O_TMPFILE", "O_DIRECTORY", "O_CREAT", "O_EXCL"),
        *("O_NOCTTY", "O_TRUNC", "O_APPEND", "O_NONBLOCK", "O_ASYNC", "O_DIRECT"),
        *("O_NOFOLLOW", "O_NOATIME", "O_CLOEXEC", "O_PATH"),
    )
)


def name_of(number: int, names: Mapping[int, str]) -> str:
    """The name of a number, or the number as text."""
    return names.get(number) or str(number)


def capability_name(number: int) -> str:
    """Such as CAP_SYS_ADMIN; 1 is DAC_OVERRIDE, as Tetragon spells it."""
    return capability_names(1 << number)[0] if 0 <= number < 64 else str(number)


def error_name(error: int) -> str:
    """Such as EPERM, of a positive number."""
    return errno.errorcode.get(error) or str(error)


def taint_names(taints: int) -> list[str | int]:
    """What taints a module, lowest bit first; a bit without a name as its value."""
    return [
        _TAINTS.get(bit, 1 << bit)
        for bit in range(taints.bit_length())
        if taints >> bit & 1
    ]


@lru_cache(maxsize=256)
def open_flag_names(flags: int) -> list[str]:
    """The O_* of an open file; what has no name is left out."""
    names = [_ACCESS.get(flags & os.O_ACCMODE, "O_RDONLY")]
    for bits, name in _OPEN_FLAGS:
        if flags & bits == bits:
            names.append(name)
            flags &= ~bits
    return names
