# SPDX-License-Identifier: Apache-2.0
"""The kernel's numbers that a policy may write as names.

Each table: the name without its usual prefix, in capitals -> the number in the kernel's
headers. They are ABI: numbers never change, kernels only add to them.
"""

from __future__ import annotations

import stat
from enum import StrEnum

from tetragon_py.policy.diagnostic import PolicyValueError, nearest, quote

__all__ = [
    "CAPABILITIES",
    "FAMILIES",
    "FILE_TYPES",
    "PROTOCOLS",
    "STATES",
    "Namespace",
    "look_up",
]


class Namespace(StrEnum):
    """The namespaces of a task, as policies spell them."""

    UTS = "Uts"
    IPC = "Ipc"
    MNT = "Mnt"
    PID = "Pid"
    PID_FOR_CHILDREN = "PidForChildren"
    NET = "Net"
    TIME = "Time"
    TIME_FOR_CHILDREN = "TimeForChildren"
    CGROUP = "Cgroup"
    USER = "User"


def _number(names: str, first: int = 0) -> dict[str, int]:
    return {name: number for number, name in enumerate(names.split(), first)}


#: include/uapi/linux/capability.h
CAPABILITIES = _number("""
    CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP
    LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER
    SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE
    SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP
    MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF
    CHECKPOINT_RESTORE
""")

#: include/linux/socket.h
FAMILIES = _number("""
    UNSPEC UNIX INET AX25 IPX APPLETALK NETROM BRIDGE ATMPVC X25 INET6 ROSE DECNET
    NETBEUI SECURITY KEY NETLINK PACKET ASH ECONET ATMSVC RDS SNA IRDA PPPOX WANPIPE LLC
    IB MPLS CAN TIPC BLUETOOTH IUCV RXRPC ISDN PHONET IEEE802154 CAIF ALG NFC VSOCK KCM
    QIPCRTR SMC XDP MCTP
""") | {"LOCAL": 1, "ROUTE": 16}

#: include/net/tcp_states.h
STATES = _number(
    """
    ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT1 FIN_WAIT2 TIME_WAIT CLOSE CLOSE_WAIT
    LAST_ACK LISTEN CLOSING NEW_SYN_RECV BOUND_INACTIVE
    """,
    1,
)

#: include/uapi/linux/in.h and in6.h
PROTOCOLS = _number("IP ICMP IGMP") | {
    "IPIP": 4,
    "TCP": 6,
    "EGP": 8,
    "PUP": 12,
    "UDP": 17,
    "IDP": 22,
    "TP": 29,
    "DCCP": 33,
    "IPV6": 41,
    "ROUTING": 43,
    "FRAGMENT": 44,
    "RSVP": 46,
    "GRE": 47,
    "ESP": 50,
    "AH": 51,
    "ICMPV6": 58,
    "NONE": 59,
    "DSTOPTS": 60,
    "MTP": 92,
    "BEETPH": 94,
    "ENCAP": 98,
    "PIM": 103,
    "COMP": 108,
    "L2TP": 115,
    "SCTP": 132,
    "MH": 135,
    "UDPLITE": 136,
    "MPLS": 137,
    "ETHERNET": 143,
    "RAW": 255,
    "SMC": 256,
    "MPTCP": 262,
}

#: Both spellings of each -> the type bits of st_mode.
FILE_TYPES = {
    **dict.fromkeys(("SOCK", "SOCKET"), stat.S_IFSOCK),
    **dict.fromkeys(("LNK", "LINK"), stat.S_IFLNK),
    **dict.fromkeys(("REG", "REGULAR"), stat.S_IFREG),
    **dict.fromkeys(("BLK", "BLOCK"), stat.S_IFBLK),
    **dict.fromkeys(("DIR", "DIRECTORY"), stat.S_IFDIR),
    **dict.fromkeys(("CHR", "CHAR"), stat.S_IFCHR),
    **dict.fromkeys(("FIFO", "PIPE"), stat.S_IFIFO),
}


def look_up(table: dict[str, int], text: str, what: str, prefix: str = "") -> int:
    """Return the number of a name of `table`, with or without `prefix`, in any case.

    Raises:
        PolicyValueError: `text` is none; the message calls it an unknown `what`.
    """
    name = text.upper().removeprefix(prefix)
    if name in table:
        return table[name]

    # Compared with the prefix, else any two capabilities look alike.
    def near() -> str:
        names = [(prefix + known) if prefix else known.lower() for known in table]
        return nearest(prefix + name, names)

    raise PolicyValueError(f"{quote(text)} is no {what}", near)
