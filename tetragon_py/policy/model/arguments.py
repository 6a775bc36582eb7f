# SPDX-License-Identifier: Apache-2.0
"""Arguments of a hook: where a value comes from, its type, and how it is captured."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, Field

from tetragon_py.policy.diagnostic import PolicyValueError, quote
from tetragon_py.policy.model.names import spelled
from tetragon_py.policy.model.operators import TypeKind
from tetragon_py.policy.schema import Flag, Model, Number, Text

__all__ = [
    "RESOLVE_STEPS_MAX",
    "Argument",
    "ArgumentType",
    "DataArgument",
    "DataSource",
    "ReturnArgument",
]

#: Pointers that are followed for one value.
RESOLVE_STEPS_MAX = 10
_INDEX_MAX = 255


class ArgumentType(StrEnum):
    """What an argument is; several spellings of one C type stay as written."""

    AUTO = "auto"
    INT = "int"
    SINT8 = "sint8"
    INT8 = "int8"
    UINT8 = "uint8"
    SINT16 = "sint16"
    INT16 = "int16"
    UINT16 = "uint16"
    SINT32 = "sint32"
    INT32 = "int32"
    UINT32 = "uint32"
    SINT64 = "sint64"
    INT64 = "int64"
    UINT64 = "uint64"
    LONG = "long"
    ULONG = "ulong"
    SIZE_T = "size_t"
    STRING = "string"
    CHAR_BUF = "char_buf"
    CHAR_IOVEC = "char_iovec"
    CONST_BUF = "const_buf"
    FD = "fd"
    FILE = "file"
    FILENAME = "filename"
    PATH = "path"
    DENTRY = "dentry"
    KIOCB = "kiocb"
    IOV_ITER = "iov_iter"
    LINUX_BINPRM = "linux_binprm"
    SKB = "skb"
    SOCK = "sock"
    SOCKET = "socket"
    SOCKADDR = "sockaddr"
    SOCKADDR_UN = "sockaddr_un"
    NET_DEVICE = "net_device"
    DATA_LOC = "data_loc"
    CRED = "cred"
    USER_NAMESPACE = "user_namespace"
    CAPABILITY = "capability"
    KERNEL_CAP_T = "kernel_cap_t"
    CAP_INHERITABLE = "cap_inheritable"
    CAP_PERMITTED = "cap_permitted"
    CAP_EFFECTIVE = "cap_effective"
    LOAD_INFO = "load_info"
    MODULE = "module"
    BPF_ATTR = "bpf_attr"
    BPF_PROG = "bpf_prog"
    BPF_MAP = "bpf_map"
    BPF_CMD = "bpf_cmd"
    PERF_EVENT = "perf_event"
    SYSCALL64 = "syscall64"
    NOP = "nop"

    @property
    def kind(self) -> TypeKind:
        """What one may ask of a value of this type."""
        return _KINDS.get(self, TypeKind.NONE)

    @property
    def bits(self) -> int:
        """The width of a number, 0 for what is none."""
        return _NUMBERS.get(self, _NO_NUMBER).bits

    @property
    def is_signed(self) -> bool:
        """True for numbers that may be negative."""
        return _NUMBERS.get(self, _NO_NUMBER).is_signed


class _NumberKind(NamedTuple):
    bits: int
    is_signed: bool


_NO_NUMBER = _NumberKind(0, is_signed=False)
_CAPABILITY_SETS = (
    *(ArgumentType.KERNEL_CAP_T, ArgumentType.CAP_INHERITABLE),
    *(ArgumentType.CAP_PERMITTED, ArgumentType.CAP_EFFECTIVE),
)
# size_t is as wide as in the kernel: 64 bits, not 32 as elsewhere.
_NUMBERS = {
    **{
        ArgumentType(f"{sign}int{bits}"): _NumberKind(bits, is_signed=sign != "u")
        for bits in (8, 16, 32, 64)
        for sign in ("", "s", "u")
    },
    ArgumentType.INT: _NumberKind(32, is_signed=True),
    ArgumentType.LONG: _NumberKind(64, is_signed=True),
    ArgumentType.ULONG: _NumberKind(64, is_signed=False),
    ArgumentType.SIZE_T: _NumberKind(64, is_signed=False),
    ArgumentType.BPF_CMD: _NumberKind(32, is_signed=False),
    ArgumentType.CAPABILITY: _NumberKind(32, is_signed=False),
    ArgumentType.SYSCALL64: _NumberKind(64, is_signed=False),
    **dict.fromkeys(_CAPABILITY_SETS, _NumberKind(64, is_signed=False)),
}
_STRINGS = (
    *(ArgumentType.STRING, ArgumentType.CHAR_BUF, ArgumentType.CHAR_IOVEC),
    *(ArgumentType.FILENAME, ArgumentType.DENTRY, ArgumentType.KIOCB),
    *(ArgumentType.LINUX_BINPRM, ArgumentType.DATA_LOC),
)
_FILES = (ArgumentType.FILE, ArgumentType.PATH, ArgumentType.FD)
_KINDS = {
    **dict.fromkeys(_NUMBERS, TypeKind.NUMBER),
    **dict.fromkeys(_CAPABILITY_SETS, TypeKind.CAPABILITIES),
    **dict.fromkeys(_STRINGS, TypeKind.STRING),
    **dict.fromkeys(_FILES, TypeKind.FILE),
    ArgumentType.AUTO: TypeKind.AUTO,
    ArgumentType.NET_DEVICE: TypeKind.DEVICE,
    ArgumentType.SKB: TypeKind.SKB,
    ArgumentType.SOCK: TypeKind.SOCK,
    ArgumentType.SOCKET: TypeKind.SOCK,
    ArgumentType.SOCKADDR: TypeKind.SOCKADDR,
    ArgumentType.SOCKADDR_UN: TypeKind.SOCKADDR_UN,
}
_ALIASES = {"unsigned long": ArgumentType.ULONG}


class DataSource(StrEnum):
    """Where an entry of `data` begins."""

    CURRENT_TASK = "current_task"
    PT_REGS = "pt_regs"


_RESOLVE = re.compile(r"[A-Za-z_]\w*(\[\d{1,9}\])*(\.[A-Za-z_]\w*(\[\d{1,9}\])*)*")


def _check_resolve(value: str) -> str:
    if len(value) > 1024 or not _RESOLVE.fullmatch(value):
        raise PolicyValueError(
            f"{quote(value)} is no attribute path", "write it like mm.exe_file.f_flags"
        )
    if value.count(".") + 1 > RESOLVE_STEPS_MAX:
        raise PolicyValueError(f"has more than {RESOLVE_STEPS_MAX} steps")
    return value


def _check_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][\w.-]{0,127}", value, re.ASCII):
        raise PolicyValueError(f"{quote(value)} is no name in BTF")
    return value


_Type = Annotated[ArgumentType, spelled(ArgumentType, "argument type", _ALIASES)]
_Source = Annotated[DataSource, spelled(DataSource, "source")]
_BtfName = Annotated[Text, AfterValidator(_check_name)]


class Argument(Model):
    """One captured value; filters name it by position or by its `index`."""

    index: Number = Field(ge=0, le=_INDEX_MAX)
    #: Overridden by the last type in BTF where `resolve` is given.
    type: _Type = ArgumentType.AUTO
    source: _Source | None = None
    resolve: Annotated[Text, AfterValidator(_check_resolve)] | None = None
    btf_type: _BtfName | None = None
    btf_type_module: _BtfName | None = None
    #: The argument that holds the size, counted from 1; 0: none.
    size_arg_index: Number = Field(0, ge=0, le=15)
    return_copy: Flag = False
    max_data: Flag = False
    label: Text = ""

    @property
    def declared_type(self) -> ArgumentType:
        """The type that values can be judged by before the kernel was asked."""
        return ArgumentType.AUTO if self.resolve else self.type

    @property
    def is_captured(self) -> bool:
        """False for one that only takes a place."""
        return self.type is not ArgumentType.NOP or bool(self.resolve)


class DataArgument(Argument):
    """An entry of `data`: its `index` means nothing."""

    index: Number = Field(0, ge=0, le=_INDEX_MAX)


class ReturnArgument(Argument):
    """The value that a function returns."""

    index: Number = Field(0, ge=0, le=_INDEX_MAX)
