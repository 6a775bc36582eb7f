# SPDX-License-Identifier: Apache-2.0
"""Rules for the arguments of a hook that need no kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tetragon_py.policy.diagnostic import Finding, Path, error, warning
from tetragon_py.policy.model.arguments import Argument, ArgumentType, DataSource
from tetragon_py.policy.model.hooks import (
    HookSection,
    KprobeHook,
    ReturningHook,
    TracepointHook,
    UprobeHook,
    UsdtHook,
)
from tetragon_py.policy.model.operators import TypeKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tetragon_py.policy.model.hooks import Hook

__all__ = ["ARGUMENTS_MAX", "check_arguments"]

#: `args` and `data` of one hook together.
ARGUMENTS_MAX = 8
#: Functions and system calls pass six values in registers; raw tracepoints and static
#: probes up to twelve.
_FUNCTION_INDEX_MAX = 5
_TRACE_INDEX_MAX = 11

_NEED_TYPE = (HookSection.KPROBES, HookSection.FENTRIES, HookSection.UPROBES)
_FIELD_TYPES = (ArgumentType.DATA_LOC, ArgumentType.CONST_BUF)
_SIZED = (ArgumentType.CHAR_BUF, ArgumentType.CHAR_IOVEC)
_LONG = (*_SIZED, ArgumentType.IOV_ITER)
_SIZE_KINDS = (TypeKind.NUMBER, TypeKind.AUTO, TypeKind.NONE)


def check_arguments(section: HookSection, path: Path, hook: Hook) -> Iterator[Finding]:
    """Yield what is wrong with `args`, `data` and `returnArg` of a hook."""
    data = hook.data if isinstance(hook, ReturningHook) else ()
    count = len(hook.args) + len(data)
    if count > ARGUMENTS_MAX:
        text = f"{count} arguments with those of data"
        yield error((*path, "args"), text, f"at most {ARGUMENTS_MAX} are allowed")
    for position, argument in enumerate(hook.args):
        place = (*path, "args", position)
        yield from _check_index(section, place, hook, argument)
        yield from _check_type(section, place, hook, argument)
        yield from _check_buffer(section, place, hook, argument)
        yield from _check_btf(section, place, hook, argument)
        if argument.source:
            yield error(
                (*place, "source"), "is for entries of data only", "move it to data"
            )
    for position, argument in enumerate(data):
        place = (*path, "data", position)
        yield from _check_data(place, argument)
        yield from _check_type(section, place, hook, argument)
    if isinstance(hook, ReturningHook):
        yield from _check_return(section, path, hook)


def _check_index(
    section: HookSection, path: Path, hook: Hook, argument: Argument
) -> Iterator[Finding]:
    if isinstance(hook, TracepointHook):
        if not hook.raw:
            return
        limit = _TRACE_INDEX_MAX
    else:
        limit = (
            _TRACE_INDEX_MAX if section is HookSection.USDTS else _FUNCTION_INDEX_MAX
        )
    if argument.index > limit:
        yield error(
            (*path, "index"),
            f"{argument.index} is too large",
            f"arguments count from 0 to {limit}",
        )


def _check_type(
    section: HookSection, path: Path, hook: Hook, argument: Argument
) -> Iterator[Finding]:
    kind = argument.type
    is_plain = isinstance(hook, TracepointHook) and not hook.raw
    if kind is ArgumentType.AUTO and section in _NEED_TYPE and argument.resolve is None:
        yield error((*path, "type"), f"{section} need a type", "for example int")
    if kind is ArgumentType.SYSCALL64 and section is not HookSection.TRACEPOINTS:
        yield error((*path, "type"), "syscall64 is for tracepoints only", "use uint64")
    if kind in _FIELD_TYPES and not is_plain:
        yield error((*path, "type"), f"{kind} is for tracepoints that are not raw")
    if argument.resolve and is_plain:
        yield error(
            (*path, "resolve"), "works on raw tracepoints only", "set raw: true"
        )


def _check_buffer(
    section: HookSection, path: Path, hook: Hook, argument: Argument
) -> Iterator[Finding]:
    returns = isinstance(hook, ReturningHook) and hook.return_
    if argument.size_arg_index:
        yield from _check_size(path, hook, argument)
    elif (
        argument.type is ArgumentType.CHAR_BUF
        and not isinstance(hook, TracepointHook | UsdtHook)
        and not argument.return_copy
        and not argument.resolve
    ):
        hint = "the number of the argument with the size, counted from 1"
        yield error((*path, "sizeArgIndex"), "is required for char_buf", hint)
    if argument.return_copy:
        if argument.type not in _SIZED:
            yield error((*path, "returnCopy"), f"does not work on type {argument.type}")
        if not returns:
            hint = "" if section is HookSection.LSMHOOKS else "set return: true"
            yield error((*path, "returnCopy"), "needs the return of the function", hint)
    if argument.max_data:
        if argument.type not in _LONG:
            yield error((*path, "maxData"), f"does not work on type {argument.type}")
        if argument.return_copy:
            yield error((*path, "maxData"), "does not work with returnCopy")
        if isinstance(hook, TracepointHook | UprobeHook | UsdtHook):
            yield error((*path, "maxData"), f"does not work in {section}")


def _check_size(path: Path, hook: Hook, argument: Argument) -> Iterator[Finding]:
    place = (*path, "sizeArgIndex")
    if argument.type not in _SIZED:
        yield error(place, f"does not work on type {argument.type}")
    if isinstance(hook, TracepointHook | UsdtHook):
        return
    index = argument.size_arg_index - 1
    if index > _FUNCTION_INDEX_MAX:
        limit = _FUNCTION_INDEX_MAX + 1
        hint = f"arguments count from 1 to {limit} here"
        yield error(place, f"{argument.size_arg_index} is too large", hint)
    for other in hook.args:
        if other.index == index and other.type.kind not in _SIZE_KINDS:
            text = f"argument {index} is no size but of type {other.type}"
            yield error(place, text, "sizeArgIndex counts from 1, index from 0")


def _check_btf(
    section: HookSection, path: Path, hook: Hook, argument: Argument
) -> Iterator[Finding]:
    if argument.btf_type and not argument.resolve:
        yield error((*path, "btfType"), "needs resolve")
    if argument.btf_type_module:
        if not argument.btf_type:
            yield error((*path, "btfTypeModule"), "needs btfType")
        if section not in {HookSection.KPROBES, HookSection.FENTRIES}:
            yield error((*path, "btfTypeModule"), f"does not work in {section}")
    if argument.resolve and isinstance(hook, UprobeHook | UsdtHook):
        if not argument.btf_type:
            yield error((*path, "resolve"), "needs btfType")
        if not hook.btf_path:
            yield error((*path, "resolve"), "needs btfPath of the hook")


def _check_data(path: Path, argument: Argument) -> Iterator[Finding]:
    if argument.source is None:
        names = " or ".join(DataSource)
        yield error((*path, "source"), "is required", f"{names}")
    if argument.resolve is None:
        yield error((*path, "resolve"), "is required in data")
    elif argument.source is DataSource.PT_REGS and not argument.resolve.isalnum():
        yield error((*path, "resolve"), "names no register", "for example rdi")
    for key, given in (
        ("sizeArgIndex", argument.size_arg_index),
        ("returnCopy", argument.return_copy),
        ("maxData", argument.max_data),
    ):
        if given:
            yield error((*path, key), "is for entries of args only")


def _check_return(
    section: HookSection, path: Path, hook: ReturningHook
) -> Iterator[Finding]:
    place = (*path, "returnArg")
    argument = hook.return_arg
    action = hook.return_arg_action if isinstance(hook, KprobeHook) else None
    if argument is None:
        if hook.return_:
            yield error(place, "is required with return: true")
        if action:
            yield error((*path, "returnArgAction"), "needs returnArg")
        return
    if not hook.return_:
        yield warning(place, "has no effect without return: true", "add return: true")
    yield from _check_type(section, place, hook, argument)
    for key, given in (
        ("source", argument.source),
        ("sizeArgIndex", argument.size_arg_index),
        ("returnCopy", argument.return_copy),
        ("maxData", argument.max_data),
    ):
        if given:
            yield error((*place, key), "is for entries of args only")
    if action and argument.declared_type.kind not in {TypeKind.SOCK, TypeKind.AUTO}:
        yield error(
            (*path, "returnArgAction"),
            f"needs a returned socket, not {argument.type}",
            "set the type of returnArg to sock",
        )
