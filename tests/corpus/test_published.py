# SPDX-License-Identifier: Apache-2.0
"""Each published policy alone: right, loaded and attached, and it fires.

Or refused for the reason that the table states.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.corpus.attempt import Attempt, run_trigger
from tests.corpus.patterns import policy_body
from tests.corpus.policies import corpus_files, read_example
from tests.corpus.table import EXAMPLES
from tetragon_py.loader.generation import HookError
from tetragon_py.policy.model.options import PolicyMode

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.corpus.example import Example
    from tests.corpus.kernel_side import KernelSide
    from tests.corpus.triggers.system import Place
    from tetragon_py.daemon.judgement import Judgement

#: Why a kernel without kprobes and trampolines refuses: it cannot attach, or functions
#: have been inlined.
_HARDENED = re.compile(r"cannot be attached by|^the kernel has no function")
#: Of what is refused for its time to come.
_LATER = "cannot run in this release"


def test_the_table_has_all_files() -> None:
    """Nothing is left out, nothing stands twice."""
    assert sorted(example.file for example in EXAMPLES) == corpus_files()


def test_most_of_them_fire(
    kernel_name: str, record_property: Callable[[str, object], None]
) -> None:
    """All but a few can run, and most of these are proven on this kernel."""
    later = [e for e in EXAMPLES if _LATER in e.refusal(kernel_name) and not e.on_host]
    proven = [e for e in EXAMPLES if e.fires(kernel_name)]
    if kernel_name == "hardened":
        proven = [e for e in proven if e.native]
    record_property("proven_policies", len(proven))
    assert len(EXAMPLES) - len(later) >= 70
    assert len(proven) >= (10 if kernel_name == "hardened" else 50)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.file)
def test_policy(
    example: Example, kernel_side: KernelSide, kernel_name: str, own_place: Place
) -> None:
    """It loads alone and its trigger makes it fire; or it is refused as stated."""
    judged = _judge(example, kernel_side, kernel_name)
    if judged is None:
        return
    [loaded] = judged.policies
    assert loaded.policy.options.policy_mode is PolicyMode.MONITOR
    if reason := example.unattachable.get(kernel_name):
        with pytest.raises(HookError, match=re.escape(reason)):
            kernel_side.apply(judged)
        return
    switch = kernel_side.apply(judged)
    assert switch.generation == kernel_side.generations.generation
    if not example.fires(kernel_name) or not (example.trigger and example.expect):
        assert example.silent
        return
    pid, told = run_trigger(example.trigger, own_place)
    expected = example.expect(told)
    attempt = Attempt(kernel_side.events, pid, by_anyone=example.by_anyone)
    attempt.wait_for(expected, kernel_side.losses)
    names = {policy_body(event)[1]["policy_name"] for event in attempt.events}
    assert names == {loaded.policy.name}
    assert kernel_side.losses() == []
    if not example.has_others:
        assert attempt.others(expected) == []


def _judge(
    example: Example, kernel_side: KernelSide, kernel_name: str
) -> Judgement | None:
    """What can be loaded; None if it is refused, as the table says."""
    judged = kernel_side.judge(read_example(example.file))
    reasons = [diagnostic.message for diagnostic in judged.errors]
    if refusal := example.refusal(kernel_name):
        assert any(reason.startswith(refusal) for reason in reasons), reasons
        if not example.on_host:
            return None
        judged = kernel_side.judge(read_example(example.file, on_host=True))
        reasons = [diagnostic.message for diagnostic in judged.errors]
    if kernel_name == "hardened" and not example.native:
        others = [reason for reason in reasons if not _HARDENED.search(reason)]
        assert reasons
        assert others == []
        return None
    assert reasons == []
    return judged
