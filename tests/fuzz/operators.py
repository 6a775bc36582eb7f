# SPDX-License-Identifier: Apache-2.0
"""The meaning of each operator, for one value of a filter.

Only positive ones: a negative operator holds where its positive one does not.
"""

from __future__ import annotations

import stat
from ipaddress import IPv4Network, IPv6Address, IPv6Network
from typing import TYPE_CHECKING, Any

from tests.fuzz.hit import File, Socket, UnixName, Unreadable
from tetragon_py.policy.model.operators import Operator
from tetragon_py.policy.values.integers import IntRange

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fuzz.hit import Address, Captured

__all__ = ["TESTS", "part_of"]

#: Only so much of a text is searched.
_SEARCHED_BYTES = 1024
_PRIVILEGED_PORTS = range(1024)

#: What of a value an operator is about.
_PARTS: dict[Operator, Callable[[Any], Any]] = {
    Operator.SADDR: lambda socket: socket.source,
    Operator.DADDR: lambda socket: socket.destination,
    Operator.SPORT: lambda socket: socket.source_port,
    Operator.DPORT: lambda socket: socket.destination_port,
    Operator.SPORT_PRIV: lambda socket: socket.source_port,
    Operator.DPORT_PRIV: lambda socket: socket.destination_port,
    Operator.PROTOCOL: lambda socket: socket.protocol,
    Operator.FAMILY: lambda socket: socket.family,
    Operator.STATE: lambda socket: socket.state,
    Operator.FILE_TYPE: lambda file: stat.S_IFMT(file.mode),
}


def part_of(operator: Operator) -> Callable[[Any], Any]:
    """Return what takes of a captured value the part that `operator` is about."""
    return _PARTS.get(operator, _whole)


def _whole(value: Captured) -> int | bytes:
    match value:
        case File():
            return value.path
        case UnixName():
            return value.name
        case Socket() | Unreadable():
            raise AssertionError(value)
    return value


def _is_in(address: Address | None, network: IPv4Network | IPv6Network) -> bool:
    if isinstance(address, IPv6Address) and network.version == 4:
        # An IPv4 address in a socket of both families.
        address = address.ipv4_mapped
    return address is not None and address in network


def _is_among(value: int, wanted: int | IntRange) -> bool:
    if isinstance(wanted, IntRange):
        return wanted.low <= value <= wanted.high
    return value == wanted


#: Positive operator -> whether the value is content with one value of the filter.
TESTS: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQUAL: lambda value, wanted: value == wanted,
    Operator.IN: lambda value, wanted: value == wanted,
    Operator.PREFIX: lambda text, wanted: text.startswith(wanted),
    Operator.POSTFIX: lambda text, wanted: text.endswith(wanted),
    Operator.SUBSTRING: lambda text, wanted: wanted in text[:_SEARCHED_BYTES],
    Operator.SUBSTRING_IGNORE_CASE: lambda text, wanted: (
        wanted.lower() in text[:_SEARCHED_BYTES].lower()
    ),
    Operator.GT: lambda value, wanted: value > wanted,
    Operator.LT: lambda value, wanted: value < wanted,
    Operator.IN_RANGE: _is_among,
    Operator.IN_MAP: _is_among,
    Operator.MASK: lambda value, wanted: value & wanted != 0,
    Operator.SADDR: _is_in,
    Operator.DADDR: _is_in,
    Operator.SPORT: _is_among,
    Operator.DPORT: _is_among,
    Operator.SPORT_PRIV: lambda port, _: port in _PRIVILEGED_PORTS,
    Operator.DPORT_PRIV: lambda port, _: port in _PRIVILEGED_PORTS,
    Operator.PROTOCOL: lambda value, wanted: value == wanted,
    Operator.FAMILY: lambda value, wanted: value == wanted,
    Operator.STATE: lambda value, wanted: value == wanted,
    Operator.FILE_TYPE: lambda value, wanted: value == wanted,
}
