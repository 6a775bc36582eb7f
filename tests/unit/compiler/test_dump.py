# SPDX-License-Identifier: Apache-2.0
"""Golden plans: small policies, and what becomes of them, as text.

`TETRAGON_GOLDEN=write` writes the texts anew: read the difference before it is kept.
"""

from __future__ import annotations

import os

import pytest

from tests.unit.compiler.fake_target import FakeTarget
from tests.unit.compiler.policies import DATA, compiled, kprobe, load_yaml
from tetragon_py.compiler.compilation import compile_policies
from tetragon_py.compiler.dump import dump_plan
from tetragon_py.compiler.plan import Plan

POLICIES = sorted(DATA.glob("*.yaml"))


def compile_text(file):
    """What is said about the policies of a file, and their plan."""
    target = FakeTarget(features=frozenset({"lsm"}))
    result = compile_policies(load_yaml(file.read_text(), file.name), target)
    said = "".join(f"{diagnostic}\n" for diagnostic in result.diagnostics)
    return "\n".join(filter(None, (said, dump_plan(result.plan))))


@pytest.mark.parametrize("file", POLICIES, ids=lambda file: file.stem)
def test_plan_is_as_written_down(file):
    """The text beside the policy has every slot, row and vector of its plan."""
    golden = file.with_suffix(".txt")
    found = compile_text(file)
    if os.environ.get("TETRAGON_GOLDEN") == "write":
        golden.write_text(found)

    assert golden.read_text() == found


def test_the_same_policies_give_the_same_text():
    """Nothing depends on the order of sets or on earlier compilations."""
    file = DATA / "shared_point.yaml"

    assert compile_text(file) == compile_text(file)
    assert dump_plan(Plan()) == ""


def test_many_selectors_are_named_by_what_is_missing():
    """A vector of nearly all is shown by the others."""
    selectors = [
        {"matchArgs": [{"index": 1, "operator": "NotEqual", "values": [f"{n}"]}]}
        for n in range(4)
    ]
    text = dump_plan(compiled({"kprobes": [kprobe(selectors)]}))

    assert "    from 2: all but p0#2\n    from 3: all but p0#3\n" in text
