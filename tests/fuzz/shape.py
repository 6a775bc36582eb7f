# SPDX-License-Identifier: Apache-2.0
"""What the policies of one round capture: arguments, data and a returned value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.fuzz.hit import ArgumentKey
from tests.fuzz.record import KINDS
from tests.fuzz.target import EVENT, FIELDS, FUNCTION, SUBSYSTEM, TASK_MEMBERS
from tetragon_py.policy.model.arguments import ArgumentType
from tetragon_py.policy.model.operators import TypeKind

if TYPE_CHECKING:
    from random import Random

__all__ = ["Shape", "argument_document"]

_SIZED = (ArgumentType.CHAR_BUF, ArgumentType.CHAR_IOVEC)
#: Register 5 holds all sizes.
_SIZE_REGISTER = 5
_ONLY_FIELDS = (ArgumentType.SYSCALL64, ArgumentType.DATA_LOC)
_NUMBERS = [kind for kind in KINDS if kind.bits and kind not in _ONLY_FIELDS]
_TEXTS = [
    kind
    for kind in KINDS
    if kind.kind in {TypeKind.STRING, TypeKind.FILE, TypeKind.DEVICE}
    and kind not in _ONLY_FIELDS
]
_SOCKETS = [k for k in KINDS if k not in {*_NUMBERS, *_TEXTS, *_ONLY_FIELDS}]
_LOCATED = (ArgumentType.STRING, ArgumentType.DATA_LOC, ArgumentType.CHAR_BUF)
_INLINE = (ArgumentType.STRING, ArgumentType.CHAR_BUF)
_CAPABILITIES = [k for k in KINDS if k.kind is TypeKind.CAPABILITIES]
_MEMBER_TYPES = {
    "flags": ArgumentType.UINT32,
    "exit_code": ArgumentType.INT,
    "utime": ArgumentType.UINT64,
}


@dataclass(frozen=True, slots=True)
class Shape:
    """All that some policy of the round may capture; each takes a part of it."""

    args: tuple[ArgumentKey, ...]
    data: tuple[ArgumentKey, ...] = ()
    returned: tuple[ArgumentKey, ...] = ()

    @classmethod
    def draw(cls, rng: Random) -> Shape:
        """Make the shape of a round: of a function, or of a tracepoint."""
        if rng.random() < 0.15:
            numbers = rng.sample(sorted(FIELDS), rng.randint(1, 4))
            return cls(tuple(_draw_field(rng, number) for number in numbers))
        args: dict[tuple[int, int, bool], ArgumentKey] = {}
        kinds = [_draw_type(rng) for _ in range(rng.randint(1, 4))]
        if rng.random() < 0.15:
            kinds += rng.choices(_CAPABILITIES, k=2)
        has_return = rng.random() < 0.3
        for kind in kinds:
            index = rng.randrange(_SIZE_REGISTER)
            at_return = has_return and kind in _SIZED and rng.random() < 0.5
            key = ArgumentKey("args", index, kind, at_return=at_return)
            # Two spellings of one type are the same argument: one of them is enough.
            args.setdefault((index, KINDS[kind], at_return), key)
        members = rng.sample(sorted(TASK_MEMBERS), rng.choice((0, 0, 1, 2)))
        returned = rng.sample(_NUMBERS, 2) if has_return else []
        if len({KINDS[kind] for kind in returned}) < len(returned):
            returned.pop()
        return cls(
            tuple(args.values()),
            tuple(ArgumentKey("data", 0, _MEMBER_TYPES[m], m) for m in members),
            tuple(ArgumentKey("returnArg", 0, k, at_return=True) for k in returned),
        )

    @property
    def is_tracepoint(self) -> bool:
        """Whether policies hook the tracepoint."""
        return self.args[0].source == "fields"

    @property
    def point(self) -> str:
        """The name of the attach point."""
        return f"{SUBSYSTEM}/{EVENT}" if self.is_tracepoint else FUNCTION

    @property
    def keys(self) -> tuple[ArgumentKey, ...]:
        """All that a hit has values of."""
        return (*self.args, *self.data, *self.returned)


def _draw_type(rng: Random) -> ArgumentType:
    return rng.choice(rng.choice((_NUMBERS, _TEXTS, _TEXTS, _SOCKETS)))


def _draw_field(rng: Random, number: int) -> ArgumentKey:
    field = FIELDS[number]
    if field.is_data_loc:
        kind = rng.choice(_LOCATED)
    elif "[" in field.type:
        kind = rng.choice(_INLINE)
    else:
        sized = [k for k in (*_NUMBERS, ArgumentType.SYSCALL64) if k.bits]
        plain = [k for k in sized if k.kind is not TypeKind.CAPABILITIES]
        kind = rng.choice([k for k in plain if k.bits == 8 * field.size])
        if field.size == 8 and rng.random() < 0.5:
            kind = ArgumentType.SYSCALL64
    return ArgumentKey("fields", number, kind)


def argument_document(key: ArgumentKey) -> dict[str, Any]:
    """Return the argument as a policy writes it."""
    document: dict[str, Any] = {"index": key.number, "type": key.type.value}
    if key.source == "data":
        document |= {"source": "current_task", "resolve": key.resolve}
    if key.source == "args" and key.type in _SIZED:
        if key.at_return:
            document["returnCopy"] = True
        else:
            document["sizeArgIndex"] = _SIZE_REGISTER + 1
    return document
