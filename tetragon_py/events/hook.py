# SPDX-License-Identifier: Apache-2.0
"""A hit of a hook that policies wanted, and what its numbers stand for.

Texts from the kernel stay bytes here. An event names hooks and policies by number:
whoever loads policies enters their texts in HookNames before the kernel side can send
the numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tetragon_py.events.process import Credentials, ProcessKey

__all__ = [
    "HEAD_FAILED",
    "ArgumentText",
    "BpfValue",
    "BufferValue",
    "Captured",
    "CredentialsValue",
    "Enforcement",
    "HookEvent",
    "HookNames",
    "HookTexts",
    "Match",
    "ModuleValue",
    "PathValue",
    "PerfEventValue",
    "PolicyTexts",
    "ReadError",
    "SavedNames",
    "SockValue",
    "UserNamespaceValue",
    "Value",
    "WordsValue",
]

#: Of a head: its value is a ReadError.
HEAD_FAILED: Final = 1 << 32


class ReadError(NamedTuple):
    """Instead of a value that could not be read."""

    errno: int
    depth: int  # step of "resolve" that failed, from 1; 0: the value itself


class BufferValue(NamedTuple):
    """Bytes of a process."""

    data: bytes
    whole_bytes: int  # that the process named: more than there are if it was cut


class WordsValue(NamedTuple):
    """An array of unsigned 64-bit numbers."""

    words: tuple[int, ...]
    whole_bytes: int


class PathValue(NamedTuple):
    """A file by its path."""

    inode: int
    device: int  # major << 20 | minor
    mode: int
    open_flags: int  # O_*; 0 where there is no open file
    flags: int  # abi PATH_*
    path: bytes


class SockValue(NamedTuple):
    """A socket, a packet or an address: what it does not have is 0."""

    cookie: int
    family: int
    protocol: int
    type: int
    state: int
    source_port: int
    destination_port: int
    mark: int
    priority: int
    hash: int
    length: int
    security_path_length: int
    security_path_original_length: int
    source_address: bytes
    destination_address: bytes
    name: bytes  # of AF_UNIX; abstract ones begin with a NUL


class UserNamespaceValue(NamedTuple):
    """A user namespace and its owner."""

    level: int
    uid: int
    gid: int
    inum: int


class CredentialsValue(NamedTuple):
    """A struct cred."""

    credentials: Credentials
    user_namespace: UserNamespaceValue


class ModuleValue(NamedTuple):
    """A kernel module, or what is about to become one."""

    taints: int  # bit n is taint n
    signature_ok: int
    name: bytes


class BpfValue(NamedTuple):
    """A BPF program or map."""

    type: int
    instructions: int
    key_size: int
    value_size: int
    max_entries: int
    name: bytes


class PerfEventValue(NamedTuple):
    """A perf event."""

    type: int
    config: int
    probe_offset: int
    function: bytes


Value: TypeAlias = (
    int
    | bytes
    | ReadError
    | BufferValue
    | WordsValue
    | PathValue
    | SockValue
    | UserNamespaceValue
    | CredentialsValue
    | ModuleValue
    | BpfValue
    | PerfEventValue
)


class Captured(NamedTuple):
    """One argument. `value` is of the kind that belongs to `type`, or a ReadError."""

    slot: int
    type: int  # abi ARGUMENT_*
    flags: int  # abi ARGUMENT_CUT
    depth: int
    value: Value


class Match(NamedTuple):
    """One policy that wanted the hit."""

    policy: int
    selector: int  # position in the policy's own list for this hook
    actions: int  # abi ACTION_* asked for
    done: int  # of these, what was carried out
    mechanism: int  # abi MECHANISM_*: how this hook denies
    error: int  # -errno of the first that failed, or 0


class HookEvent(NamedTuple):
    """A hit. All of its matches have its sequence number.

    The arguments stand in two tuples, because encode wants their form apart from their
    values: equal `heads` are shown in the same way. A head is slot, type << 8,
    flags << 16, depth << 24 and HEAD_FAILED.
    """

    boottime_ns: int
    process: ProcessKey
    tid: int
    hook: int
    generation: int  # of the policy set
    flags: int  # abi HOOK_*
    entry_ns: int  # of a hit that is told at return; else 0
    lane: int
    cpu: int
    sequence: int
    heads: tuple[int, ...]
    values: tuple[Value, ...]
    matches: tuple[Match, ...]

    @property
    def arguments(self) -> tuple[Captured, ...]:
        """The arguments one by one, in the order of the record."""
        return tuple(
            Captured(
                head & 0xFF,
                head >> 8 & 0xFF,
                head >> 16 & 0xFF,
                head >> 24 & 0xFF,
                value,
            )
            for head, value in zip(self.heads, self.values, strict=True)
        )


#: Slot, label or None, type as the policy spells it.
ArgumentText: TypeAlias = tuple[int, str | None, str]


@dataclass(frozen=True, slots=True)
class HookTexts:
    """A hook.

    Attributes:
        kind: Which of Tetragon's events a hit is.
        function_name: Symbol ("__x64_sys_openat" for a system call on x86), hook of the
            LSM, or "subsystem/event" of a tracepoint, raw ones too.
    """

    kind: Literal["kprobe", "tracepoint", "lsm"]
    function_name: str


class Enforcement(NamedTuple):
    """What one selector of a policy would do to the process."""

    monitored: int = 0  # abi ACTION_* that are not done: the policy only monitors
    errno: int = 0  # that a denial returns, a positive number; 0: not known
    signal: int = 0  # that is sent; 0: none, or not known


@dataclass(frozen=True, slots=True)
class PolicyTexts:
    """What one policy says about one of its hooks.

    Attributes:
        policy_name: Of the policy.
        args: What the policy lists, in its order; None: all that was captured.
        data: The same of its `data`.
        return_slot: Slot of the return value.
        actions: By selector, its actions in the policy's order, as in
            KPROBE_ACTION_*: "POST", "SIGKILL".
        return_action: The `returnArgAction` in that form.
        enforcement: By selector; not of those that only observe.
    """

    policy_name: str
    message: str = ""
    tags: tuple[str, ...] = ()
    args: tuple[ArgumentText, ...] | None = ()
    data: tuple[ArgumentText, ...] = ()
    return_slot: int | None = None
    actions: tuple[tuple[str, ...], ...] = ()
    return_action: str = ""
    enforcement: Mapping[int, Enforcement] = field(default_factory=dict)


class SavedNames(NamedTuple):
    """HookNames as plain values."""

    hooks: dict[int, HookTexts]
    matches: dict[tuple[int, int], PolicyTexts]


class HookNames:
    """Texts by the numbers of hooks and policies.

    One thread enters them, another one may read meanwhile: a text is there before the
    number can come.

    `version` grows with each change: what is kept of the texts is valid as long as it
    stays the same.
    """

    def __init__(self) -> None:
        self.version = 0
        self._hooks: dict[int, HookTexts] = {}
        self._matches: dict[tuple[int, int], PolicyTexts] = {}

    def add_hook(self, hook: int, texts: HookTexts) -> None:
        """Enter a hook, or other texts for it."""
        self._hooks[hook] = texts
        self.version += 1

    def add_match(self, hook: int, policy: int, texts: PolicyTexts) -> None:
        """Enter a policy on a hook, or other texts for it."""
        self._matches[hook, policy] = texts
        self.version += 1

    def forget(self, hook: int, policy: int | None = None) -> None:
        """Take out a policy on a hook, or the hook with all its policies."""
        if policy is None:
            self._hooks.pop(hook, None)
            for key in [key for key in self._matches if key[0] == hook]:
                del self._matches[key]
        else:
            self._matches.pop((hook, policy), None)
        self.version += 1

    def save(self) -> SavedNames:
        """All texts, for `restore` of the next agent."""
        return SavedNames(dict(self._hooks), dict(self._matches))

    def restore(self, saved: SavedNames) -> None:
        """Know what an earlier agent knew."""
        self._hooks.update(saved.hooks)
        self._matches.update(saved.matches)
        self.version += 1

    def hook(self, hook: int) -> HookTexts:
        """The texts of a hook; a number that nobody entered is its own name."""
        return self._hooks.get(hook) or HookTexts("kprobe", f"<unknown hook {hook}>")

    def match(self, hook: int, policy: int) -> PolicyTexts:
        """The texts of a policy on a hook; the same, and all arguments are shown."""
        return self._matches.get((hook, policy)) or PolicyTexts(
            f"<unknown policy {policy}>", args=None
        )
