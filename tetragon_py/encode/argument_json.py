# SPDX-License-Identifier: Apache-2.0
"""One captured argument as Tetragon's JSON.

What its form (the head) says is made once, as a text with one %-conversion for the
value. Numbers go into it as they are, other values through a writer, which gives one
member of an object: `"key":value`.
"""

from __future__ import annotations

import binascii
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from tetragon_py.abi import _generated as c
from tetragon_py.encode.argument_objects import OBJECT_WRITERS, member
from tetragon_py.encode.file_text import device_text, permission_text, shown_path
from tetragon_py.encode.kernel_names import (
    BPF_COMMANDS,
    capability_name,
    error_name,
    open_flag_names,
)
from tetragon_py.encode.process_details import capability_sets, credentials_object
from tetragon_py.encode.syscall_names import split_syscall
from tetragon_py.encode.text import json_string, json_value
from tetragon_py.events.hook import HEAD_FAILED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tetragon_py.events.hook import (
        BufferValue,
        CredentialsValue,
        PathValue,
        ReadError,
        UserNamespaceValue,
        WordsValue,
    )

__all__ = ["ArgumentForm", "ArgumentJson", "constant"]

_Writer: TypeAlias = "Callable[[Any], bytes]"

_NUMBERS: Final = {
    **dict.fromkeys(
        (c.ARGUMENT_INT32, c.ARGUMENT_INT16, c.ARGUMENT_INT8), b'"int_arg":%d'
    ),
    **dict.fromkeys(
        (c.ARGUMENT_UINT32, c.ARGUMENT_UINT16, c.ARGUMENT_UINT8), b'"uint_arg":%d'
    ),
    c.ARGUMENT_INT64: b'"long_arg":"%d"',
    c.ARGUMENT_UINT64: b'"size_arg":"%d"',
    c.ARGUMENT_KERNEL_CAP: b'"kernel_cap_t_arg":"%016x"',
    c.ARGUMENT_CAP_INHERITABLE: b'"cap_inheritable_arg":"%016x"',
    c.ARGUMENT_CAP_PERMITTED: b'"cap_permitted_arg":"%016x"',
    c.ARGUMENT_CAP_EFFECTIVE: b'"cap_effective_arg":"%016x"',
}
_FILES: Final = {
    c.ARGUMENT_FILE: b"file_arg",
    c.ARGUMENT_PATH: b"path_arg",
    c.ARGUMENT_DENTRY: b"path_arg",
    c.ARGUMENT_LINUX_BINPRM: b"linux_binprm_arg",
}


#: Types of a policy that are shown as text.
_TEXTS: Final = frozenset(("string", "filename"))


class ArgumentForm(NamedTuple):
    """How arguments of one head are shown."""

    text: bytes  # an object with one conversion, or none
    has_value: bool
    writer: _Writer | None  # None: the value itself


def constant(value: object) -> bytes:
    """JSON of what a policy says, as a part of a text with conversions."""
    if isinstance(value, str):  # may hold surrogates
        value = value.encode("utf-8", "replace").decode()
    return json_value(value).replace(b"%", b"%%")


class ArgumentJson:
    """Makes the forms for one configuration.

    Args:
        host_user_namespace: Inode number of that of process 1.
        extended: Adds what Tetragon has no keys for.
    """

    def __init__(self, host_user_namespace: int, *, extended: bool) -> None:
        self._host_user_namespace = host_user_namespace
        self._extended = extended
        self._writers: dict[int, _Writer] = OBJECT_WRITERS | {
            c.ARGUMENT_SYSCALL64: _syscall,
            c.ARGUMENT_CAPABILITY: _capability,
            c.ARGUMENT_BPF_CMD: _bpf_command,
            c.ARGUMENT_STRING: _string,
            c.ARGUMENT_NET_DEVICE: _string,
            c.ARGUMENT_CRED: self._credentials,
            c.ARGUMENT_USER_NAMESPACE: self._user_namespace,
            **{
                kind: _extended_file(key) if extended else _file(key)
                for kind, key in _FILES.items()
            },
        }

    def form(
        self, head: int, label: str | None, declared: str = ""
    ) -> ArgumentForm | None:
        """How an argument is shown; None: it is not.

        Args:
            head: Of the argument.
            label: What the policy calls it.
            declared: Its type as the policy spells it. Where a text was asked for, the
                kernel side may have taken the file that it names.
        """
        kind = head >> 8 & 0xFF
        is_cut = bool(head >> 16 & c.ARGUMENT_CUT)
        more = b',"label":' + constant(label) if label else b""
        if self._extended and is_cut:
            more += b',"truncated":true'
        if head & HEAD_FAILED:
            return self._failed(head >> 24 & 0xFF, more)
        if kind == c.ARGUMENT_NOP:
            return None
        if kind in _NUMBERS:
            return ArgumentForm(b"{%b%b}" % (_NUMBERS[kind], more), True, None)
        if kind == c.ARGUMENT_CHAR_BUF:
            writer: _Writer = partial(_buffer, is_cut=is_cut)
        elif kind == c.ARGUMENT_CONST_BUF:
            writer = partial(_words, more)
        elif kind in _FILES and declared in _TEXTS:
            writer = _path_text
        else:
            writer = self._writers[kind]
        return ArgumentForm(b"{%%b%b}" % more, True, writer)

    def _failed(self, depth: int, more: bytes) -> ArgumentForm:
        message = "Bad address for basic type"
        if depth:
            message = (
                f"Bad address encountered during resolve dereference at depth {depth}"
            )
        text = b'{"error_arg":{"Message":"%b"}%b' % (message.encode(), more)
        if not self._extended:
            return ArgumentForm(text + b"}", False, None)
        return ArgumentForm(text + b',"error":"%b"}', True, _error)

    def _credentials(self, value: CredentialsValue) -> bytes:
        return b'"process_credentials_arg":%b,"caps":%b,"user_ns":%b}' % (
            credentials_object(value.credentials)[:-1],
            capability_sets(value.credentials),
            self._user_namespace_object(value.user_namespace),
        )

    def _user_namespace(self, value: UserNamespaceValue) -> bytes:
        return b'"user_ns_arg":' + self._user_namespace_object(value)

    def _user_namespace_object(self, value: UserNamespaceValue) -> bytes:
        is_host = value.inum == self._host_user_namespace
        return b'{"level":%d,"uid":%d,"gid":%d,"ns":{"inum":%d%b}}' % (
            *value,
            b',"is_host":true' if is_host else b"",
        )


def _error(value: ReadError) -> bytes:
    return error_name(value.errno).encode()


def _syscall(value: int) -> bytes:
    number, abi = split_syscall(value)
    shown = b'"id":%d,' % number if number else b""
    return b'"syscall_id":{%b"abi":"%b"}' % (shown, abi.encode())


def _capability(value: int) -> bytes:
    name = capability_name(value).encode()
    return b'"capability_arg":{"value":%d,"name":"%b"}' % (value, name)


def _bpf_command(value: int) -> bytes:
    name = BPF_COMMANDS.get(value)
    shown = b'"%b"' % name.encode() if name else b"%d" % value
    return b'"bpf_cmd_arg":' + shown


def _string(value: bytes) -> bytes:
    return b'"string_arg":' + json_string(value)


def _path_text(value: PathValue) -> bytes:
    return _string(shown_path(value))


def _buffer(value: BufferValue, *, is_cut: bool) -> bytes:
    text = binascii.b2a_base64(value.data, newline=False)
    if not is_cut and value.whole_bytes <= len(value.data):
        return b'"bytes_arg":"%b"' % text
    return member(
        "truncated_bytes_arg",
        {"bytes_arg": text.decode(), "orig_size": str(value.whole_bytes or "")},
    )


def _words(more: bytes, value: WordsValue) -> bytes:
    # One argument each; the last one gets what all have in common from the form.
    joint = more.replace(b"%%", b"%") + b"},{"
    texts = [b'"size_arg":"%d"' % word for word in value.words]
    return joint.join(texts) or b'"bytes_arg":""'


def _file(key: bytes) -> _Writer:
    head = b'"%b":{"path":' % key

    def write(value: PathValue) -> bytes:
        _, _, mode, _, flags, path = value
        if flags or not path:
            text = json_string(shown_path(value))
            if flags & c.PATH_CUT:
                text += b',"flags":"unresolvedPathComponents"'
        else:
            text = json_string(path)
        return b'%b%b,"permission":"%b"}' % (head, text, permission_text(mode))

    return write


def _extended_file(key: bytes) -> _Writer:
    plain = _file(key)

    def write(value: PathValue) -> bytes:
        marks: dict[str, object] = {}
        if value.flags & c.PATH_UNREACHABLE:
            marks["unreachable"] = True
        if value.inode:
            marks["inode"] = {"number": str(value.inode)}
            marks["device"] = device_text(value.device)
        if key == b"file_arg":
            marks["open_flags"] = open_flag_names(value.open_flags)
        if not marks:
            return plain(value)
        return b"%b,%b" % (plain(value)[:-1], json_value(marks)[1:])

    return write
