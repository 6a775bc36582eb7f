# SPDX-License-Identifier: Apache-2.0
"""Filters on sockets and files: the tables say what the operators mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.compiler.evaluate import address_holds
from tests.unit.compiler.fake_target import FakeTarget
from tests.unit.compiler.interpret import (
    Hit,
    matches,
    number,
    path,
    sock,
)
from tests.unit.compiler.policies import compiled, kprobe, one_hook, problem
from tests.unit.compiler.random_policies import compare, policies

NETWORKS = (
    *("10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "0.0.0.0/0", "192.168.0.0/24"),
    *("::/0", "fd00::/8", "fd00::1", "::ffff:10.1.0.0/112"),
)
ADDRESSES = (
    *("10.1.2.3", "10.9.9.9", "192.168.0.7", "8.8.8.8"),
    *("fd00::1", "fd00::2", "2001:db8::1", "::ffff:10.1.2.3", "::ffff:8.8.8.8"),
)


@given(
    policies(
        st.fixed_dictionaries(
            {
                "index": st.just(0),
                "operator": st.sampled_from(("SAddr", "NotSAddr", "DAddr", "NotDAddr")),
                "values": st.lists(st.sampled_from(NETWORKS), min_size=1, max_size=3),
            }
        )
    ),
    st.sampled_from(ADDRESSES) | st.none(),
)
def test_addresses(specs, address):
    """Networks inside of networks, of both versions, and other sockets."""
    value = sock(family=1) if address is None else sock(address, address)

    compare(
        specs,
        [{"index": 0, "type": "sock"}],
        {0: value},
        lambda entry: address_holds(entry, address),
    )


def holds_port(entry, ports, protocol, state):
    operator = entry["operator"].removeprefix("Not")
    is_negative = operator != entry["operator"]
    if operator in {"Protocol", "State"}:
        return str(protocol if operator == "Protocol" else state) in entry["values"]
    port = ports[operator.startswith("D")]
    if operator.endswith("Priv"):
        return (port < 1024) is not is_negative
    ranges = [text.partition(":") for text in entry["values"]]
    found = any(int(low) <= port <= int(high or low) for low, _, high in ranges)
    return found is not is_negative


PORT_ENTRY = st.one_of(
    st.fixed_dictionaries(
        {
            "operator": st.sampled_from(("SPort", "NotSPort", "DPort", "NotDPort")),
            "values": st.lists(
                st.sampled_from(("0", "22", "443", "1000:2000", "65535")), min_size=1
            ),
        }
    ),
    st.fixed_dictionaries(
        {
            "operator": st.sampled_from(
                ("SPortPriv", "NotSPortPriv", "DPortPriv", "NotDPortPriv")
            )
        }
    ),
    st.fixed_dictionaries(
        {
            "operator": st.sampled_from(("Protocol", "State")),
            "values": st.lists(st.sampled_from(("1", "6", "17")), min_size=1),
        }
    ),
).map(lambda entry: {"index": 0} | entry)
PORTS = st.sampled_from((0, 22, 23, 443, 1000, 1023, 1024, 2000, 2001, 65535))


@given(policies(PORT_ENTRY), st.tuples(PORTS, PORTS), st.sampled_from((1, 6, 17)))
def test_ports_protocol_and_state(specs, ports, protocol):
    """Each is a number at its own place in the captured socket."""
    value = sock(ports=ports, protocol=protocol, state=1)

    compare(
        specs,
        [{"index": 0, "type": "sock"}],
        {0: value},
        lambda entry: holds_port(entry, ports, protocol, 1),
    )


# ---- the rest ----


@pytest.mark.parametrize(
    ("mode", "kinds"),
    [(0o100644, {"reg", "any"}), (0o140777, {"sock", "any"}), (0o040000, {"dir"})],
)
def test_types_of_files(mode, kinds):
    """Permissions do not matter; NotFileType is all other types."""
    wanted = {
        "reg": ["reg"],
        "sock": ["socket"],
        "dir": ["dir"],
        "any": ["reg", "sock"],
    }
    hook, classes = one_hook(
        *(
            {"matchArgs": [{"index": 0, "operator": operator, "values": values}]}
            for values in wanted.values()
            for operator in ("FileType", "NotFileType")
        )
    )

    found = [number for *_, number in matches(hook, classes, Hit({0: path(b"", mode)}))]
    assert found == [2 * n + (name not in kinds) for n, name in enumerate(wanted)]


def test_numbers_of_a_list():
    """InMap compares with the numbers of the list; 32-bit calls have their mark."""
    plan = compiled(
        {
            "lists": [
                {
                    "name": "dups",
                    "type": "syscalls",
                    "values": ["sys_dup", "i386/sys_dup", "__x64_sys_dup2"],
                }
            ],
            "tracepoints": [
                {
                    "subsystem": "raw_syscalls",
                    "event": "sys_enter",
                    "args": [{"index": 4, "type": "syscall64"}],
                    "selectors": [
                        {
                            "matchArgs": [
                                {"index": 4, "operator": "InMap", "values": values}
                            ]
                        }
                        for values in (["list:dups"], ["list:dups", "257"])
                    ],
                }
            ],
        }
    )
    [hook] = plan.hooks

    found = {
        call: [n for *_, n in matches(hook, plan.classes, Hit({0: number(call)}))]
        for call in (32, 33, 34, 257, 41, 1 << 31 | 41)
    }
    assert found == {32: [0, 1], 33: [0, 1], 34: [], 257: [1], 41: []} | {
        1 << 31 | 41: [0, 1]
    }


def test_capabilities_gained():
    """A bit that is new; both sets must be known."""
    hook, classes = one_hook(
        {"matchArgs": [{"args": [0, 1], "operator": "CapabilitiesGained"}]},
        call="capset_hook",
        args=[
            {"index": 2, "type": "cap_effective"},
            {"index": 2, "type": "cap_permitted"},
        ],
    )

    def is_match(new, old):
        return bool(matches(hook, classes, Hit({0: new, 1: old})))

    assert is_match(number(0b110), number(0b010))
    assert not is_match(number(0b010), number(0b110))
    assert not is_match(number(0b110), None)
    assert not is_match(None, number(0))


@pytest.mark.parametrize(
    ("argument", "entry", "expected"),
    [
        (
            {"index": 0, "type": "char_buf", "sizeArgIndex": 2},
            {"operator": "NotPrefix", "values": ["a", "b\0"]},
            (".values[1]", "a prefix cannot end with a zero byte"),
        ),
        (
            {"index": 0, "type": "file"},
            {"operator": "SubString", "values": ["x" * 200] * 12},
            ("", "the texts have more than 2047 bytes together"),
        ),
        (
            {"index": 1, "type": "auto", "resolve": "f_flags", "btfType": "file"},
            {"operator": "Prefix", "values": ["x"]},
            (".operator", "Prefix does not work on type uint32"),
        ),
        (
            {"index": 1, "type": "auto", "resolve": "f_flags", "btfType": "file"},
            {"operator": "Equal", "values": ["1", "one"]},
            (".values[1]", "'one' is no whole number"),
        ),
        (
            {"index": 1, "type": "int"},
            {"operator": "CelExpr", "values": ["arg0 == 1"]},
            (".operator", "CelExpr cannot run in this release"),
        ),
    ],
)
def test_what_cannot_be_compared(argument, entry, expected):
    """The operator or the value is named that does not fit."""
    where = {} if entry["operator"] == "CelExpr" else {"args": [0]}
    spec = {"kprobes": [kprobe([{"matchArgs": [where | entry]}], args=[argument])]}

    place, message, _ = problem(spec)
    assert (
        place.removeprefix("spec.kprobes[0].selectors[0].matchArgs[0]"),
        message,
    ) == expected


def test_long_texts_need_the_kernel():
    """Where keys of hashes end at 512 bytes, longer texts are refused, not missed."""
    entry = {"index": 0, "operator": "Equal", "values": ["/a", "/" + "b" * 500]}
    spec = {"kprobes": [kprobe([{"matchArgs": [entry]}])]}
    compiled(spec)

    _, message, hint = problem(spec, FakeTarget(text_bytes_max=472))
    assert message == "is longer than 472 bytes"
    assert hint == "this kernel compares no longer texts"
