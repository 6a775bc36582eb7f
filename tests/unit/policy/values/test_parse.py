# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.policy.values.parse: what operators compare with."""

from __future__ import annotations

import stat
from ipaddress import ip_network

import pytest

from tetragon_py.policy.diagnostic import Cause, PolicyValueError
from tetragon_py.policy.model.arguments import ArgumentType
from tetragon_py.policy.model.operators import OPERATORS, Operator
from tetragon_py.policy.values.cel import CelExpression
from tetragon_py.policy.values.integers import IntRange
from tetragon_py.policy.values.parse import parse_values


@pytest.mark.parametrize(
    ("operator", "kind", "values", "expected"),
    [
        ("Equal", "string", ["a", "b\0", ""], (b"a", b"b", b"")),
        ("Equal", "char_buf", ["b\0"], (b"b\0",)),
        ("NotEqual", "net_device", ["lo"], (b"lo",)),
        ("Prefix", "file", ["/\u00e9"], (b"/\xc3\xa9",)),
        ("Postfix", "linux_binprm", ["x" * 248], (b"x" * 248,)),
        ("Equal", "path", ["x" * 4096], (b"x" * 4096,)),
        ("SubString", "string", ["Ab"], (b"Ab",)),
        ("SubStringIgnCase", "string", ["Ab"], (b"ab",)),
        ("DAddr", "sock", ["127.0.0.1/8", "::1"], ("127.0.0.0/8", "::1/128")),
        ("NotSAddr", "sockaddr", ["10.0.0.1"], ("10.0.0.1/32",)),
        ("DPort", "skb", ["53", "0x50:90"], (53, IntRange(80, 90))),
        ("SPortPriv", "sock", [], ()),
        ("NotDPortPriv", "skb", [], ()),
        ("Protocol", "sock", ["IPPROTO_TCP", "udp", "132"], (6, 17, 132)),
        ("Family", "sockaddr_un", ["AF_UNIX", "inet6", "2"], (1, 10, 2)),
        ("State", "socket", ["TCP_LISTEN", "established", "3"], (10, 1, 3)),
        ("FileType", "file", ["sock", "Socket"], (stat.S_IFSOCK, stat.S_IFSOCK)),
        ("NotFileType", "path", ["lnk", "link"], (stat.S_IFLNK, stat.S_IFLNK)),
        ("FileType", "fd", ["fifo", "PIPE"], (stat.S_IFIFO, stat.S_IFIFO)),
        ("CapabilitiesGained", "cap_effective", [], ()),
        ("CelExpr", "int", ["arg0 > 1"], (CelExpression("arg0 > 1", (0,)),)),
        ("Equal", "auto", ["anything"], (b"anything",)),
        ("DAddr", "auto", ["10.0.0.0/8"], ("10.0.0.0/8",)),
    ],
)
def test_values(operator, kind, values, expected):
    """Each operator has its own kind of value."""
    parsed = parse_values(Operator(operator), ArgumentType(kind), values)

    assert parsed == tuple(
        ip_network(value) if isinstance(value, str) else value for value in expected
    )


@pytest.mark.parametrize(
    ("operator", "kind", "values", "index", "message", "hint"),
    [
        ("Prefix", "int", ["a"], None, "Prefix does not work on type int", "it takes "),
        ("GT", "string", ["1"], None, "GT does not work on type string", "it takes "),
        ("SAddr", "file", ["::"], None, "SAddr does not work on type file", "it takes"),
        ("DAddr", "sockaddr", ["::"], None, "DAddr does not work on", "it takes"),
        ("State", "skb", ["1"], None, "State does not work on", "it takes"),
        ("FileType", "string", ["reg"], None, "FileType does not work on", "it takes"),
        ("Postfix", "sockaddr_un", ["a"], None, "Postfix does not work", "it takes"),
        ("Equal", "nop", ["a"], None, "Equal does not", "it cannot be filtered"),
        ("In", "auto", ["a"], None, "In does not work on type auto", "it takes"),
        ("Equal", "int", [], None, "Equal needs at least one value", ""),
        ("SPortPriv", "sock", ["1"], None, "SPortPriv takes no values", "remove them"),
        ("CelExpr", "int", ["1", "2"], None, "CelExpr takes one", "join them with &&"),
        ("Prefix", "file", ["/", ""], 1, "is empty and would match everything", ""),
        ("Prefix", "file", ["\0"], 0, "is empty and would match everything", ""),
        ("Prefix", "file", ["x" * 249], 0, "is longer than 248 bytes", "tables of"),
        ("Equal", "file", ["x" * 4097], 0, "is longer than 4096 bytes", "nothing"),
        ("Equal", "string", ["a\0b"], 0, r"'a\x00b' has a zero byte inside", ""),
        ("Equal", "string", ["\ud800"], 0, r"'\ud800' is no UTF-8 text", ""),
        ("DAddr", "sock", ["::1", "fe80::1%eth0"], 1, "'fe80::1%eth0' is no", "write"),
        ("DAddr", "sock", ["1.2.3.4/33"], 0, "'1.2.3.4/33' is no address", "write it"),
        ("DAddr", "sock", [":" * 99], 0, "'", "write it"),
        ("DAddr", "sock", ["${NET}"], 0, "'${NET}' is no", "fill in the placeholder"),
        ("DPort", "sock", ["65536"], 0, "'65536' is no port", "0 to 65535"),
        ("DPort", "sock", ["90:80"], 0, "'90:80' is empty", "write 80:90"),
        ("Protocol", "sock", ["TCPP"], 0, "'TCPP' is no protocol", "did you mean"),
        ("Protocol", "sock", ["65536"], 0, "'65536' is no protocol", "0 to 65535"),
        ("Family", "sock", ["-1"], 0, "'-1' is no address family", ""),
        ("State", "sock", ["LISTENING"], 0, "'LISTENING' is no TCP state", "did you"),
        ("FileType", "file", ["directry"], 0, "'directry' is no file type", "did you"),
        ("CelExpr", "int", ["arg0 * 2"], 0, "'* 2' is no part of an expression", ""),
    ],
)
def test_refused(operator, kind, values, index, message, hint):
    """A wrong value is told by position, message and hint."""
    with pytest.raises(PolicyValueError) as caught:
        parse_values(Operator(operator), ArgumentType(kind), values)

    assert caught.value.index == index
    assert caught.value.message.startswith(message)
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize(
    ("value", "cause"),
    [("${NET}", Cause.PLACEHOLDER), ("$NET", Cause.MISTAKE)],
)
def test_cause(value, cause):
    """A placeholder is right once it is filled in."""
    with pytest.raises(PolicyValueError) as caught:
        parse_values(Operator.DADDR, ArgumentType.SOCK, [value])

    assert caught.value.cause is cause


def test_negative_forms_read_the_same_values():
    """Not... compares with the same values as its positive form."""
    samples = {"InRange": "1:2", "FileType": "reg", "SAddr": "::", "DAddr": "::"}
    for kind in ArgumentType:
        for operator in OPERATORS[kind.kind]:
            if operator.is_negative and operator.takes_values:
                values = [samples.get(operator.positive, "1")]

                assert parse_values(operator, kind, values) == parse_values(
                    operator.positive, kind, values
                )
