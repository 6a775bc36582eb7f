# SPDX-License-Identifier: Apache-2.0
"""`resolve`: a path of attributes becomes steps through memory.

A step adds an offset and may follow the pointer that is there. Each attribute of the
path is a step of its own, so that the step that failed says which attribute it was.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.capture.inference import describe
from tetragon_py.policy.diagnostic import Cause, PolicyValueError, nearest, quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tetragon_py.compiler.target import CType, Member, Target

__all__ = ["Resolved", "check_steps", "resolve"]

_OFFSET_MAX = 1 << 31
#: Unnamed structs inside of unnamed structs.
_DEPTH_MAX = 16


class Resolved(NamedTuple):
    """Where a path leads: the last attribute is `offset` behind the last step."""

    steps: tuple[tuple[int, bool], ...]
    offset: int
    type: CType


def check_steps(steps: tuple[tuple[int, bool], ...]) -> None:
    """Raise PolicyValueError for steps that the kernel side cannot hold."""
    if len(steps) > c.STEPS_MAX:
        raise PolicyValueError(
            f"needs {len(steps)} steps", f"at most {c.STEPS_MAX} are followed"
        )
    if any(offset >= _OFFSET_MAX for offset, _ in steps):
        raise PolicyValueError("leads out of the struct")


def resolve(path: str, struct: CType, target: Target) -> Resolved:
    """Follow `path` from the address of a struct or union.

    Raises:
        PolicyValueError: An attribute does not exist or is none.
    """
    walk = _Walk(struct)
    for number, part in enumerate(path.split(".")):
        if number:
            walk.enter()
        name, *indices = re.findall(r"\w+", part)
        walk.take(_find_member(walk.type, name, target))
        for index in indices:
            walk.index(int(index))
    return Resolved(tuple(walk.steps), walk.offset, walk.type)


class _Walk:
    def __init__(self, struct: CType) -> None:
        self.steps: list[tuple[int, bool]] = []
        self.offset = 0
        self.type = struct
        self.name = ""

    def take(self, member: Member) -> None:
        if member.bits:
            raise PolicyValueError(
                f"{quote(member.name)} is a bit field", "it cannot be read"
            )
        self.name = member.name
        self.offset += member.offset
        self.type = member.type

    def index(self, number: int) -> None:
        element = self.type.to
        if element is None or not element.size:
            text = f"{quote(self.name)} is no array but {describe(self.type)}"
            raise PolicyValueError(text)
        if self.type.kind == "pointer":
            self._step(follow=True)
        elif self.type.count and number >= self.type.count:
            raise PolicyValueError(
                f"{number} is beyond the end of {quote(self.name)}",
                f"it is {describe(self.type)}",
            )
        self.offset += number * element.size
        self.type = element

    # From an attribute into what it is or points to.
    def enter(self) -> None:
        if self.type.kind != "pointer":
            self._step(follow=False)
        while self.type.kind == "pointer" and self.type.to is not None:
            self._step(follow=True)
            self.type = self.type.to
        if self.type.kind not in {"struct", "union"}:
            raise PolicyValueError(
                f"{quote(self.name)} has no members: it is {describe(self.type)}"
            )

    def _step(self, *, follow: bool) -> None:
        self.steps.append((self.offset, follow))
        self.offset = 0


def _find_member(struct: CType, name: str, target: Target) -> Member:
    names = []
    for member in _members(struct, target):
        if member.name == name:
            return member
        names.append(member.name)
    raise PolicyValueError(
        f"{describe(struct)} has no member {quote(name)}",
        nearest(name, names),
        cause=Cause.KERNEL,
    )


# Those of unnamed structs and unions inside count as the struct's own.
def _members(struct: CType, target: Target, depth: int = 0) -> Iterator[Member]:
    for member in target.members(struct):
        if member.name:
            yield member
        elif depth < _DEPTH_MAX and member.type.kind in {"struct", "union"}:
            for inner in _members(member.type, target, depth + 1):
                offset = member.offset + inner.offset
                yield type(inner)(inner.name, offset, inner.type, inner.bits)
