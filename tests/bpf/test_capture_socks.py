# SPDX-License-Identifier: Apache-2.0
"""Sockets, packets and socket addresses among the arguments of a hit."""

from __future__ import annotations

import socket
import struct
from contextlib import ExitStack

import pytest

from tests.bpf.capturing import Capture, address_of, argument, load_capture
from tetragon_py.abi import _generated as c

AF_UNSPEC = 0


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


def ends_of(sock):
    """Both addresses of a struct argument_sock, each with its port."""
    family = sock["family"]
    size = 4 if family == socket.AF_INET else 16
    return tuple(
        (socket.inet_ntop(family, sock[f"{end}_address"][:size]), sock[f"{end}_port"])
        for end in ("source", "destination")
    )


@pytest.fixture
def sock_of(capture):
    """Capture an argument that has no text: its struct argument_sock."""

    def capture_sock(wanted, *raw):
        fields, rest = capture.one(wanted, *raw).unpack("ARGUMENT_SOCK")
        assert rest == b""
        return fields

    return capture_sock


LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


@pytest.fixture(params=sorted(LOOPBACK), ids=["v4", "v6"])
def family(request):
    """An address family that this kernel has an address of."""
    try:
        with socket.socket(request.param, socket.SOCK_DGRAM) as probe:
            probe.bind((LOOPBACK[request.param], 0))
    except OSError as error:
        pytest.skip(f"no loopback address: {error}")
    return request.param


def test_tcp_socket(capture, sock_of, closing, family):
    """Both ends, from the struct sock and from the struct socket."""
    server = closing.enter_context(
        socket.create_server((LOOPBACK[family], 0), family=family)
    )
    client = closing.enter_context(socket.socket(family, socket.SOCK_STREAM))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 3)
    client.setsockopt(socket.SOL_SOCKET, 36, 77)  # SO_MARK
    client.connect(server.getsockname()[:2])
    known = capture.look(client.fileno())
    for wanted, value in (
        (argument(c.ARGUMENT_SOCK), known.socket_sk),
        (argument(c.ARGUMENT_SOCK, c.FORM_SOCKET), known.file_private),
    ):
        sock = sock_of(wanted, value)

        assert sock["family"] == family
        assert sock["protocol"] == socket.IPPROTO_TCP
        assert sock["type"] == socket.SOCK_STREAM
        assert sock["state"] == 1  # established
        assert sock["priority"] == 3
        assert sock["mark"] == 77
        assert sock["length"] == sock["hash"] == 0
        assert ends_of(sock) == (client.getsockname()[:2], client.getpeername()[:2])
    cookie = client.getsockopt(socket.SOL_SOCKET, 57, 8)  # SO_COOKIE
    sock = sock_of(argument(c.ARGUMENT_SOCK), known.socket_sk)
    assert sock["cookie"] == int.from_bytes(cookie, "little")


def test_socket_of_another_family(capture, sock_of, closing):
    """No address where there is none."""
    end = closing.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
    known = capture.look(end.fileno())
    sock = sock_of(argument(c.ARGUMENT_SOCK), known.socket_sk)

    assert sock["family"] == socket.AF_UNIX
    assert sock["type"] == socket.SOCK_SEQPACKET
    assert sock["source_address"] == sock["destination_address"] == bytes(16)
    assert sock["source_port"] == sock["destination_port"] == 0


def test_received_packet(capture, sock_of, closing, family):
    """The headers of a datagram that waits in its socket."""
    receiver = closing.enter_context(socket.socket(family, socket.SOCK_DGRAM))
    sender = closing.enter_context(socket.socket(family, socket.SOCK_DGRAM))
    for end in (receiver, sender):
        end.bind((LOOPBACK[family], 0))
    sender.sendto(b"datagram", receiver.getsockname()[:2])
    skb = capture.look(receiver.fileno()).first_skb
    sock = sock_of(argument(c.ARGUMENT_SKB), skb)

    assert sock["family"] == family
    assert sock["protocol"] == socket.IPPROTO_UDP
    assert sock["length"] in {8, 16}  # without and with the header of UDP
    assert ends_of(sock) == (sender.getsockname()[:2], receiver.getsockname()[:2])


def sockaddr(family, port=0, address=b""):
    return struct.pack("<H", family) + struct.pack(">H", port) + address


@pytest.mark.parametrize("form", [c.FORM_USER, c.FORM_KERNEL, c.FORM_PLAIN])
def test_socket_addresses(capture, sock_of, form):
    """Address and port of IP, of others only the family."""
    v6 = socket.inet_pton(socket.AF_INET6, "2001:db8::5")
    for packed, expected in (
        (
            sockaddr(socket.AF_INET, 443, bytes((10, 1, 2, 3)) + bytes(8)),
            (socket.AF_INET, 443, bytes((10, 1, 2, 3)) + bytes(12)),
        ),
        (
            sockaddr(socket.AF_INET6, 53, bytes(4) + v6 + bytes(4)),
            (socket.AF_INET6, 53, v6),
        ),
        (sockaddr(AF_UNSPEC), (AF_UNSPEC, 0, bytes(16))),
        (sockaddr(socket.AF_NETLINK, 7, b"x" * 8), (socket.AF_NETLINK, 0, bytes(16))),
    ):
        user, _kept = address_of(packed)
        memory = capture.remember((0, packed))
        sock = sock_of(
            argument(c.ARGUMENT_SOCKADDR, form),
            user if form == c.FORM_USER else memory,
        )

        assert (sock["family"], sock["source_port"], sock["source_address"]) == expected
        assert sock["destination_address"] == bytes(16)


@pytest.mark.parametrize("form", [c.FORM_USER, c.FORM_KERNEL])
@pytest.mark.parametrize(
    ("name", "size", "text"),
    [
        (b"/run/a socket\0", None, b"/run/a socket"),
        (b"/run/a socket\0", 2 + 14, b"/run/a socket"),
        (b"/run/a socket", 2 + 13, b"/run/a socket"),
        (b"/run/a socket", 2 + 4, b"/run"),
        (b"p" * 108, None, b"p" * 108),
        (b"p" * 108, 2 + 108, b"p" * 108),
        (b"\0abstract\0\0", None, b"\0abstract"),
        (b"\0abstract\0\0", 2 + 11, b"\0abstract\0\0"),
        (b"\0" + b"a" * 107, None, b"\0" + b"a" * 107),
        (b"\0" + b"a" * 107, 2 + 108, b"\0" + b"a" * 107),
        (b"", 2, b""),
        (b"", 1, b""),
    ],
)
def test_unix_addresses(capture, form, name, size, text):
    """Names in the file system, abstract ones, and none."""
    packed = sockaddr(socket.AF_UNIX)[:2] + name
    user, _kept = address_of(packed.ljust(2 + 108 + 1, b"\0"))
    memory = capture.remember((0, packed))
    wanted = argument(*(c.ARGUMENT_SOCKADDR_UN, form), size_register=2 if size else 0)
    address = user if form == c.FORM_USER else memory
    sock, found = capture.one(wanted, address, size or 0).unpack("ARGUMENT_SOCK")

    assert sock["family"] == socket.AF_UNIX
    assert found == text
