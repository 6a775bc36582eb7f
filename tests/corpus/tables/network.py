# SPDX-License-Identifier: Apache-2.0
"""Policies on sockets and packets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.corpus.example import Example
from tests.corpus.patterns import (
    Part,
    address,
    function,
    labelled,
    number,
    packet,
    sock,
    text,
)
from tests.corpus.triggers import network

if TYPE_CHECKING:
    from tests.corpus.patterns import Event, Pattern
    from tests.corpus.told import Told

__all__ = ["NETWORK"]

_LOCAL = network.LOOPBACK
_NAMESPACED = {"*": "a namespaced policy cannot run in this release"}


def _ends(
    saddr: str, sport: int, daddr: str, dport: int, **more: str
) -> dict[str, Any]:
    ends = {"saddr": saddr, "sport": sport, "daddr": daddr, "dport": dport}
    return ends | more


def _outside(told: Told) -> list[Pattern]:
    public = network.PUBLIC
    ends = _ends(public, told["sport"], public, told["dport"], state="TCP_SYN_SENT")
    return [function("tcp_connect", sock(**ends))]


def _conversation(address_: str, own: int, port: int, bytes_: int) -> list[Pattern]:
    ends = _ends(address_, own, address_, port)
    return [
        function("tcp_connect", sock(**ends, state="TCP_SYN_SENT")),
        function("tcp_sendmsg", sock(**ends, state="TCP_ESTABLISHED"), number(bytes_)),
        function("tcp_close", sock(**ends)),
    ]


def _curl(told: Told) -> list[Pattern]:
    return _conversation(_LOCAL, told["sport"], told["dport"], told["size"])


def _selected(told: Told) -> list[Pattern]:
    return [
        *_conversation(_LOCAL, told["local"], told["dport"], 11),
        *_conversation("192.168.1.1", told["private"], told["dport"], 13),
    ]


def _addresses(told: Told) -> list[Pattern]:
    port = told["port"]
    hook = "security_socket_connect"
    return [
        function(hook, address("AF_INET6", "::1", port), number(28)),
        function(hook, address("AF_INET", _LOCAL, port), number(16)),
    ]


def _curl_in_private(told: Told) -> list[Pattern]:
    hook = "security_socket_connect"
    return [
        function(hook, sock(), address("AF_INET", "192.168.1.1", 80), number(16)),
        function(hook, sock(), address("AF_INET", _LOCAL, told["port"]), number(16)),
    ]


def _listen(told: Told) -> list[Pattern]:
    hook = "inet_csk_listen_start"
    return [
        function(hook, sock(sport=1337)),
        function(hook, sock(family="AF_INET6", sport=31337)),
    ]


def _fresh_socket(label: str) -> Pattern:
    """A socket as sk_alloc returns it: nothing but its family is set."""
    return function(
        "sk_alloc",
        labelled(label, int_arg=2),
        returned={"sock_arg": Part(family="AF_INET")},
    )


def _accept(told: Told) -> list[Pattern]:
    """What happens in the name of who listens, wherever packets are dealt with."""
    server = _ends(_LOCAL, told["server"], _LOCAL, told["client"])
    return [
        _fresh_socket("Family"),
        function(
            "tcp_set_state",
            sock(**server, state="TCP_SYN_RECV"),
            labelled("state", int_arg=1),
        ),
        function(
            "tcp_create_openreq_child",
            sock(sport=told["server"], state="TCP_LISTEN"),
            # its caller sets the addresses
            returned=sock(
                sport=told["server"], dport=told["client"], state="TCP_SYN_RECV"
            ),
        ),
        function("tcp_close", sock(**_swapped(server))),
        # its own port is given back by then
        function("__sk_free", sock(daddr=_LOCAL, dport=told["server"])),
    ]


def _swapped(ends: dict[str, Any]) -> dict[str, Any]:
    """The other side's view."""
    return {**ends, "sport": ends["dport"], "dport": ends["sport"]}


def _accept_sshd(told: Told) -> list[Pattern]:
    """What sshd itself does: other hooks are hit where packets are dealt with."""
    client = _ends(_LOCAL, told["client"], _LOCAL, told["server"])
    found = [
        _fresh_socket("Family"),
        function("tcp_close", sock(**client)),
        function("tcp_close", sock(**_swapped(client))),
    ]
    for pattern in found:
        pattern["process"] = Part(binary=str(network.SSHD))
    return found


def _udp(label: str = "", **members: Any) -> Event:
    return sock(label, type="SOCK_DGRAM", protocol="IPPROTO_UDP", **members)


def _datagram(told: Told, send: str = "") -> Pattern:
    return function(
        "__cgroup_bpf_run_filter_skb",
        _udp(sport=told["sport"]),
        packet(daddr=_LOCAL, sport=told["sport"], dport=told["dport"]),
        labelled(send, int_arg=1),
    )


def _tracked_datagram(told: Told) -> list[Pattern]:
    return [
        _datagram(told, send="send"),
        _fresh_socket("family"),
        function("__sk_free", _udp()),
    ]


def _output(told: Told) -> list[Pattern]:
    ends = {"daddr": _LOCAL, "sport": told["sport"], "dport": told["dport"]}
    ends6 = {
        "family": "AF_INET6",
        "daddr": "::1",
        "sport": told["sport6"],
        "dport": told["dport"],
    }
    own, own6 = {"sport": told["sport"]}, {"sport": told["sport6"]}
    receiver = _udp(family="AF_INET6", sport=told["dport"])
    return [
        function("ip_output", _udp("sock", **own), packet("datagram", **ends)),
        function(
            "ip6_output",
            _udp("sock", family="AF_INET6", **own6),
            packet("datagram", **ends6),
        ),
        function("sk_filter_trim_cap", receiver, packet("datagram", **ends)),
        function("sk_filter_trim_cap", receiver, packet("datagram", **ends6)),
        _fresh_socket(""),
        function("__sk_free", _udp()),
    ]


def _names(told: Told) -> list[Pattern]:
    asked = packet(daddr=network.PUBLIC, sport=told["sport"], dport=53)
    return [function("ip_output", asked)]


def _dropped(told: Told) -> list[Pattern]:
    lost = packet(daddr=_LOCAL, sport=told["sport"], dport=told["dport"])
    no_socket = labelled("reason", int_arg=2)  # later kernels have other numbers
    return [function("kfree_skb_reason", lost, no_socket)]


NETWORK = [
    Example("policylibrary/egress.yaml", network.connect_everywhere, _outside),
    Example(
        "quickstart/network_egress_cluster.yaml", network.connect_everywhere, _outside
    ),
    Example(
        "quickstart/network_egress_cluster_enforce.yaml",
        network.connect_everywhere,
        _outside,
        refused=_NAMESPACED,
        on_host=True,
    ),
    Example(
        "tracingpolicy/tcp-connect-only-local-addrs.yaml",
        network.curl_and_others,
        _outside,
    ),
    Example(
        "tracingpolicy/tcp-connect-only-private-addrs.yaml",
        network.connect_private,
        _outside,
    ),
    Example(
        "tracingpolicy/tcp-connect-with-selectors.yaml",
        network.connect_selected,
        _selected,
    ),
    Example("tracingpolicy/tcp-connect.yaml", network.curl, _curl, has_others=True),
    Example(
        "tracingpolicy/tcp-accept.yaml",
        network.accept,
        _accept,
        has_others=True,
    ),
    Example(
        "policylibrary/sshd.yaml",
        network.accept_as_sshd,
        _accept_sshd,
        has_others=True,
    ),
    Example("tracingpolicy/tcp-listen.yaml", network.listen, _listen),
    Example(
        "tracingpolicy/datagram_518.yaml",
        network.send_datagram,
        _output,
        has_others=True,
        by_anyone=True,
    ),
    Example(
        "tracingpolicy/datagram-with-sock-tracking.yaml",
        network.send_filtered,
        _tracked_datagram,
        has_others=True,
        by_anyone=True,
    ),
    Example(
        "tracingpolicy/datagram-with-selectors.yaml",
        network.send_filtered,
        lambda told: [_datagram(told)],
        has_others=True,  # on 5.10 what comes in too
    ),
    Example(
        "tracingpolicy/datagram.yaml",
        network.send_filtered,
        lambda told: [_datagram(told)],
        has_others=True,
    ),
    Example(
        "tracingpolicy/dns-only-specified-servers.yaml", network.ask_for_names, _names
    ),
    Example(
        "tracingpolicy/dev_hard_start_xmit.yaml",
        network.send_datagram,
        lambda _: [function("dev_hard_start_xmit", text("lo"))],
    ),
    Example(
        "tracingpolicy/dev_queue_xmit.yaml",
        network.send_datagram,
        lambda told: [function("dev_queue_xmit", packet(sport=told["sport"]))],
        has_others=True,
        refused=dict.fromkeys(
            ("6.12", "7.2"), "the kernel has no function 'dev_queue_xmit'"
        ),
        # a copy of an inline function, where the kernel forbids probes
        unattachable={"6.1": "attach enter_kprobe to dev_queue_xmit: Invalid argument"},
    ),
    Example(
        "tracingpolicy/stack_traces.yaml",
        network.drop_datagram,
        _dropped,
        refused=dict.fromkeys(
            ("5.10", "6.12", "7.2"), "the kernel has no function 'kfree_skb_reason'"
        ),
        has_others=True,
        by_anyone=True,
    ),
    Example(
        "tracingpolicy/security-socket-connect.yaml",
        network.connect_addresses,
        _addresses,
    ),
    Example(
        "tracingpolicy/security-socket-connect-block-others.yaml",
        network.curl_in_private,
        _curl_in_private,
    ),
]
