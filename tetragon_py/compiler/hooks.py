# SPDX-License-Identifier: Apache-2.0
"""From the hooks of a policy to the places in the kernel that they mean."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tetragon_py.abi.syscalls import SYSCALL_ABIS, syscall_numbers
from tetragon_py.compiler.plan import AttachPoint
from tetragon_py.policy.diagnostic import (
    Cause,
    Finding,
    Path,
    PolicyValueError,
    error,
    nearest,
    quote,
    warning,
)
from tetragon_py.policy.model.hooks import KprobeHook, LsmHook, TracepointHook
from tetragon_py.policy.model.policy import ListType, NameList

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tetragon_py.compiler.plan import PointKind
    from tetragon_py.compiler.target import Target
    from tetragon_py.policy.model.hooks import Hook

__all__ = ["Lists", "attach_points", "list_numbers"]

#: How kernels spell the entry of a system call -> ABI; "" is the kernel's own.
_SYSCALL_PREFIXES = {
    "__x64_sys_": "x64",
    "__ia32_compat_sys_": "i386",
    "__ia32_sys_": "i386",
    "__arm64_compat_sys_": "arm32",
    "__arm64_sys_": "arm64",
    "compat_sys_": "",
    "__se_sys_": "",
    "sys_": "",
}
_ABIS = ("x64", "i386", "arm64", "arm32")
_SYSCALL_LISTS = (ListType.SYSCALLS, ListType.GENERATED_SYSCALLS)
#: So many letters must agree before names are compared closely: a kernel has 60,000.
_SAME_LETTERS = 3
#: A mark in raw numbers of system calls: of the 32-bit table.
_COMPAT_BIT = 1 << 31


class Lists(NamedTuple):
    """The lists of a policy by name, each with its position in `lists`."""

    by_name: Mapping[str, tuple[int, NameList]]

    @classmethod
    def of(cls, lists: Iterable[NameList]) -> Lists:
        """Take the lists of a policy; their names are unique."""
        return cls({entry.name: (index, entry) for index, entry in enumerate(lists)})


class _Name(NamedTuple):
    text: str
    path: Path
    is_syscall: bool


def attach_points(
    hook: Hook, path: Path, lists: Lists, target: Target, found: list[Finding]
) -> tuple[AttachPoint, ...]:
    """Return the places that a hook means; what does not exist is added to `found`.

    `path` leads to the hook. A hook that cannot be attached at all has no places.
    """
    if isinstance(hook, KprobeHook):
        return tuple(dict.fromkeys(_functions(hook, path, lists, target, found)))
    if isinstance(hook, LsmHook):
        if target.lsm_hook(hook.hook) is not None:
            return (AttachPoint("lsm", hook.hook),)
        text = f"the kernel has no LSM hook {quote(hook.hook)}"
        hint = _similar(hook.hook, "lsm", target)
        found.append(error((*path, "hook"), text, hint, Cause.KERNEL))
    elif isinstance(hook, TracepointHook):
        return _tracepoint(hook, path, target, found)
    else:
        text = f"{path[1]} cannot run in this release"
        found.append(error(path, text, cause=Cause.RELEASE))
    return ()


def list_numbers(
    name: str, lists: Lists, target: Target, *, has_compat_bit: bool
) -> list[int]:
    """Return the numbers of the system calls of a list, for InMap.

    Args:
        name: Of a list that exists and holds system calls.
        lists: The policy's.
        target: Has the numbers.
        has_compat_bit: The value that is compared tells 32-bit calls apart.

    Raises:
        PolicyValueError: The kernel has no such call, or it cannot be told apart.
    """
    _, entry = lists.by_name[name]
    numbers = []
    for text in _list_names(entry, target):
        call, abi = _split_syscall(text, target)
        number = target.syscall_number(call, abi)
        if number is None:
            hint, cause = _lack(call, abi, target)
            raise PolicyValueError(
                f"there is no system call {quote(text)}", hint, cause=cause
            )
        if abi != target.native_abi:
            if not has_compat_bit:
                raise PolicyValueError(
                    f"{quote(text)} is a 32-bit system call", "use type syscall64"
                )
            number |= _COMPAT_BIT
        numbers.append(number)
    return numbers


# ---- tracepoints ----


def _tracepoint(
    hook: TracepointHook, path: Path, target: Target, found: list[Finding]
) -> tuple[AttachPoint, ...]:
    if hook.raw:
        if target.raw_tracepoint(hook.event) is not None:
            return (AttachPoint("raw_tracepoint", hook.event),)
        text = f"the kernel has no raw tracepoint {quote(hook.event)}"
        hint = _similar(hook.event, "raw_tracepoint", target)
    else:
        name = f"{hook.subsystem}/{hook.event}"
        if target.tracepoint(hook.subsystem, hook.event) is not None:
            return (AttachPoint("tracepoint", name),)
        text = f"the kernel has no tracepoint {quote(name)}"
        hint = _similar(name, "tracepoint", target)
    found.append(error((*path, "event"), text, hint, Cause.KERNEL))
    return ()


# ---- functions and system calls ----


def _functions(
    hook: KprobeHook, path: Path, lists: Lists, target: Target, found: list[Finding]
) -> Iterator[AttachPoint]:
    names = list(_names(hook, path, lists, target))
    if not names:
        text = f"{hook.call} is empty on this kernel"
        found.append(error((*path, "call"), text, cause=Cause.KERNEL))
    for name in names:
        try:
            yield _point(name, target)
        except PolicyValueError as problem:
            if hook.ignore.call_not_found:
                say, text = warning, f"{problem.message}: it is left out"
            else:
                say, text = error, problem.message
            found.append(say(name.path, text, problem.hint, problem.cause))


def _names(
    hook: KprobeHook, path: Path, lists: Lists, target: Target
) -> Iterator[_Name]:
    list_name = hook.call.removeprefix("list:")
    if list_name == hook.call:
        yield _Name(hook.call, (*path, "call"), hook.syscall)
        return
    position, entry = lists.by_name[list_name]
    # Names that the kernel's list of functions gave are functions, also where the hook
    # does not say `syscall: false`.
    is_syscall = entry.type in _SYSCALL_LISTS or (
        entry.type is ListType.FUNCTIONS and hook.syscall
    )
    place: Path = ("spec", "lists", position)
    for index, text in enumerate(_list_names(entry, target)):
        where = (*place, "values", index) if entry.values else place
        yield _Name(text, where, is_syscall)


def _list_names(entry: NameList, target: Target) -> list[str]:
    if entry.type is ListType.GENERATED_SYSCALLS:
        return sorted(target.syscall_names(target.native_abi))
    if entry.type is ListType.GENERATED_FTRACE:
        pattern = re.compile(entry.pattern or "")
        return sorted(name for name in target.names("function") if pattern.search(name))
    return list(entry.values)


def _point(name: _Name, target: Target) -> AttachPoint:
    if name.is_syscall:
        call, abi = _split_syscall(name.text, target)
        if target.syscall_number(call, abi) is None:
            raise _no_syscall(name.text, call, abi, target)
        return AttachPoint("syscall", call, abi)
    if not target.has_symbol(name.text):
        raise _no_function(name.text, target)
    return AttachPoint("function", name.text)


def _split_syscall(text: str, target: Target) -> tuple[str, str]:
    abi, slash, call = text.rpartition("/")
    if slash and abi not in _ABIS:
        raise PolicyValueError(
            f"{quote(abi)} is no ABI of system calls", f"one of {', '.join(_ABIS)}"
        )
    for prefix, its_abi in _SYSCALL_PREFIXES.items():
        if call.startswith(prefix):
            call = call.removeprefix(prefix)
            abi = abi or its_abi
            break
    return call, abi or target.native_abi


def _no_syscall(text: str, call: str, abi: str, target: Target) -> PolicyValueError:
    if target.has_symbol(text):
        return PolicyValueError(
            f"{quote(text)} is a function and no system call", "set syscall: false"
        )
    hint, cause = _lack(call, abi, target)
    if cause is Cause.KERNEL and not target.syscall_names(abi):
        message = f"this kernel runs no {abi} programs: {quote(text)}"
    else:
        message = f"the kernel has no {abi} system call {quote(call)}"
    return PolicyValueError(message, hint, cause=cause)


# A name that no table has is a typing mistake; others are calls of another kernel.
def _lack(call: str, abi: str, target: Target) -> tuple[str, Cause]:
    names = target.syscall_names(abi)
    if any(call in syscall_numbers(known) for known in SYSCALL_ABIS):
        return nearest(call, names), Cause.KERNEL
    if not names and abi in SYSCALL_ABIS:
        names = syscall_numbers(abi).keys()
    return nearest(call, names), Cause.MISTAKE


def _no_function(text: str, target: Target) -> PolicyValueError:
    hint = _similar(text, "function", target)
    call = text.removeprefix("sys_")
    if target.syscall_number(call, target.native_abi) is not None:
        hint = "set syscall: true"
    message = f"the kernel has no function {quote(text)}"
    return PolicyValueError(message, hint, cause=Cause.KERNEL)


def _similar(name: str, kind: PointKind, target: Target) -> str:
    start = name[:_SAME_LETTERS]
    known = target.names(kind)
    return nearest(name, [other for other in known if other.startswith(start)])
