# SPDX-License-Identifier: Apache-2.0
"""From `args`, `data` and `returnArg` of a hook to what is captured, and its type."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.capture.fields import capture_field
from tetragon_py.compiler.capture.forms import (
    is_number,
    narrow,
    needs_kernel_struct,
    reading,
)
from tetragon_py.compiler.capture.inference import (
    agrees,
    describe,
    infer_type,
    integer_type,
)
from tetragon_py.compiler.capture.registers import find_register
from tetragon_py.compiler.capture.resolve import check_steps, resolve
from tetragon_py.compiler.capture.surface import REGISTERS, Surface
from tetragon_py.compiler.plan import ArgumentPlan
from tetragon_py.policy.diagnostic import Cause, PolicyValueError, quote
from tetragon_py.policy.model.arguments import ArgumentType, DataSource

if TYPE_CHECKING:
    from tetragon_py.compiler.target import CType
    from tetragon_py.policy.model.arguments import Argument

__all__ = ["Captured", "capture_argument", "capture_data", "capture_return"]

_T = ArgumentType
_SIZED = (_T.CHAR_BUF, _T.CHAR_IOVEC)
#: System calls with an address or attributes, and their size behind.
_SIZED_CALLS = ("bind", "bpf", "connect", "sendto")


class Captured(NamedTuple):
    """What becomes of an argument; `plan` is None for what is not captured (nop)."""

    plan: ArgumentPlan | None
    type: ArgumentType
    #: Something that is not done as written, or "".
    warning: str = ""
    #: The kernel tells another type.
    is_doubted: bool = False


def capture_argument(argument: Argument, surface: Surface) -> Captured:
    """Return what is captured for an entry of `args`.

    Raises:
        PolicyValueError: There is no such argument here, or it has another type.
    """
    if not argument.is_captured:
        return Captured(None, _T.NOP)
    if surface.point.kind == "tracepoint":
        plan, kind = capture_field(argument, surface)
        return Captured(plan, kind)
    surface.check_register(argument.index)
    start = ArgumentPlan(c.ARGUMENT_NONE, c.FROM_REGISTER, index=argument.index)
    plan, kind = _read(start, argument, surface, surface.parameter_type(argument.index))
    plan = _with_size(plan, kind, argument, surface)
    warning = ""
    if argument.max_data:
        limit = c.ARGUMENT_TEXT_MAX
        warning = f"maxData: at most {limit} bytes of a value are in an event"
    doubt = _doubt(argument, surface)
    return Captured(plan, kind, warning or doubt, is_doubted=bool(doubt))


def capture_data(argument: Argument, surface: Surface) -> Captured:
    """Return what is captured for an entry of `data`.

    Raises:
        PolicyValueError: The register or the attribute does not exist.
    """
    if argument.source is DataSource.PT_REGS:
        return _capture_register(argument, surface)
    start = ArgumentPlan(c.ARGUMENT_NONE, c.FROM_TASK)
    task = surface.target.struct("task_struct")
    plan, kind = _read(start, argument, surface, task)
    return Captured(plan, kind)


def capture_return(argument: Argument, surface: Surface) -> Captured:
    """Return what is captured for `returnArg`.

    Raises:
        PolicyValueError: What is returned cannot be read as this type.
    """
    start = ArgumentPlan(c.ARGUMENT_NONE, c.FROM_RETURN, flags=c.ARGUMENT_AT_RETURN)
    returns = surface.signature.returns if surface.signature else None
    if not argument.is_captured:
        return Captured(None, _T.NOP)
    plan, kind = _read(start, argument, surface, returns)
    if kind in _SIZED:
        raise PolicyValueError(f"a returned {kind} has no size", "use string")
    return Captured(plan, kind)


# ---- type and form ----


def _read(
    start: ArgumentPlan, argument: Argument, surface: Surface, found: CType | None
) -> tuple[ArgumentPlan, ArgumentType]:
    if argument.resolve:
        return _follow(start, argument, surface, found)
    kind = argument.type
    if kind is _T.AUTO:
        kind = _infer(found, surface)
    if surface.point.kind == "syscall" and needs_kernel_struct(kind):
        hint = "use fd" if kind is _T.FILE else "use string or hook a kernel function"
        raise PolicyValueError(f"a system call passes no {kind}", hint)
    how = reading(kind, is_user=surface.is_user)
    return replace(start, type=how.type, form=how.form, size=how.size), kind


def _infer(found: CType | None, surface: Surface) -> ArgumentType:
    if found is None:
        name = quote(surface.point.name)
        text = f"the kernel does not tell the types of {name}"
        raise PolicyValueError(text, cause=Cause.KERNEL)
    kind = infer_type(found)
    if kind is None and found.kind == "pointer":
        return _T.UINT64
    if kind is None:
        raise PolicyValueError(f"{describe(found)} cannot be captured")
    return kind


# Explicit types are taken as written: BTF may know only void *. But a pointer to
# another struct is probably the wrong argument.
def _doubt(argument: Argument, surface: Surface) -> str:
    found = surface.parameter_type(argument.index)
    if argument.resolve or argument.type is _T.AUTO or found is None:
        return ""
    if found.kind != "pointer" or is_number(argument.type):
        return ""
    if agrees(argument.type, found):
        return ""
    return f"argument {argument.index} is {describe(found)}: read as {argument.type}"


def _with_size(
    plan: ArgumentPlan, kind: ArgumentType, argument: Argument, surface: Surface
) -> ArgumentPlan:
    flags = plan.flags
    if kind in _SIZED and not (argument.size_arg_index or argument.return_copy):
        raise PolicyValueError(f"{kind} needs sizeArgIndex")
    if argument.size_arg_index:
        surface.check_register(argument.size_arg_index - 1)
    if argument.return_copy:
        flags |= c.ARGUMENT_AT_RETURN
        if not argument.size_arg_index:
            flags |= c.ARGUMENT_SIZE_RETURNED
    size = argument.size_arg_index
    if not size and not argument.resolve:
        size = _implied_size(kind, argument.index, surface)
    return replace(plan, flags=flags, size_register=size)


# Addresses and attributes come with their size as the next argument; without it the
# end of an abstract socket name is not known.
def _implied_size(kind: ArgumentType, index: int, surface: Surface) -> int:
    if kind not in {_T.SOCKADDR_UN, _T.BPF_ATTR} or index + 1 >= REGISTERS:
        return 0
    if surface.point.kind == "syscall":
        return index + 2 if surface.point.name in _SIZED_CALLS else 0
    parameters = surface.signature.parameters if surface.signature else ()
    for following in parameters[index + 1 : index + 2]:
        is_size = "len" in following.name or "size" in following.name
        if is_size and following.type.kind == "integer":
            return index + 2
    return 0


# ---- resolve ----


def _follow(
    start: ArgumentPlan, argument: Argument, surface: Surface, found: CType | None
) -> tuple[ArgumentPlan, ArgumentType]:
    if surface.point.kind == "syscall" and start.source != c.FROM_TASK:
        raise PolicyValueError(
            "resolve does not work on values of system calls", "hook a kernel function"
        )
    struct = _struct(argument, surface, found)
    way = resolve(argument.resolve or "", struct, surface.target)
    kind = _resolved_type(argument.type, way.type)
    how = reading(kind, is_user=False)
    form, size, follow = how.form, how.size, way.type.kind == "pointer"
    if is_number(kind):
        form, follow = c.FORM_MEMORY, False
        if way.type.size in {1, 2, 4, 8}:
            size = min(size, way.type.size)
    steps = (*way.steps, (way.offset, follow))
    check_steps(steps)
    return replace(start, type=how.type, form=form, size=size, steps=steps), kind


def _struct(argument: Argument, surface: Surface, found: CType | None) -> CType:
    if argument.btf_type:
        module = argument.btf_type_module or ""
        struct = surface.target.struct(argument.btf_type, module)
        if struct is None:
            where = f"module {quote(module)}" if module else "kernel"
            text = f"the {where} has no struct {quote(argument.btf_type)}"
            raise PolicyValueError(text, cause=Cause.KERNEL)
        return struct
    if found is not None and found.kind == "pointer":
        found = found.to
    if found is None or found.kind not in {"struct", "union"}:
        what = describe(found) if found else "unknown"
        text = f"resolve needs a pointer to a struct; this is {what}"
        cause = Cause.MISTAKE if found else Cause.KERNEL
        raise PolicyValueError(text, "give btfType", cause=cause)
    return found


# BTF knows better, but for types that say more than C does.
def _resolved_type(wanted: ArgumentType, found: CType) -> ArgumentType:
    kind = infer_type(found)
    if kind is not None:
        return wanted if wanted is not _T.AUTO and agrees(wanted, found) else kind
    if wanted is _T.AUTO or wanted is _T.NOP:
        if found.kind == "pointer":
            return _T.UINT64
        raise PolicyValueError(
            f"the last attribute is {describe(found)}, which cannot be captured",
            "name one of its members",
        )
    if found.kind != "pointer" and not is_number(wanted):
        raise PolicyValueError(f"{describe(found)} cannot be read as {wanted}")
    return wanted


# ---- pt_regs ----


def _capture_register(argument: Argument, surface: Surface) -> Captured:
    name = (argument.resolve or "").lower()
    register = find_register(
        surface.target.native_abi, name, is_syscall=surface.point.kind == "syscall"
    )
    if register is None:
        raise PolicyValueError(
            f"the register {quote(name)} holds no argument here",
            f"those of the first {REGISTERS} arguments are captured",
        )
    surface.check_register(register.argument)
    kind = argument.type
    if kind is _T.AUTO:
        kind = integer_type(register.size, is_signed=False) or _T.UINT64
    start = ArgumentPlan(c.ARGUMENT_NONE, c.FROM_REGISTER, index=register.argument)
    whole = argument.model_copy(update={"resolve": None, "type": kind})
    plan, kind = _read(start, whole, surface, None)
    if is_number(kind):
        how = narrow(kind, register.size)
        plan = replace(plan, type=how.type, size=how.size)
    return Captured(plan, kind)
