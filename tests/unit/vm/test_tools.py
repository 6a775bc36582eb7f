# SPDX-License-Identifier: Apache-2.0
"""Tests of tests.vm.tools: which accelerator is chosen, and what follows from it."""

from __future__ import annotations

import pytest

from tests.vm.tools import Tools, choose_acceleration

INTEL = "processor : 0\nflags\t\t: fpu vmx ssse3\n"
NONE = "processor : 0\nflags\t\t: fpu ssse3 vmxish\n"


@pytest.mark.parametrize(
    ("processors", "can_use_kvm", "chosen"),
    [
        (INTEL, True, "kvm"),
        (INTEL.replace("vmx", "svm"), True, "kvm"),
        (INTEL, False, "tcg"),
        (NONE, True, "tcg"),
        (NONE, False, "tcg"),
    ],
)
def test_acceleration(processors, can_use_kvm, chosen):
    """KVM where it is complete, else emulation, with the reason."""
    acceleration, reason = choose_acceleration(processors, can_use_kvm=can_use_kvm)

    assert acceleration.split(",")[0] == chosen
    assert reason


def test_emulation_is_slow():
    """Deadlines grow where code is emulated."""
    emulated, native = Tools((), "tcg,thread=multi"), Tools((), "kvm")

    assert emulated.slowness > native.slowness
    assert (emulated.processor, native.processor) == ("max,la57=off", "host")
