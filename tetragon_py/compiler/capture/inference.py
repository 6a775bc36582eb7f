# SPDX-License-Identifier: Apache-2.0
"""From the kernel's types to those of policies: BTF's, and tracepoint format files'."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tetragon_py.policy.model.arguments import ArgumentType

if TYPE_CHECKING:
    from tetragon_py.compiler.target import CType, TracepointField

__all__ = [
    "FieldShape",
    "agrees",
    "describe",
    "field_shape",
    "infer_field_type",
    "infer_type",
    "integer_type",
    "struct_name",
]

_T = ArgumentType
#: Argument type -> struct or union that it reads.
_STRUCTS = {
    _T.FILE: "file",
    _T.PATH: "path",
    _T.DENTRY: "dentry",
    _T.KIOCB: "kiocb",
    _T.FILENAME: "filename",
    _T.LINUX_BINPRM: "linux_binprm",
    _T.IOV_ITER: "iov_iter",
    _T.SKB: "sk_buff",
    _T.SOCK: "sock",
    _T.SOCKET: "socket",
    _T.SOCKADDR: "sockaddr",
    _T.SOCKADDR_UN: "sockaddr_un",
    _T.NET_DEVICE: "net_device",
    _T.CRED: "cred",
    _T.MODULE: "module",
    _T.USER_NAMESPACE: "user_namespace",
    _T.LOAD_INFO: "load_info",
    _T.BPF_ATTR: "bpf_attr",
    _T.BPF_PROG: "bpf_prog",
    _T.BPF_MAP: "bpf_map",
    _T.PERF_EVENT: "perf_event",
    _T.KERNEL_CAP_T: "kernel_cap_t",
    _T.CAP_INHERITABLE: "kernel_cap_t",
    _T.CAP_PERMITTED: "kernel_cap_t",
    _T.CAP_EFFECTIVE: "kernel_cap_t",
}
_BY_STRUCT = {name: kind for kind, name in reversed(_STRUCTS.items())} | {
    "bpf_cmd": _T.BPF_CMD,
    "kernel_cap_struct": _T.KERNEL_CAP_T,
}
#: Structs that are read through a pointer to another one: sockets of one family are
#: passed as struct sockaddr.
_ALSO = {(_T.SOCKADDR_UN, "sockaddr"), (_T.SOCKADDR, "__kernel_sockaddr_storage")}
_INTEGERS = {
    (1, True): _T.INT8,
    (1, False): _T.UINT8,
    (2, True): _T.INT16,
    (2, False): _T.UINT16,
    (4, True): _T.INT32,
    (4, False): _T.UINT32,
    (8, True): _T.INT64,
    (8, False): _T.UINT64,
}
#: Numbers with a meaning that C does not know.
_MEANINGS = (_T.CAPABILITY, _T.BPF_CMD, _T.SYSCALL64)
_TEXTS = (_T.STRING, _T.CHAR_BUF, _T.CHAR_IOVEC)


def integer_type(size: int, *, is_signed: bool) -> ArgumentType | None:
    """Return the type of a number of `size` bytes."""
    return _INTEGERS.get((size, is_signed))


def struct_name(kind: ArgumentType) -> str:
    """Return the struct or union that an argument type reads, "" if it reads none."""
    return _STRUCTS.get(kind, "")


def infer_type(found: CType) -> ArgumentType | None:
    """Return the argument type for a value of this C type, or None.

    A struct in memory counts as the pointer to it, an array of char as text.
    """
    to = found.to
    if found.typedef in _BY_STRUCT:
        return _BY_STRUCT[found.typedef]
    if found.kind in {"struct", "union"} or found.name == "bpf_cmd":
        return _BY_STRUCT.get(found.name)
    if found.kind in {"integer", "enum"}:
        return integer_type(found.size, is_signed=found.is_signed)
    if to is not None and _is_char(to):
        return _T.STRING
    if found.kind == "pointer" and to is not None and to.kind in {"struct", "union"}:
        return infer_type(to)
    return None


def _is_char(found: CType) -> bool:
    return found.kind == "integer" and found.size == 1 and found.name == "char"


def agrees(kind: ArgumentType, found: CType) -> bool:
    """Whether a value of this C type can be read as `kind`, which was asked for."""
    inferred = infer_type(found)
    if inferred is None or inferred is kind:
        return True
    if inferred.bits and struct_name(inferred) == "":
        return kind in _MEANINGS and kind.bits == 8 * found.size
    if inferred is _T.STRING:
        return kind in _TEXTS and found.kind == "pointer"
    name = struct_name(inferred)
    return struct_name(kind) == name or (kind, name) in _ALSO


def describe(found: CType) -> str:
    """Return the C type as one would write it."""
    if found.typedef:
        return found.typedef
    if found.kind == "pointer":
        return f"{describe(found.to)} *" if found.to else "void *"
    if found.kind == "array" and found.to:
        return f"{describe(found.to)}[{found.count}]"
    if found.kind in {"struct", "union", "enum"}:
        return f"{found.kind} {found.name or '(unnamed)'}"
    return found.name or found.kind


# ---- tracepoints ----


class FieldShape(NamedTuple):
    """What the type text of a field says."""

    element: str  #: the type without qualifiers, brackets and stars
    is_pointer: bool
    is_array: bool
    element_size: int  #: bytes, 0 if unknown


_FIELD = re.compile(r"(?:__data_loc |__rel_loc )?(?P<base>[^\[*]+)(?P<rest>.*)")
_SIZES = {"char": 1, "u8": 1, "__u8": 1, "long": 8, "u64": 8, "__u64": 8, "int": 4}


def field_shape(field: TracepointField) -> FieldShape:
    """Take the type text of a tracepoint's field apart."""
    match = _FIELD.fullmatch(field.type.strip())
    base, rest = (match["base"], match["rest"]) if match else (field.type, "")
    words = [w for w in base.split() if w not in {"const", "volatile", "struct"}]
    element = " ".join(words)
    is_array = "[" in rest
    size = _SIZES.get(words[-1], 0) if words else 0
    count = re.search(r"\[(\d+)\]", rest)
    if is_array and count and int(count[1]) and not field.is_data_loc:
        size = field.size // int(count[1])
    return FieldShape(element, "*" in rest, is_array, size)


def infer_field_type(field: TracepointField) -> ArgumentType:
    """Return the argument type for a field of a tracepoint."""
    shape = field_shape(field)
    if shape.is_pointer and not shape.is_array:
        if shape.element == "char":
            return _T.STRING
        return _BY_STRUCT.get(shape.element, _T.UINT64)
    if shape.is_array:
        if shape.element == "char":
            return _T.STRING
        return _T.CONST_BUF if shape.element_size == 8 else _T.CHAR_BUF
    return integer_type(field.size, is_signed=field.is_signed) or _T.CHAR_BUF
