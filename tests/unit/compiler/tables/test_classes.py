# SPDX-License-Identifier: Apache-2.0
"""Classes: one number per process that answers for all hooks."""

from __future__ import annotations

from tetragon_py.abi import _generated as c
from tetragon_py.compiler.plan import ClassPlan
from tetragon_py.compiler.selectors.conditions import Followed
from tetragon_py.compiler.tables.classes import Classes
from tetragon_py.compiler.tables.patterns import Alternatives, PatternTable


def test_classes_are_numbered_by_their_patterns():
    """Class 0 is no pattern at all; patterns of followed sets have classes too."""
    init = Followed(binaries=frozenset((b"/init\0",)))
    pids = Followed(pids=frozenset((7, 9)))
    both = Followed(binaries=frozenset((b"/init\0", b"/x\0")))
    classes = Classes([b"/i", b"/a\0"], [b"hs"], {init: 0, pids: 1, both: 2})

    assert classes.plan() == ClassPlan(
        begins=((b"/a\0", 1), (b"/i", 2), (b"/init\0", 3), (b"/x\0", 4)),
        ends=((b"hs", 1),),
        begin_follows=(0, 0, 0, 0b101, 0b100),
        end_follows=(0, 0),
        pids=((7, 0b010), (9, 0b010)),
    )


def test_a_class_stands_for_all_shorter_patterns():
    """Also where the hook asks only for one of those."""
    classes = Classes([b"/b", b"/bin/", b"/bin/sh\0"], [b"h", b"hs"], {})
    asked = PatternTable([(1, [Alternatives((b"/bin/",))])], 0b11)
    refused = PatternTable([(1, [Alternatives((b"h",), is_negative=True)])], 0b11)

    assert classes.rows(c.BINARY_PARENT_BEGIN, asked) == (
        (0, 0b10),
        (1, 0b10),
        (2, 0b11),
        (3, 0b11),
    )
    assert classes.rows(c.BINARY_END, refused) == ((0, 0b11), (1, 0b10), (2, 0b10))


def test_no_policies_no_classes():
    """The empty plan is the default one."""
    assert Classes([], [], {}).plan() == ClassPlan()
