# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.policy.check.filters: filters against their arguments."""

from __future__ import annotations

import pytest

from tests.unit.policy.texts import check_refused, said_of


def test_refused():
    """Each broken rule is told with its place and a hint."""
    check_refused("check-filters")


@pytest.mark.parametrize(
    "entry",
    [
        "{index: 2, operator: Equal, values: [80, '0x50', 010]}",
        "{args: [0], operator: gt, values: [-1]}",
        "{index: 9, args: [0], operator: Mask, values: ['1']}",
        "{operator: CelExpr, values: ['arg0 == 1 && arg1 > 2u']}",
        "{args: [2, 3], operator: CapabilitiesGained}",
        "{args: [2], operator: Equal, values: ['CAP_SYS_ADMIN,CAP_BPF']}",
        "{args: [4], operator: DAddr, values: ['10.0.0.0/8']}",
        "{args: [5], operator: Prefix, values: ['nobody knows the type yet']}",
        "{args: [1], operator: InMap, values: ['list:calls', '1:5']}",
    ],
)
def test_accepted(entry):
    """What the rules allow draws nothing."""
    spec = f"""
        kprobes:
        - call: f
          args:
          - {{index: 2, type: int}}
          - {{index: 0, type: uint64}}
          - {{index: 1, type: cap_effective}}
          - {{index: 3, type: cap_permitted}}
          - {{index: 4, type: sock}}
          - {{index: 5, type: int, resolve: a.b}}
          selectors:
          - matchArgs: [{entry}]
        lists:
        - {{name: calls, type: syscalls, values: [sys_dup]}}
        """

    assert said_of(spec) == []


def test_binaries():
    """Postfix takes any text; long paths fit into In."""
    spec = f"""
        kprobes:
        - call: f
          selectors:
          - matchBinaries:
            - {{operator: Postfix, values: [bash, {"x" * 248}]}}
            - {{operator: In, values: [/{"x" * 4094}], followChildren: true}}
        """

    assert said_of(spec) == []
