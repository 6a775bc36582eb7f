# SPDX-License-Identifier: Apache-2.0
"""Networks as patterns: what begins with a pattern is inside of the network."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from tetragon_py.compiler.plan import AddressRow
from tetragon_py.compiler.tables.addresses import address_rows, network_patterns


def test_rows_of_networks():
    """IPv4 comes in both forms, with the bits of the prefix and zeros behind."""
    networks = [ip_network("10.64.0.0/10"), ip_network("fd00::/8")]
    rows = address_rows((p, n) for n, p in enumerate(network_patterns(networks)))

    assert rows == (
        AddressRow(ip_address("10.64.0.0").packed, 10, 0),
        AddressRow(ip_address("::ffff:10.64.0.0").packed, 106, 1),
        AddressRow(ip_address("fd00::").packed, 8, 2),
    )


def test_everything_is_an_empty_prefix():
    """0.0.0.0/0 is a row of no bits, and not the whole of IPv6."""
    own, mapped = network_patterns([ip_network("0.0.0.0/0")])

    assert own == b"4"
    assert address_rows([(own, 1)]) == (AddressRow(bytes(4), 0, 1),)
    assert len(mapped) == 1 + 96


@given(
    st.ip_addresses(v=4) | st.ip_addresses(v=6),
    st.ip_addresses(v=4) | st.ip_addresses(v=6),
    st.integers(0, 128),
)
def test_begins_with_means_inside(one, other, bits):
    """The same question, asked of texts and of networks."""
    bits = min(bits, other.max_prefixlen)
    network = ip_network((other, bits), strict=False)
    [address, *_] = network_patterns([ip_network(one)])
    [pattern, *_] = network_patterns([network])

    assert address.startswith(pattern) is (one in network)
