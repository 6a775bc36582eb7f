# SPDX-License-Identifier: Apache-2.0
"""What filters mean, one at a time and without tables: the reference of the tests.

Filters are data as in a policy's YAML. A value that cannot be read is None: then
neither an operator nor its negative form holds.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network

NUMBER_OPERATORS = {
    "Equal": lambda value, numbers: value in numbers,
    "InMap": lambda value, numbers: value in numbers,
    "GT": lambda value, numbers: any(value > number for number in numbers),
    "LT": lambda value, numbers: any(value < number for number in numbers),
}
TEXT_OPERATORS = {
    "Equal": lambda value, pattern: value == pattern,
    "In": lambda value, pattern: value == pattern,
    "Prefix": lambda value, pattern: value.startswith(pattern),
    "Postfix": lambda value, pattern: value.endswith(pattern),
    "SubString": lambda value, pattern: pattern in value,
    "SubStringIgnCase": lambda value, pattern: pattern.lower() in value.lower(),
}


def split(operator):
    """The positive form, and whether it is negated."""
    positive = operator.removeprefix("Not")
    return positive, positive != operator


def number_holds(entry, value, bits=64):
    """A filter on a number of `bits` bits."""
    if value is None:
        return False
    operator, is_negative = split(entry["operator"])
    values = entry["values"]
    if operator == "Mask":
        unsigned = value & ((1 << bits) - 1)
        return any(unsigned & int(text, 0) for text in values)
    if operator == "InRange":
        ranges = [tuple(map(int, text.split(":"))) for text in values]
        return any(low <= value <= high for low, high in ranges) is not is_negative
    numbers = [int(text, 0) for text in values]
    return NUMBER_OPERATORS[operator](value, numbers) is not is_negative


def text_holds(entry, value):
    """A filter on a text, in bytes."""
    if value is None:
        return False
    operator, is_negative = split(entry["operator"])
    holds = TEXT_OPERATORS[operator]
    patterns = [text.encode() for text in entry["values"]]
    return any(holds(value, pattern) for pattern in patterns) is not is_negative


def plain(address):
    """The address that is meant: a mapped one is one of IPv4."""
    found = ip_address(address)
    return (found.version == 6 and found.ipv4_mapped) or found


def address_holds(entry, address):
    """A filter on an address; None: a socket of another family."""
    _, is_negative = split(entry["operator"])
    networks = [ip_network(text, strict=False) for text in entry["values"]]
    if address is None:
        return is_negative
    both = {ip_address(address), plain(address)}
    return any(one in network for network in networks for one in both) is not (
        is_negative
    )
