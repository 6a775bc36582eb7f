# SPDX-License-Identifier: Apache-2.0
"""Networks as patterns of bits, so that tables of addresses are tables of texts."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, TypeAlias

from tetragon_py.compiler.plan import AddressRow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tetragon_py.compiler.plan import Vector

__all__ = ["Network", "address_rows", "network_patterns"]

Network: TypeAlias = IPv4Network | IPv6Network

# An IPv4 address in a socket of both families: ::ffff:10.0.0.1.
_MAPPED = bytes((*(0 for _ in range(10)), 0xFF, 0xFF))
_BYTES = {b"4": 4, b"6": 16}


def network_patterns(networks: Iterable[Network]) -> tuple[bytes, ...]:
    """Return each network as its version and one digit per leading bit: b"40000101".

    One of IPv4 comes as its IPv6 form too: many programs open IPv6 sockets only, and
    the kernel then has the same address in that form.
    """
    patterns = []
    for network in networks:
        address = network.network_address.packed
        patterns.append(_digits(b"%d" % network.version, address, network.prefixlen))
        if network.version == 4:
            bits = 8 * len(_MAPPED) + network.prefixlen
            patterns.append(_digits(b"6", _MAPPED + address, bits))
    return tuple(patterns)


def _digits(version: bytes, address: bytes, bits: int) -> bytes:
    number = int.from_bytes(address, "big")
    return version + f"{number:0{8 * len(address)}b}"[:bits].encode()


def address_rows(rows: Iterable[tuple[bytes, Vector]]) -> tuple[AddressRow, ...]:
    """Return the rows of patterns as those of addresses."""
    return tuple(_row(pattern, vector) for pattern, vector in rows)


def _row(pattern: bytes, vector: Vector) -> AddressRow:
    size = _BYTES[pattern[:1]]
    digits = pattern[1:]
    number = int(digits.ljust(8 * size, b"0"), 2)
    return AddressRow(number.to_bytes(size, "big"), len(digits), vector)
