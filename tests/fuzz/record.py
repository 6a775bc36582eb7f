# SPDX-License-Identifier: Apache-2.0
"""A hit as the capture stage would leave it: the arguments in their record.

Written from bpf/abi/hook.h. What the header leaves open, bytes behind the NUL and
members that no operator looks at, is filled with noise.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from struct import Struct
from typing import TYPE_CHECKING

from tests.fuzz.hit import File, Socket, UnixName, Unreadable
from tests.fuzz.target import FIELDS, TASK_MEMBERS
from tetragon_py.abi import _generated as c
from tetragon_py.policy.model.arguments import ArgumentType as T
from tetragon_py.policy.model.kernel_names import Namespace
from tetragon_py.policy.model.selectors import CapabilitySet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tests.fuzz.hit import Address, ArgumentKey, Captured, Hit
    from tetragon_py.compiler.plan import ArgumentPlan

__all__ = ["INPUT_SIZE", "KINDS", "pack_input", "slot_keys"]

#: Type in a policy -> ARGUMENT_*.
KINDS = {
    **dict.fromkeys((T.INT8, T.SINT8), c.ARGUMENT_INT8),
    **dict.fromkeys((T.INT16, T.SINT16), c.ARGUMENT_INT16),
    **dict.fromkeys((T.INT, T.INT32, T.SINT32), c.ARGUMENT_INT32),
    **dict.fromkeys((T.INT64, T.SINT64, T.LONG), c.ARGUMENT_INT64),
    T.UINT8: c.ARGUMENT_UINT8,
    T.UINT16: c.ARGUMENT_UINT16,
    T.UINT32: c.ARGUMENT_UINT32,
    **dict.fromkeys((T.UINT64, T.ULONG, T.SIZE_T), c.ARGUMENT_UINT64),
    T.SYSCALL64: c.ARGUMENT_SYSCALL64,
    T.CAPABILITY: c.ARGUMENT_CAPABILITY,
    T.BPF_CMD: c.ARGUMENT_BPF_CMD,
    T.KERNEL_CAP_T: c.ARGUMENT_KERNEL_CAP,
    T.CAP_INHERITABLE: c.ARGUMENT_CAP_INHERITABLE,
    T.CAP_PERMITTED: c.ARGUMENT_CAP_PERMITTED,
    T.CAP_EFFECTIVE: c.ARGUMENT_CAP_EFFECTIVE,
    **dict.fromkeys((T.STRING, T.FILENAME, T.DATA_LOC), c.ARGUMENT_STRING),
    T.NET_DEVICE: c.ARGUMENT_NET_DEVICE,
    **dict.fromkeys((T.CHAR_BUF, T.CHAR_IOVEC), c.ARGUMENT_CHAR_BUF),
    **dict.fromkeys((T.FILE, T.FD, T.KIOCB), c.ARGUMENT_FILE),
    T.PATH: c.ARGUMENT_PATH,
    T.DENTRY: c.ARGUMENT_DENTRY,
    T.LINUX_BINPRM: c.ARGUMENT_LINUX_BINPRM,
    **dict.fromkeys((T.SOCK, T.SOCKET), c.ARGUMENT_SOCK),
    T.SKB: c.ARGUMENT_SKB,
    T.SOCKADDR: c.ARGUMENT_SOCKADDR,
    T.SOCKADDR_UN: c.ARGUMENT_SOCKADDR_UN,
}
_HEAD = Struct(c.ARGUMENT_HEAD_FORMAT)
_BUFFER = Struct(c.ARGUMENT_BUFFER_FORMAT)
_PATH = Struct(c.ARGUMENT_PATH_FORMAT)
_SOCK = Struct(c.ARGUMENT_SOCK_FORMAT)
_NUMBER = Struct("<Q")
_NAMESPACES = Struct(c.NAMESPACES_FORMAT)
_LAST = (1 << 64) - 1
_CAPABILITY_SETS = (
    *(CapabilitySet.EFFECTIVE, CapabilitySet.INHERITABLE, CapabilitySet.PERMITTED),
)
_BUFFERS = (T.CHAR_BUF, T.CHAR_IOVEC)
_NOISE = 0xA5A5A5A5
_PADDING = b"/etc/pas"
_AF_INET = 2

# struct input of tests/bpf/progs/classify.bpf.c
_INPUT = Struct(
    f"<II{c.HOOK_ARGUMENTS_MAX}I{c.HOOK_ARGUMENTS_MAX}I{c.PROCESS_CLASS_SIZE}s"
    f"{c.CAPABILITY_SET_COUNT}Q{c.NAMESPACES_SIZE}s"
    f"{c.ARGUMENTS_BYTES_MAX}s"
)
INPUT_SIZE = _INPUT.size


def slot_keys(
    plans: Sequence[ArgumentPlan], keys: Iterable[ArgumentKey]
) -> list[ArgumentKey]:
    """Return which argument of a hit is in each slot of a hook."""
    known = {_identity(key): key for key in keys}
    return [known[_identity_of_plan(plan)] for plan in plans]


def _identity(key: ArgumentKey) -> tuple[object, ...]:
    if key.source == "data":
        return (c.FROM_TASK, TASK_MEMBERS[key.resolve][0])
    if key.source == "returnArg":
        return (c.FROM_RETURN, KINDS[key.type])
    if key.source == "fields":
        return (FIELDS[key.number].offset, KINDS[key.type])
    return (c.FROM_REGISTER, key.number, KINDS[key.type], key.at_return)


def _identity_of_plan(plan: ArgumentPlan) -> tuple[object, ...]:
    if plan.source == c.FROM_TASK:
        [(offset, _)] = plan.steps
        return (c.FROM_TASK, offset)
    if plan.source == c.FROM_RETURN:
        return (c.FROM_RETURN, plan.type)
    if plan.source in {c.FROM_FIELD, c.FROM_DATA_LOC}:
        return (plan.offset, plan.type)
    at_return = bool(plan.flags & c.ARGUMENT_AT_RETURN)
    return (plan.source, plan.index, plan.type, at_return)


def pack_input(
    hit: Hit, slots: Sequence[ArgumentKey], config: int, process_class: bytes
) -> bytes:
    """Return struct input; what is captured at the return comes last."""
    at = [0] * c.HOOK_ARGUMENTS_MAX
    arguments = [
        (slot, _argument(slot, slots[slot].type, hit.arguments[slots[slot]]))
        for slot in sorted(range(len(slots)), key=lambda slot: slots[slot].at_return)
    ]
    room = c.ARGUMENTS_BYTES_MAX - sum(len(packed) for _, packed in arguments)
    record = bytearray(_PADDING * int(room * hit.room_before / len(_PADDING)))
    for slot, packed in arguments:
        if packed:
            at[slot] = len(record) + _HEAD.size
            record += packed
    at_entry = [
        0 if slot < len(slots) and slots[slot].at_return else place
        for slot, place in enumerate(at)
    ]
    assert len(record) <= c.ARGUMENTS_BYTES_MAX
    return _INPUT.pack(
        *(config, len(record), *at_entry, *at, process_class),
        *(hit.process.exec_capabilities[kind] for kind in _CAPABILITY_SETS),
        _NAMESPACES.pack(*(_inodes(hit.process.exec_namespaces))),
        bytes(record),
    )


def _inodes(namespaces: Mapping[Namespace, int]) -> Iterator[int]:
    names = {name.value.lower(): name for name in Namespace}
    for field in c.NAMESPACES_FIELDS:
        yield namespaces.get(names[field.replace("_", "")], 0)


def _argument(slot: int, kind: T, value: Captured) -> bytes:
    if isinstance(value, Unreadable) and not value.errno:
        return b""
    if isinstance(value, Unreadable):
        return _HEAD.pack(slot, KINDS[kind], 0, 0, -value.errno)
    payload = _payload(kind, value)
    head = _HEAD.pack(slot, KINDS[kind], 0, 0, len(payload))
    padding = _PADDING[: -(len(payload) + 1) % 8]
    return head + payload + b"\0" + padding


def _payload(kind: T, value: Captured) -> bytes:
    match value:
        case int():
            return _NUMBER.pack(value & _LAST)
        case bytes():
            return (_BUFFER.pack(_NOISE) if kind in _BUFFERS else b"") + value
        case File():
            return _PATH.pack(_NOISE, 1, value.mode, _NOISE, 0) + value.path
        case UnixName():
            return _sock(Socket(value.family)) + value.name
        case Socket():
            return _sock(value)
    raise AssertionError(value)


def _sock(value: Socket) -> bytes:
    return _SOCK.pack(
        *(_NOISE, value.family, value.protocol, 1, value.state),
        *(value.source_port, value.destination_port),
        *(_NOISE, _NOISE, _NOISE, _NOISE, 3, 3),
        *(_address(value.source), _address(value.destination)),
    )


def _address(address: Address | None) -> bytes:
    if address is None:
        return bytes(16)
    assert (len(address.packed) == 4) is isinstance(address, IPv4Address)
    return address.packed.ljust(16, b"\0")
