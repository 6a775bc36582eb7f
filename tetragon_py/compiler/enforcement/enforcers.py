# SPDX-License-Identifier: Apache-2.0
"""`enforcers`: where that takes effect which NotifyEnforcer has left for a thread."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.enforcement.guards import guard_points
from tetragon_py.compiler.entry import HookEntry, SelectorEntry
from tetragon_py.compiler.hooks import Lists, attach_points
from tetragon_py.compiler.plan import AttachPoint
from tetragon_py.compiler.selectors.actions import ActionPlan
from tetragon_py.compiler.selectors.conditions import (
    Condition,
    Conditions,
    Lookup,
    Place,
    Within,
)
from tetragon_py.policy.diagnostic import Cause, Finding, Path, error, quote
from tetragon_py.policy.model.hooks import KprobeHook

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tetragon_py.compiler.target import Target
    from tetragon_py.policy.model.policy import Policy

__all__ = ["compile_enforcers", "enforcer_number"]

_SECURITY = "security_"
_ACTIONS = ActionPlan(actions=c.ACTION_POST | c.ACTION_ENFORCE)


def enforcer_number(policy: str) -> int:
    """What notes for the enforcers of a policy are marked with; not 0.

    By its name, so that it stays the same when other policies come and go.
    """
    return zlib.crc32(policy.encode()) or 1


def compile_enforcers(
    policy: Policy, lists: Lists, target: Target, found: list[Finding]
) -> Iterator[HookEntry]:
    """Yield an entry for each place at which `enforcers` take effect.

    Args:
        policy: The policy.
        lists: Its lists.
        target: The kernel.
        found: What is wrong is added.
    """
    number = enforcer_number(policy.name)
    conditions = Conditions()
    place = Place(c.SOURCE_ENFORCER, width=4)
    wanted = Within(((number, number),))
    conditions.add(Condition(Lookup(place, c.DIMENSION_RANGE), wanted))
    selector = SelectorEntry(0, "", conditions, _ACTIONS, denies=False)
    for index, enforcer in enumerate(policy.spec.enforcers):
        path: Path = ("spec", "enforcers", index)
        points: dict[AttachPoint, None] = {}
        for position, call in enumerate(enforcer.calls):
            where = (*path, "calls", position)
            points |= dict.fromkeys(_points(call, where, lists, target, found))
        for point in points:
            yield HookEntry(policy.name, path, point, (), (), None, False, (selector,))


def _points(
    call: str, path: Path, lists: Lists, target: Target, found: list[Finding]
) -> Iterator[AttachPoint]:
    is_syscall = not call.startswith(_SECURITY)
    # Not validated again: here a call may have its ABI, "i386/sys_setuid".
    hook = KprobeHook.model_construct(call=call, syscall=is_syscall)
    said: list[Finding] = []
    for point in attach_points(hook, path, lists, target, said):
        if point.kind == "function":
            yield point
        elif guards := guard_points(point, target):
            yield from guards
        elif "fmod_ret_syscall" in target.features:
            yield AttachPoint("call", point.name, point.abi)
        else:
            text = (
                f"this kernel cannot enforce anything on {quote(point.name)}: it "
                "passes no LSM hook, and the kernel has no error injection"
            )
            hint = "use Sigkill where NotifyEnforcer is"
            found.append(error(path, text, hint, Cause.KERNEL))
    # where the name was written
    found += [f._replace(path=path) if f.path[:3] == path[:3] else f for f in said]
