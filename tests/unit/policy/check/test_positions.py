# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.policy.check.positions: which argument a filter means."""

from __future__ import annotations

import pytest

from tests.unit.policy.texts import check_refused, read_hook
from tetragon_py.policy.check.positions import argument_positions, data_positions
from tetragon_py.policy.model.hooks import KprobeHook


def test_refused():
    """What cannot be told apart is refused with both readings."""
    check_refused("check-positions")


@pytest.mark.parametrize(
    ("hook", "entry", "expected"),
    [
        ("kprobes: [{call: f", "index: 3", (1,)),
        ("kprobes: [{call: f", "args: [0]", (0,)),
        ("kprobes: [{call: f", "index: 3, args: [0]", (0,)),
        ("tracepoints: [{subsystem: s, event: e", "index: 3", (1,)),
        ("tracepoints: [{subsystem: s, event: e", "index: 0", (0,)),
        ("tracepoints: [{subsystem: s, event: e", "index: 2", (2,)),
    ],
)
def test_arguments(hook, entry, expected):
    """`args` are positions; `index` is the argument's own, or one on tracepoints."""
    args = "args: [{index: 4, type: int}, {index: 3, type: int}, {index: 2, type: int}]"
    filters = f"matchArgs: [{{{entry}, operator: Equal, values: ['1']}}]"
    read = read_hook(f"{hook}, {args}, selectors: [{{{filters}}}]}}]")

    assert argument_positions(read, read.selectors[0].match_args[0]) == expected


def test_data():
    """Entries of data are counted; what stands in their `index` means nothing."""
    read = read_hook(
        """
        kprobes:
        - call: f
          data:
          - {index: 1, source: current_task, resolve: pid}
          - {index: 0, source: current_task, resolve: tgid}
          selectors:
          - matchData:
            - {index: 0, operator: Equal, values: ['1']}
            - {args: [1], operator: Equal, values: ['1']}
        """
    )

    assert isinstance(read, KprobeHook)
    assert [
        data_positions(read.data, entry) for entry in read.selectors[0].match_data
    ] == [(0,), (1,)]
