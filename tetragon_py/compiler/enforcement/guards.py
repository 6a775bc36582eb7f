# SPDX-License-Identifier: Apache-2.0
"""Override of a system call: the LSM hooks that it passes decide in its place.

There the arguments behind pointers are what the kernel has read of them (a struct file,
a copied address), which no other thread can change any more; numbers are still in the
registers with which the call was made.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.capture.arguments import Captured
from tetragon_py.compiler.capture.surface import REGISTERS
from tetragon_py.compiler.enforcement.calls import IO_URING_CALLS, Guard, guards_of
from tetragon_py.compiler.enforcement.division import denying_part
from tetragon_py.compiler.plan import ArgumentPlan, AttachPoint
from tetragon_py.compiler.selectors.conditions import Bits, Condition, Lookup, Place
from tetragon_py.compiler.selectors.filters import compile_filters
from tetragon_py.policy.diagnostic import Cause, Finding, error, quote, warning
from tetragon_py.policy.model.arguments import ArgumentType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tetragon_py.compiler.enforcement.calls import KernelObject
    from tetragon_py.compiler.entries import HookEntry, SelectorEntry
    from tetragon_py.compiler.selectors.arguments import FilterContext
    from tetragon_py.compiler.selectors.filters import CapturedHook
    from tetragon_py.compiler.target import Target

__all__ = ["can_guard", "compile_guards", "guard_points"]

_T = ArgumentType
#: Kind of an object -> how it is captured, and what filters may ask of it: the text of
#: a path is compared as a string, as in the system call.
_FORMS = {
    "file": (c.ARGUMENT_FILE, c.FORM_PLAIN, _T.DENTRY),
    "path": (c.ARGUMENT_PATH, c.FORM_PLAIN, _T.DENTRY),
    "child": (c.ARGUMENT_PATH, c.FORM_CHILD, _T.DENTRY),
    "text": (c.ARGUMENT_STRING, c.FORM_KERNEL, _T.STRING),
    "address": (c.ARGUMENT_SOCKADDR, c.FORM_KERNEL, _T.SOCKADDR),
    "binary": (c.ARGUMENT_LINUX_BINPRM, c.FORM_PLAIN, _T.LINUX_BINPRM),
}
#: Types of arguments that the kernel has made something of; numbers stay numbers, also
#: that of a descriptor.
_NAMES = frozenset((_T.STRING, _T.FD))
_ADDRESSES = frozenset((_T.SOCKADDR, _T.SOCKADDR_UN))
#: What these are read through can be changed by another thread.
_CHANGEABLE = frozenset((c.FORM_USER, c.FORM_FD, c.FORM_IOVEC))
_EPERM = -1
#: The second parameter of a hook, as a number.
_ACCESS = ArgumentPlan(c.ARGUMENT_INT32, c.FROM_REGISTER, index=1, size=4)
_HAS_ACCESS = Lookup(Place(c.SOURCE_ARGUMENT, _ACCESS), c.DIMENSION_BITS)


def guard_points(point: AttachPoint, target: Target) -> dict[AttachPoint, Guard]:
    """The LSM hooks that decide about a system call, as far as the kernel has them."""
    return {
        AttachPoint("guard", point.name, point.abi, guard.hook): guard
        for guard in guards_of(point.name)
        if target.lsm_hook(guard.hook) is not None
    }


def can_guard(point: AttachPoint, target: Target) -> bool:
    """Whether this kernel lets programs decide about a system call.

    Where it does not, a policy that only monitors sees the call itself.
    """
    features = target.features
    can_deny = "lsm" in features or "fmod_ret" in features
    return can_deny and bool(guard_points(point, target))


def compile_guards(
    entry: HookEntry,
    captured: CapturedHook,
    context: FilterContext,
    found: list[Finding],
) -> Iterator[HookEntry]:
    """Yield the entries that carry out the Override selectors of a system call.

    Args:
        entry: Of the system call; some selector overrides.
        captured: Its hook, as it is captured there.
        context: For filters.
        found: What is to be said is added.
    """
    denying = denying_part(entry)
    guards = guard_points(entry.point, context.target)
    can_replace = "fmod_ret_syscall" in context.target.features
    if guards and not (entry.prefers_fmod and can_replace):
        for point, guard in guards.items():
            yield _guard(denying, captured, point, guard, context, found)
    elif can_replace:
        point = replace(entry.point, kind="call")
        _warn_of_races(denying, found)
        yield replace(denying, point=point)
    else:
        _refuse(denying, found)


def _guard(
    entry: HookEntry,
    captured: CapturedHook,
    point: AttachPoint,
    guard: Guard,
    context: FilterContext,
    found: list[Finding],
) -> HookEntry:
    hook = captured.hook
    args = tuple(
        _argument(one, guard.objects.get(argument.index))
        for one, argument in zip(captured.args, hook.args, strict=True)
    )
    data = tuple(_argument(one, None) for one in captured.data)
    seen = captured._replace(args=args, data=data, returned=None)
    selectors = []
    for one in entry.selectors:
        conditions = one.conditions
        if hook.selectors:
            selector = hook.selectors[one.number]
            place = (*entry.path, "selectors", one.number)
            conditions = compile_filters(selector, place, seen, context, found)
            if guard.access:
                conditions.add(Condition(_HAS_ACCESS, Bits(guard.access)))
        selectors.append(replace(one, conditions=conditions))
    made = replace(
        entry,
        point=point,
        args=tuple(one.plan for one in args if one is not None and one.plan),
        data=tuple(one.plan for one in data if one is not None and one.plan),
        selectors=tuple(selectors),
        compared=(_ACCESS,) if guard.access else (),
    )
    _warn_of_races(made, found)
    _warn_of_errors(made, guard, found)
    return made if guard.keeps_error else _with_own_error(made)


# So that events name the error that the caller gets.
def _with_own_error(entry: HookEntry) -> HookEntry:
    selectors = tuple(
        replace(one, actions=one.actions._replace(error=_EPERM))
        if one.actions.actions & c.ACTION_OVERRIDE
        else one
        for one in entry.selectors
    )
    return replace(entry, selectors=selectors)


def _argument(captured: Captured | None, known: KernelObject | None) -> Captured | None:
    if captured is None or captured.plan is None:
        return captured
    plan = captured.plan
    of_address = known is not None and known.kind == "address"
    if known is None or captured.type not in (_ADDRESSES if of_address else _NAMES):
        if plan.source != c.FROM_REGISTER:
            return captured
        behind = plan.size_register and plan.size_register + REGISTERS
        plan = replace(plan, source=c.FROM_SYSCALL, size_register=behind)
        return captured._replace(plan=plan)
    kind, form, asked = _FORMS[known.kind]
    if captured.type is _T.FD:
        asked = _T.FILE
    plan = ArgumentPlan(kind, c.FROM_REGISTER, form, known.parameter)
    if captured.type is _T.SOCKADDR_UN:  # the next parameter is its length
        behind = known.parameter + 2
        plan = replace(plan, type=c.ARGUMENT_SOCKADDR_UN, size_register=behind)
        asked = captured.type
    if known.kind == "child":
        plan = replace(plan, size_register=1 + known.folder)
    return Captured(plan, asked)


# ---- what cannot be promised ----


def _filtered(selector: SelectorEntry) -> Iterator[ArgumentPlan]:
    for lookup, _ in selector.conditions:
        if lookup.place.argument is not None:
            yield lookup.place.argument


def _warn_of_races(entry: HookEntry, found: list[Finding]) -> None:
    for selector in entry.selectors:
        path = (*entry.path, "selectors", selector.number)
        plans = set(_filtered(selector))
        if any(plan.form in _CHANGEABLE for plan in plans):
            text = (
                f"{entry.point.name}: prevents, but not against a racing thread: an "
                "argument is compared that the process can still change"
            )
            found.append(warning(path, text, "an LSM hook has the kernel's own copy"))
        if entry.point.kind != "guard" or entry.point.name not in IO_URING_CALLS:
            continue
        if any(plan.source == c.FROM_SYSCALL for plan in plans):
            text = (
                f"{entry.point.name}: not through io_uring, which has no registers of "
                "the system call to compare"
            )
            hint = "hook the LSM hook itself, or set the option on-read-error: deny"
            found.append(warning(path, text, hint))


def _warn_of_errors(entry: HookEntry, guard: Guard, found: list[Finding]) -> None:
    for selector in entry.selectors:
        path = (*entry.path, "selectors", selector.number)
        if not selector.actions.actions & c.ACTION_OVERRIDE:
            continue
        if not guard.keeps_error and selector.actions.error != _EPERM:
            text = f"{entry.point.name} returns -1 (EPERM), whatever argError says"
            found.append(warning(path, text, f"it is refused by {guard.hook}"))
        if guard.is_partial:
            text = f"{entry.point.name}: not every use of it passes {guard.hook}"
            found.append(warning(path, text, "the others are not prevented"))


def _refuse(entry: HookEntry, found: list[Finding]) -> None:
    name = quote(entry.point.name)
    text = (
        f"this kernel cannot override the system call {name}: no LSM hook is passed "
        "by all of its uses, and the kernel has no error injection"
    )
    for selector in entry.selectors:
        if selector.actions.actions & c.ACTION_OVERRIDE:
            path = (*entry.path, "selectors", selector.number)
            found.append(
                error(path, text, "Sigkill and Signal work here", Cause.KERNEL)
            )
