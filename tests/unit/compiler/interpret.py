# SPDX-License-Identifier: Apache-2.0
"""Tables in Python: what the kernel side does with a plan, after abi/policy.h."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from ipaddress import ip_address

from tetragon_py.abi import _generated as c

ALL = (1 << 64) - 1
SIGN = 1 << 63
INET, INET6 = 2, 10


@dataclass
class Process:
    """Who hits: paths of executables and pids, its own first, then its ancestors."""

    binaries: tuple[bytes, ...] = (b"/bin/true", b"/bin/sh")
    pids: tuple[int, ...] = (100, 1)
    namespace_pid: int = 7
    namespaces: dict[int, int] = field(default_factory=dict)  # position -> inode number
    namespaces_changed: int = 0
    capabilities: dict[int, int] = field(default_factory=dict)  # set -> bits
    capabilities_changed: dict[int, int] = field(default_factory=dict)


@dataclass
class Hit:
    """The bytes of each slot; None: could not be read."""

    slots: dict[int, bytes | None]
    process: Process = field(default_factory=Process)


class Unreadable(Exception):  # noqa: N818 - a value, not an error of the test
    """The value of a dimension could not be read."""


# ---- what is captured ----


def number(value):
    return (value & ALL).to_bytes(8, "little")


def path(text, mode=0o100644):
    return struct.pack(c.ARGUMENT_PATH_FORMAT, 12, 3, mode, 0, 0) + text


def buffer(text):
    return struct.pack(c.ARGUMENT_BUFFER_FORMAT, len(text)) + text


def sock(
    source="0.0.0.0",
    destination="0.0.0.0",
    ports=(0, 0),
    family=None,
    protocol=6,
    state=1,
    name=b"",
):
    ends = [ip_address(source), ip_address(destination)]
    if family is None:
        family = INET if ends[0].version == 4 else INET6
    packed = [end.packed.ljust(16, b"\0") for end in ends]
    head = struct.pack(
        c.ARGUMENT_SOCK_FORMAT,
        *(1, family, protocol, 1, state, *ports, 0, 0, 0, 0, 0, 0, *packed),
    )
    return head + name


# ---- look-ups ----


def prefix_match(rows, text):
    """The value of the longest pattern that `text` begins with, or None."""
    found = [row for row in rows if text.startswith(row[0])]
    return max(found, key=lambda row: len(row[0]))[1] if found else None


def class_numbers(plan, process):
    own, parent = (*process.binaries, b"")[:2]
    return [
        (prefix_match(rows, text) or 0) if text.strip(b"\0") else 0
        for rows, text in (
            (plan.begins, own + b"\0"),
            (plan.ends, own[::-1]),
            (plan.begins, parent + b"\0"),
            (plan.ends, parent[::-1]),
        )
    ]


def followed(plan, process):
    bits = 0
    for binary in process.binaries:
        alone = Process(binaries=(binary,))
        begin, end, *_ = class_numbers(plan, alone)
        bits |= plan.begin_follows[begin] | plan.end_follows[end]
    for pid in process.pids:
        bits |= dict(plan.pids).get(pid, 0)
    return bits


def read_bytes(dimension, hit):
    payload = hit.slots.get(dimension.slot)
    if payload is None or len(payload) < dimension.offset:
        raise Unreadable
    return payload[dimension.offset :]


def read_argument(dimension, hit):
    data = read_bytes(dimension, hit)[: dimension.width]
    if len(data) < dimension.width:
        raise Unreadable
    is_signed = bool(dimension.flags & c.DIMENSION_SIGNED)
    return int.from_bytes(data, "little", signed=is_signed) & ALL


def read_gained(dimension, hit):
    new, old = hit.slots.get(dimension.slot), hit.slots.get(dimension.width)
    if new is None or old is None:
        raise Unreadable
    return int.from_bytes(new, "little") & ~int.from_bytes(old, "little")


#: Properties of a process by SOURCE_*, from its plan and the dimension's slot.
PROPERTIES = {
    c.SOURCE_PID: lambda process, slot, _: process.pids[0],
    c.SOURCE_NAMESPACE_PID: lambda process, slot, _: process.namespace_pid,
    c.SOURCE_BINARY: lambda process, slot, plan: class_numbers(plan, process)[slot],
    c.SOURCE_FOLLOWED: lambda process, slot, plan: followed(plan, process),
    c.SOURCE_NAMESPACE: lambda process, slot, _: process.namespaces.get(slot, 0),
    c.SOURCE_NAMESPACES_CHANGED: lambda process, slot, _: process.namespaces_changed,
    c.SOURCE_CAPABILITIES: lambda process, slot, _: process.capabilities.get(slot, 0),
    c.SOURCE_CAPABILITIES_CHANGED: lambda process, slot, _: (
        process.capabilities_changed.get(slot, 0)
    ),
}


def read_number(dimension, hit, classes):
    if dimension.source == c.SOURCE_ARGUMENT:
        return read_argument(dimension, hit)
    if dimension.source == c.SOURCE_CAPABILITIES_GAINED:
        return read_gained(dimension, hit)
    return PROPERTIES[dimension.source](hit.process, dimension.slot, classes)


def search(rows, text):
    state, found = 0, 0
    for byte in text[: c.SUBSTRING_BYTES_MAX]:
        state = rows[state].following[byte]
        found |= rows[state].found
    return found


def lookup_address(dimension, hit):
    payload = hit.slots[dimension.slot]
    offset = c.ARGUMENT_SOCK_OFFSETS["family"]
    family = int.from_bytes(payload[offset : offset + 2], "little")
    size = {INET: 4, INET6: 16}.get(family)
    if size is None:
        return dimension.miss
    value = int.from_bytes(read_bytes(dimension, hit)[:size], "big")
    found = [
        row
        for row in dimension.rows
        if len(row.address) == size
        and (value ^ int.from_bytes(row.address, "big")) >> (8 * size - row.bits) == 0
    ]
    best = max(found, key=lambda row: row.bits, default=None)
    return best.vector if best else dimension.miss


def lookup_number(dimension, value):
    rows = dimension.rows
    match dimension.kind:
        case c.DIMENSION_RANGE:
            if dimension.flags & c.DIMENSION_SIGNED:
                value ^= SIGN
            return [vector for low, vector in rows if low <= value][-1]
        case c.DIMENSION_CLASS:
            assert [key for key, _ in rows] == list(range(len(rows)))
            return rows[value][1] if value < len(rows) else dimension.miss
    collected = 0
    for bit, vector in rows:
        if value >> bit & 1:
            collected |= vector
    if dimension.kind == c.DIMENSION_BITS:
        return dimension.miss | collected
    return dimension.miss & ~collected


def lookup_text(dimension, text):
    rows = dimension.rows
    match dimension.kind:
        case c.DIMENSION_TEXT:
            found = prefix_match(rows, (text + b"\0")[: c.TEXT_KEY_BYTES])
        case c.DIMENSION_TEXT_END:
            found = prefix_match(rows, text[::-1][: c.TEXT_KEY_BYTES])
        case c.DIMENSION_TEXT_WHOLE:
            found = dict(rows).get(text)
        case _:
            return dimension.miss | search(rows, text)
    return dimension.miss if found is None else found


NUMBERS = (
    *(c.DIMENSION_RANGE, c.DIMENSION_BITS, c.DIMENSION_NO_BITS),
    c.DIMENSION_CLASS,
)


def look_up(dimension, hit, classes):
    """The vector of one dimension."""
    try:
        if dimension.kind in NUMBERS:
            return lookup_number(dimension, read_number(dimension, hit, classes))
        text = read_bytes(dimension, hit)
    except Unreadable:
        return dimension.error
    if dimension.kind == c.DIMENSION_ADDRESS:
        return lookup_address(dimension, hit)
    return lookup_text(dimension, text)


def classify(hook, classes, hit):
    """The vector of all selectors that match."""
    vector = (1 << len(hook.selectors)) - 1
    for dimension in hook.dimensions:
        vector &= look_up(dimension, hit, classes)
    return vector


def matches(hook, classes, hit):
    """All selectors that match: policy, hook entry, number."""
    vector = classify(hook, classes, hit)
    return [
        (selector.policy, selector.hook_entry, selector.number)
        for bit, selector in enumerate(hook.selectors)
        if vector >> bit & 1
    ]


def winners(hook, classes, hit):
    """Of each policy's entry the first selector that matches, as the kernel walks."""
    vector = classify(hook, classes, hit)
    bit, found = 0, []
    while bit < len(hook.selectors):
        if vector >> bit & 1:
            selector = hook.selectors[bit]
            found.append((selector.policy, selector.hook_entry, selector.number))
            bit = selector.last
        bit += 1
    return found
