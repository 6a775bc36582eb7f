# SPDX-License-Identifier: Apache-2.0
"""What an event has to look like, and whether one does.

A pattern is the JSON itself: an object has exactly these members, a list these items.
Only `Part` lets an object have others; `ANY` stands for all there is and `ABSENT` for
nothing.
"""

from __future__ import annotations

import platform
from typing import Any, TypeAlias

__all__ = [
    "ABSENT",
    "ANY",
    "Event",
    "Part",
    "Pattern",
    "address",
    "call",
    "credentials",
    "file",
    "fits",
    "function",
    "labelled",
    "lsm",
    "matches",
    "number",
    "packet",
    "path",
    "policy_body",
    "program",
    "shown",
    "size",
    "sock",
    "text",
    "tracepoint",
    "unsigned",
]

Event: TypeAlias = dict[str, Any]


class _Mark:
    # Stands for itself in a failure's message.
    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


ANY = _Mark("ANY")
ABSENT = _Mark("ABSENT")
_PREFIX = {"x86_64": "__x64_sys_", "aarch64": "__arm64_sys_"}[platform.machine()]
#: Members of a body that a pattern is compared with.
_COMPARED = (
    *("function_name", "subsys", "event", "args", "data", "return"),
    *("action", "return_action", "message", "tags"),
)


class Part(dict[str, Any]):
    """Some members of an object."""


class Pattern(dict[str, Any]):
    """Some members of an event's body; `kind` is that of the event."""

    def __init__(self, kind: str, **members: Any) -> None:
        super().__init__(members)
        self.kind = kind


def matches(pattern: Any, value: Any) -> bool:
    """Whether a value is as a pattern wants it."""
    if pattern is ANY:
        return True
    if isinstance(pattern, dict):
        return (
            isinstance(value, dict)
            and (isinstance(pattern, (Part, Pattern)) or pattern.keys() == value.keys())
            and all(
                key not in value
                if wanted is ABSENT
                else key in value and matches(wanted, value[key])
                for key, wanted in pattern.items()
            )
        )
    if isinstance(pattern, list):
        return (
            isinstance(value, list)
            and len(pattern) == len(value)
            and all(map(matches, pattern, value))
        )
    return type(pattern) is type(value) and bool(pattern == value)


def policy_body(event: Event) -> tuple[str, Event]:
    """The kind and the body of a policy's event; both empty for others."""
    for kind in ("process_kprobe", "process_tracepoint", "process_lsm"):
        if kind in event:
            return kind, event[kind]
    return "", {}


def fits(pattern: Pattern, event: Event) -> bool:
    """Whether an event is the one that a pattern describes."""
    kind, body = policy_body(event)
    return kind == pattern.kind and matches(pattern, body)


def shown(event: Event) -> str:
    """An event in a failure's message."""
    kind, body = policy_body(event)
    members = {key: body[key] for key in _COMPARED if key in body}
    process = body["process"]
    who = f"{process['pid']} {process.get('binary', '?')}"
    return f"{kind} of {who}: {members}"


# ---- events ----


def function(name: str, *args: Any, returned: Any = None, **more: Any) -> Pattern:
    """A call of a kernel function with these arguments, all of them."""
    return Pattern(
        "process_kprobe",
        **{"function_name": name, "args": list(args) or ABSENT, **more},
        **{"return": ABSENT if returned is None else returned},
    )


def call(name: str, *args: Any, returned: Any = None, **more: Any) -> Pattern:
    """A system call."""
    return function(_PREFIX + name, *args, returned=returned, **more)


def tracepoint(subsystem: str, event: str, *args: Any) -> Pattern:
    """A tracepoint."""
    return Pattern("process_tracepoint", subsys=subsystem, event=event, args=list(args))


def lsm(hook: str, *args: Any) -> Pattern:
    """A hook of the LSM."""
    return Pattern("process_lsm", function_name=hook, args=list(args))


# ---- arguments ----


def number(value: int) -> Event:
    """An int."""
    return {"int_arg": value}


def unsigned(value: int) -> Event:
    """An unsigned 32-bit number."""
    return {"uint_arg": value}


def size(value: int) -> Event:
    """An unsigned 64-bit number."""
    return {"size_arg": str(value)}


def text(value: str) -> Event:
    """A string."""
    return {"string_arg": value}


def file(path: str, permission: str) -> Event:
    """An open file."""
    return {"file_arg": {"path": path, "permission": permission}}


def path(name: str, permission: Any) -> Event:
    """A path or a directory entry."""
    return {"path_arg": {"path": name, "permission": permission}}


def credentials(**ids: int) -> Event:
    """Credentials with these ids; the others do not matter."""
    return {"process_credentials_arg": Part(ids)}


def program(name: str, permission: str) -> Event:
    """A program that starts."""
    return {"linux_binprm_arg": {"path": name, "permission": permission}}


def sock(label: str = "", **members: Any) -> Event:
    """A TCP socket; members that differ are given."""
    words = {"family": "AF_INET", "type": "SOCK_STREAM", "protocol": "IPPROTO_TCP"}
    return labelled(label, sock_arg=Part({**words, **members}))


def packet(label: str = "", **members: Any) -> Event:
    """A UDP packet."""
    words = {"family": "AF_INET", "protocol": "IPPROTO_UDP", "proto": 17}
    return labelled(label, skb_arg=Part({**words, **members}))


def address(family: str, addr: str, port: int) -> Event:
    """An address that a process gave."""
    return {"sockaddr_arg": {"family": family, "addr": addr, "port": port}}


def labelled(label: str, **argument: Any) -> Event:
    """An argument with the policy's label."""
    return {**argument, **({"label": label} if label else {})}
