# SPDX-License-Identifier: Apache-2.0
"""Numbers become the words of Tetragon's API; unknown ones stay numbers."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tetragon_py.encode.names import (
    bit_names,
    capability_names,
    securebit_names,
    signal_name,
)

HEADERS = Path("/usr/include/linux")


@pytest.mark.parametrize("number", signal.Signals)
def test_signals_are_the_systems(number):
    """Each signal that the system names has that name."""
    if number < signal.SIGRTMIN:
        assert number.name == signal_name(number)


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (9, "SIGKILL"),
        (32, "SIG32"),
        (33, "SIG33"),
        (34, "SIGRTMIN"),
        (35, "SIGRTMIN+1"),
        (64, "SIGRTMIN+30"),
        (65, "SIG65"),
        (127, "SIG127"),
    ],
)
def test_other_signals(number, name):
    """Real-time signals count from the first one, all others are numbers."""
    assert name == signal_name(number)


@pytest.mark.skipif(not HEADERS.exists(), reason="no kernel headers")
def test_capabilities_are_the_kernels():
    """Number by number the kernel's names, but for the API's own DAC_OVERRIDE."""
    text = (HEADERS / "capability.h").read_text()
    defines = re.findall(r"^#define (CAP_\w+)\s+(\d+)$", text, re.MULTILINE)
    kernel = {int(number): name for name, number in defines}
    kernel[1] = "DAC_OVERRIDE"

    assert len(kernel) >= 38
    for number, name in kernel.items():
        assert [name] == capability_names(1 << number)


def test_sets_are_listed_from_the_lowest_bit():
    """A set names its members in order; a bit without a name is its number."""
    assert capability_names(0) == []
    assert capability_names(1 << 21 | 1) == ["CAP_CHOWN", "CAP_SYS_ADMIN"]
    assert capability_names(1 << 40 | 1 << 41 | 1 << 63) == [
        *("CAP_CHECKPOINT_RESTORE", "41", "63")
    ]
    assert len(capability_names(2**41 - 1)) == 41


def test_securebits():
    """Securebits have the words of the API."""
    assert securebit_names(0) == []
    assert securebit_names(0b10_0001) == ["SecBitNoRoot", "SecBitKeepCapsLocked"]
    assert securebit_names(1 << 8) == ["8"]


def test_bit_names():
    """Any table of names works, the empty one too."""
    assert bit_names(0b101, ("a", "b")) == ["a", "2"]
    assert bit_names(1, ()) == ["0"]
