# SPDX-License-Identifier: Apache-2.0
"""Sockets, in a network namespace where many addresses are local ones."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from tests.corpus.triggers.kernel import filter_packets
from tests.corpus.triggers.processes import as_program
from tests.corpus.triggers.system import CLONE_NEWNET, call

if TYPE_CHECKING:
    from tests.corpus.told import Told
    from tests.corpus.triggers.system import Place

_SIOCSIFFLAGS, _SIOCSIFADDR, _UP = 0x8914, 0x8916, 1
#: Each with all of its network: 10/8, 192.168.1/24, ...
_ADDRESSES = ("10.44.0.1", "10.48.0.1", "192.168.1.1", "172.16.0.1", "198.51.100.1")
#: Neither on this host nor private; documentation only.
PUBLIC = "198.51.100.1"
LOOPBACK = "127.0.0.1"
SSHD = Path("/usr/sbin/sshd")
CURL = Path("/usr/bin/curl")
_HEAD_MAX = 65536


def _enter() -> None:
    """Be alone in a network with nothing but lo."""
    call("unshare", CLONE_NEWNET)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _UP))
        for number, address in enumerate(_ADDRESSES):
            request = struct.pack(
                "16sHH4s8x",
                f"lo:{number}".encode(),
                *(socket.AF_INET, 0, socket.inet_aton(address)),
            )
            fcntl.ioctl(control, _SIOCSIFADDR, request)


def _listener(port: int = 0, family: int = socket.AF_INET) -> socket.socket:
    found = socket.socket(family)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.bind(("", port))
    found.listen(8)
    return found


def _connect(address: str, port: int, data: bytes = b"") -> int:
    """Connect, say something, close; the own port."""
    with socket.create_connection((address, port)) as client:
        if data:
            client.sendall(data)
        own: int = client.getsockname()[1]
        return own


def _curl(address: str, server: socket.socket) -> tuple[int, int]:
    """Curl asks for a page; its port, and the size of what it sent."""
    port = server.getsockname()[1]
    child = os.fork()
    if not child:
        null = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        url = f"http://{address}:{port}/"
        os.execv(CURL, ["curl", "--silent", "--noproxy", "*", url])
    accepted, (_, own) = server.accept()
    with accepted:
        head = accepted.recv(_HEAD_MAX)
        accepted.sendall(b"HTTP/1.0 204 No Content\r\n\r\n")
        accepted.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            accepted.recv(1)
    os.waitpid(child, 0)
    return own, len(head)


def connect_everywhere(place: Place) -> Told:
    """TCP to this host, into the cluster, and out of it."""
    _enter()
    with _listener() as server:
        port = server.getsockname()[1]
        for inside in (LOOPBACK, "10.44.0.1", "10.48.0.1"):
            _connect(inside, port)
        return {"sport": _connect(PUBLIC, port), "dport": port, "daddr": PUBLIC}


def curl(place: Place) -> Told:
    """Curl asks this host for a page."""
    _enter()
    with _listener() as server:
        sport, size = _curl(LOOPBACK, server)
        return {"sport": sport, "dport": server.getsockname()[1], "size": size}


def curl_and_others(place: Place) -> Told:
    """Curl asks this host and another one; this process connects too."""
    _enter()
    with _listener() as server:
        port = server.getsockname()[1]
        _connect(PUBLIC, port)
        server.accept()[0].close()
        _curl(LOOPBACK, server)
        sport, _ = _curl(PUBLIC, server)
        return {"sport": sport, "dport": port, "daddr": PUBLIC}


def connect_private(place: Place) -> Told:
    """TCP to private networks and to a public one."""
    _enter()
    with _listener() as server:
        port = server.getsockname()[1]
        for inside in (LOOPBACK, "10.44.0.1", "172.16.0.1", "192.168.1.1"):
            _connect(inside, port)
        return {"sport": _connect(PUBLIC, port), "dport": port, "daddr": PUBLIC}


def connect_selected(place: Place) -> Told:
    """TCP with data to two networks of the policy, and to another one."""
    _enter()
    with _listener() as server:
        port = server.getsockname()[1]
        told: Told = {"dport": port}
        _connect(PUBLIC, port, b"x" * 5)
        told["local"] = _connect(LOOPBACK, port, b"x" * 11)
        told["private"] = _connect("192.168.1.1", port, b"x" * 13)
        return told


def connect_addresses(place: Place) -> Told:
    """connect() of IPv4, IPv6 and a path."""
    _enter()
    with _listener(family=socket.AF_INET6) as server, socket.socket() as first:
        port = server.getsockname()[1]
        _connect("::1", port)
        with contextlib.suppress(ConnectionError):
            first.connect((LOOPBACK, port))
    with socket.socket(socket.AF_UNIX) as other, contextlib.suppress(OSError):
        other.connect("/corpus/no/socket")
    return {"port": port}


def curl_in_private(place: Place) -> Told:
    """Curl asks the allowed server and another one."""
    _enter()
    with _listener(80) as allowed, _listener() as other:
        _curl("192.168.1.1", allowed)
        _curl(LOOPBACK, other)
        return {"port": other.getsockname()[1]}


def listen(place: Place) -> Told:
    """Listen on a port of the policy, by IPv4 and IPv6, and on another one."""
    _enter()
    with _listener(1337), _listener(31337, socket.AF_INET6), _listener(1338):
        return {}


def accept(place: Place) -> Told:
    """A connection to this host, accepted and closed; and one of IPv6."""
    _enter()
    with _listener(family=socket.AF_INET6) as server:
        _connect("::1", server.getsockname()[1])
    with _listener() as server:
        port = server.getsockname()[1]
        with socket.create_connection((LOOPBACK, port)) as client:
            accepted = server.accept()[0]
            own = client.getsockname()[1]
        accepted.close()
        return {"server": port, "client": own}


def accept_as_sshd(place: Place) -> Told:
    """The same by a program with the path of sshd; and by this one."""
    told = accept(place)
    answer = place.scratch / "ports"
    code = (
        "import socket, sys; server = socket.socket(); server.bind(('127.0.0.1', 0));"
        "server.listen(1); client = socket.create_connection(server.getsockname());"
        "accepted = server.accept()[0]; out = open(sys.argv[1], 'w');"
        "print(server.getsockname()[1], client.getsockname()[1], file=out);"
        "client.close(); accepted.close(); server.close()"
    )
    as_program(SSHD, "-c", code, str(answer))
    server, client = map(int, answer.read_text().split())
    return {"server": server, "client": client, "other": told["server"]}


def send_datagram(place: Place) -> Told:
    """UDP to this host by IPv4 and IPv6, and to another one."""
    _enter()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender6,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as receiver,
    ):
        receiver.bind(("", 0))
        port = receiver.getsockname()[1]
        sender.sendto(b"x" * 7, (PUBLIC, port))
        sender.sendto(b"x" * 17, (LOOPBACK, port))
        sender6.sendto(b"x" * 19, ("::1", port))
        return {
            "dport": port,
            "sport": sender.getsockname()[1],
            "sport6": sender6.getsockname()[1],
        }


def drop_datagram(place: Place) -> Told:
    """UDP to a port where nobody listens."""
    _enter()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x" * 29, (LOOPBACK, 9))
        return {"sport": sender.getsockname()[1], "dport": 9}


def send_filtered(place: Place) -> Told:
    """The same where a BPF program looks at packets."""
    filter_packets()
    return send_datagram(place)


def ask_for_names(place: Place) -> Told:
    """DNS by UDP to the allowed server and another; and to another port."""
    _enter()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for address, port in (("127.0.0.53", 53), (PUBLIC, 54), (PUBLIC, 53)):
            sender.sendto(b"x" * 23, (address, port))
        return {"sport": sender.getsockname()[1], "daddr": PUBLIC}
