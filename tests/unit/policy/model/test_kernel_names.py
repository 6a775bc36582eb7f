# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.policy.model.kernel_names: names and the kernel's numbers."""

from __future__ import annotations

import socket

import pytest

from tetragon_py.policy.diagnostic import PolicyValueError
from tetragon_py.policy.model.kernel_names import (
    CAPABILITIES,
    FAMILIES,
    FILE_TYPES,
    PROTOCOLS,
    STATES,
    look_up,
)


def test_capabilities():
    """The numbers are those of the kernel's header."""
    assert len(CAPABILITIES) == 41
    picked = ("CHOWN", "KILL", "NET_RAW", "SYS_ADMIN", "BPF", "CHECKPOINT_RESTORE")
    assert [CAPABILITIES[name] for name in picked] == [0, 5, 13, 21, 39, 40]


def test_families():
    """The numbers are those that the C library has."""
    known = {
        name: number
        for name, number in FAMILIES.items()
        if hasattr(socket, f"AF_{name}")
    }

    assert len(known) > 20
    assert known == {name: getattr(socket, f"AF_{name}") for name in known}


def test_protocols():
    """The numbers are those that the C library has."""
    known = [name for name in PROTOCOLS if hasattr(socket, f"IPPROTO_{name}")]

    assert len(known) > 15
    for name in known:
        assert PROTOCOLS[name] == getattr(socket, f"IPPROTO_{name}")


def test_states():
    """The numbers are those of the kernel's header."""
    assert (STATES["ESTABLISHED"], STATES["LISTEN"], STATES["CLOSING"]) == (1, 10, 11)


@pytest.mark.parametrize("text", ["CAP_DAC_OVERRIDE", "DAC_OVERRIDE", "dac_override"])
def test_look_up(text):
    """The prefix may be left out, and case does not count."""
    assert look_up(CAPABILITIES, text, "capability", "CAP_") == 1


@pytest.mark.parametrize(
    ("table", "text", "prefix", "hint"),
    [
        (CAPABILITIES, "CAP_SYS_ADMN", "CAP_", "did you mean 'CAP_SYS_ADMIN'?"),
        (CAPABILITIES, "SYSADMIN", "CAP_", "did you mean 'CAP_SYS_ADMIN'?"),
        (FILE_TYPES, "sokcet", "", "did you mean 'socket'?"),
        (FILE_TYPES, "zzz", "", ""),
    ],
)
def test_unknown(table, text, prefix, hint):
    """An unknown name is told with the nearest one in its usual spelling."""
    with pytest.raises(PolicyValueError) as caught:
        look_up(table, text, "name", prefix)

    assert (caught.value.message, caught.value.hint) == (f"{text!r} is no name", hint)
