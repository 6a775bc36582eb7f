# SPDX-License-Identifier: Apache-2.0
"""Arguments of tracepoints that are not raw: fields of the record that they write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.capture.forms import (
    is_number,
    narrow,
    needs_kernel_struct,
    reading,
)
from tetragon_py.compiler.capture.inference import field_shape, infer_field_type
from tetragon_py.compiler.plan import ArgumentPlan
from tetragon_py.policy.diagnostic import PolicyValueError, quote
from tetragon_py.policy.model.arguments import ArgumentType

if TYPE_CHECKING:
    from tetragon_py.compiler.capture.surface import Surface
    from tetragon_py.compiler.target import TracepointField
    from tetragon_py.policy.model.arguments import Argument

__all__ = ["capture_field"]

_T = ArgumentType
#: Types whose bytes may lie in the record itself.
_INLINE = {
    _T.STRING: c.ARGUMENT_STRING,
    _T.DATA_LOC: c.ARGUMENT_STRING,
    _T.CHAR_BUF: c.ARGUMENT_CHAR_BUF,
    _T.CONST_BUF: c.ARGUMENT_CONST_BUF,
}
_POINTER_BYTES = 8


def capture_field(
    argument: Argument, surface: Surface
) -> tuple[ArgumentPlan, ArgumentType]:
    """Return where the field is that an argument names, and its type.

    Raises:
        PolicyValueError: There is no such field, or it cannot be read like that.
    """
    field = surface.field(argument.index)
    kind = argument.type
    if kind is _T.AUTO:
        kind = infer_field_type(field)
        if surface.is_user and needs_kernel_struct(kind):
            kind = _T.UINT64
    if field.type.startswith("__rel_loc"):
        raise _mismatch(field, kind, "places relative to the field are not supported")
    if field.is_data_loc:
        return _data_loc(field, kind), kind
    if field_shape(field).is_array:
        return _array(field, kind), kind
    if argument.size_arg_index or kind is _T.CHAR_IOVEC:
        raise PolicyValueError(
            f"{quote(field.name)} is a buffer behind a pointer",
            "hook the system call or the function in kprobes to get its bytes",
        )
    return _scalar(field, kind, surface), kind


def _data_loc(field: TracepointField, kind: ArgumentType) -> ArgumentPlan:
    if kind not in _INLINE:
        raise _mismatch(field, kind, "it holds text or bytes")
    return ArgumentPlan(
        _INLINE[kind],
        c.FROM_DATA_LOC,
        c.FORM_INLINE,
        offset=field.offset,
        size=field.size,
    )


def _array(field: TracepointField, kind: ArgumentType) -> ArgumentPlan:
    if kind not in _INLINE or kind is _T.DATA_LOC:
        hint = "use string, char_buf or const_buf"
        raise _mismatch(field, kind, hint)
    return ArgumentPlan(
        _INLINE[kind],
        c.FROM_FIELD,
        c.FORM_INLINE,
        offset=field.offset,
        size=field.size,
    )


def _scalar(
    field: TracepointField, kind: ArgumentType, surface: Surface
) -> ArgumentPlan:
    if kind in _INLINE and kind is not _T.STRING:
        raise _mismatch(field, kind, "the record holds no bytes there")
    if is_number(kind):
        # A system call's fields have 8 bytes each, whatever it takes.
        if field.size not in {1, 2, 4, 8}:
            raise _mismatch(field, kind, f"it has {field.size} bytes")
        found = narrow(kind, field.size)
    else:
        found = reading(kind, is_user=surface.is_user)
        if kind is not _T.FD:
            _check_pointer(field, kind, surface)
            found = found._replace(size=field.size)
    return ArgumentPlan(
        found.type, c.FROM_FIELD, found.form, offset=field.offset, size=found.size
    )


def _check_pointer(
    field: TracepointField, kind: ArgumentType, surface: Surface
) -> None:
    if field.size != _POINTER_BYTES:
        raise _mismatch(field, kind, "it is no pointer")
    if surface.is_user and needs_kernel_struct(kind):
        raise _mismatch(field, kind, "the kernel's structs are not passed here")


def _mismatch(
    field: TracepointField, kind: ArgumentType, hint: str
) -> PolicyValueError:
    text = f"the field {quote(field.name)}, {field.type}, cannot be read as {kind}"
    return PolicyValueError(text, hint)
