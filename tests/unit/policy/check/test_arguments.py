# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.policy.check.arguments: rules for args, data, returnArg."""

from __future__ import annotations

import pytest

from tests.unit.policy.texts import check_refused, said_of


def test_refused():
    """Each broken rule is told with its place and a hint."""
    check_refused("check-arguments")


@pytest.mark.parametrize(
    "hook",
    [
        "{call: f, args: [{index: 5, type: int}]}",
        "{call: f, args: [{index: 0, resolve: a.b}]}",
        "{call: f, args: [{index: 1, type: char_buf, sizeArgIndex: 3}]}",
        "{call: f, args: [{index: 1, type: char_buf, resolve: comm}]}",
        "{call: f, args: [{index: 0, type: iov_iter, maxData: true}]}",
        "{call: f, data: [{source: pt_regs, resolve: rdi, type: uint64}]}",
        "{call: f, data: [{index: 9, source: current_task, resolve: cred.uid.val}]}",
        "{call: f, return: true, returnArg: {type: sock}, returnArgAction: tracksock}",
        "{call: f, return: true, returnArg: {type: int},"
        " args: [{index: 1, type: char_buf, returnCopy: true}]}",
    ],
)
def test_accepted(hook):
    """What the rules allow draws nothing."""
    assert said_of(f"kprobes: [{hook}]") == []
    assert said_of(f"fentries: [{hook}]") == []
