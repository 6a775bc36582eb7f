# SPDX-License-Identifier: Apache-2.0
"""How types are read: the part of a plan that follows from the type alone."""

from __future__ import annotations

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.capture.forms import (
    Reading,
    is_number,
    narrow,
    needs_kernel_struct,
    reading,
)
from tetragon_py.policy.model.arguments import ArgumentType


def test_numbers_have_the_width_that_policies_compare():
    """Values are parsed for as many bits as are captured, with the same sign."""
    signed = range(c.ARGUMENT_INT32, c.ARGUMENT_INT8 + 1)
    for kind in ArgumentType:
        if is_number(kind):
            found = reading(kind, is_user=False)

            assert kind.bits == 8 * found.size
            is_signed = found.type in signed or found.type == c.ARGUMENT_INT64
            assert kind.is_signed is is_signed


def test_short_numbers_keep_their_sign():
    """A type that is wider than its value would read a negative one as positive."""
    assert narrow(ArgumentType.LONG, 2) == Reading(c.ARGUMENT_INT16, size=2)
    assert narrow(ArgumentType.ULONG, 2) == Reading(c.ARGUMENT_UINT64, size=2)
    assert narrow(ArgumentType.INT, 8) == Reading(c.ARGUMENT_INT32, size=4)


def test_only_memory_of_the_process_differs():
    """What lies in the kernel is read alike wherever its address came from."""
    for kind in ArgumentType:
        if kind not in {ArgumentType.AUTO, ArgumentType.NOP}:
            user, kernel = (reading(kind, is_user=u) for u in (True, False))

            assert user == kernel or (user.form, kernel.form) == (
                c.FORM_USER,
                c.FORM_KERNEL,
            )
            assert not (needs_kernel_struct(kind) and user != kernel)
