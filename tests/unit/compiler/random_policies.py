# SPDX-License-Identifier: Apache-2.0
"""Random policies on one hook: their tables against the meaning of their filters."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.unit.compiler.interpret import Hit, matches, winners
from tests.unit.compiler.policies import compiled, kprobe


@st.composite
def policies(draw, entry, count=3):
    """Specs of several policies: selectors with several filters each."""
    selector = st.lists(entry, min_size=1, max_size=3)
    return draw(
        st.lists(st.lists(selector, min_size=1, max_size=3), min_size=1, max_size=count)
    )


def compare(specs, arguments, slots, holds):
    """Every selector matches if all of its filters hold, of each policy the first."""
    plan = compiled(
        *(
            {
                "kprobes": [
                    kprobe(
                        [{"matchArgs": entries} for entries in selectors],
                        args=arguments,
                    )
                ]
            }
            for selectors in specs
        )
    )
    [hook] = plan.hooks
    expected = [
        (f"p{policy}", "spec.kprobes[0]", position)
        for policy, selectors in enumerate(specs)
        for position, entries in enumerate(selectors)
        if all(holds(entry) for entry in entries)
    ]
    first = {policy: found for *found, policy in ((*e, e[0]) for e in expected[::-1])}
    hit = Hit(slots)

    assert matches(hook, plan.classes, hit) == expected
    assert winners(hook, plan.classes, hit) == sorted(map(tuple, first.values()))
