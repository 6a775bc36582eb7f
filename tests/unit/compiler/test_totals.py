# SPDX-License-Identifier: Apache-2.0
"""What policies take of the shared maps: never less than the loader writes."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.compiler.fake_target import FUNCTIONS, FakeTarget
from tests.unit.compiler.policies import DATA, kprobe, load, load_yaml
from tetragon_py.abi import _generated as c
from tetragon_py.compiler.compilation import compile_policies
from tetragon_py.compiler.entries import HookEntry, compile_entries
from tetragon_py.compiler.totals import SHARED_ROWS, Addition, Totals
from tetragon_py.loader.tables import PolicyTables, SelectorNumbers

if TYPE_CHECKING:
    from tetragon_py.compiler.plan import AttachPoint

HEADER = (Path(__file__).parents[3] / "bpf/tables.bpf.h").read_text()
#: Of the maps that have rows without keys, what one takes.
SIZES = {
    "hook_configs": c.HOOK_CONFIG_SIZE,
    "steps": c.RESOLVE_STEP_SIZE,
    "selectors": c.SELECTOR_SIZE,
    "vectors": c.VECTOR_SIZE,
    "bounds": c.BOUND_SIZE,
    "rows": 4,
    "automata": c.AUTOMATON_STATE_SIZE,
    "follow_rows": 8,
}
KEYED = {
    "texts": c.TEXT_KEY_SIZE,
    "addresses": c.ADDRESS_KEY_SIZE,
    "short_texts": c.SHORT_TEXT_KEY_SIZE,
    "long_texts": c.LONG_TEXT_KEY_SIZE,
    "followed_pids": c.PID_KEY_SIZE,
}


def test_sizes_are_those_of_the_header():
    """One number, two places; nothing that hooks share is left out."""
    found = dict(re.findall(r"^ROWS\((\w+), [^,]+, (\d+)\)", HEADER, re.MULTILINE))
    found |= dict(re.findall(r"^TABLE\((\w+), .*, (\d+)\)", HEADER, re.MULTILINE))
    block = r"^struct \{([^}]*)\} (\w+) SEC"
    for body, name in re.findall(block, HEADER, re.MULTILINE):
        if size := re.search(r"max_entries, (\d+)\)", body):
            found[name] = size[1]
    sizes = {name: int(size) for name, size in found.items()}
    others = {
        "active": "one row",
        "hook_configs": "a row for each hook: _POINTS_MAX is less than half",
        "class_configs": "a row for each half",
        "sock_owners": "filled by the kernel side",
        "verdict_notes": "filled by the kernel side",
        "repeats": "filled by the kernel side",
        "guards": "a hook has one row, and one in the GUARD_IO_URING_MAX of its guard",
    }

    assert {name: size for name, size in sizes.items() if name not in others} == (
        SHARED_ROWS
    )
    assert sizes["hook_configs"] > 2 * (c.HOOKS_MAX - 1)


class Table:
    """A map that counts the rows that it is given."""

    def __init__(self, name, row_size):
        self.name = name
        self.max_entries = 1 << 24
        self.value_size = row_size
        self.key_size = KEYED.get(name, 4)
        self.count = 0

    def update_many(self, keys, values):
        self.count += len(keys) // self.key_size


def written(plan):
    """How many rows of each map the loader writes for a plan."""
    maps = {name: Table(name, SIZES.get(name, 4)) for name in {**SIZES, **KEYED}}
    tables = PolicyTables(maps)  # type: ignore[arg-type]  # as much of maps as it needs
    for hook in plan.hooks:
        tables.store_hook(hook, 1, [SelectorNumbers(1, 1)] * len(hook.selectors))
    tables.store_classes(plan.classes)
    counts = Counter({name: table.count for name, table in maps.items()})
    counts["counters"] = sum(len(hook.selectors) for hook in plan.hooks)
    return counts


def bound(policies, target):
    """What the totals say when the policies come one by one."""
    totals = Totals()
    rows: Counter[str] = Counter()
    for loaded in policies:
        entries, _ = compile_entries(loaded.policy, target)
        by_point: dict[AttachPoint, list[HookEntry]] = {}
        for entry in entries:
            by_point.setdefault(entry.point, []).append(entry)
        more = totals.measure(by_point)
        rows |= Counter(totals.rows(more))
        totals.add(more)
    return rows


def bound_at_once(policies, target):
    """What they say when each point comes with all of its entries."""
    by_point: dict[AttachPoint, list[HookEntry]] = {}
    for loaded in policies:
        for entry in compile_entries(loaded.policy, target)[0]:
            by_point.setdefault(entry.point, []).append(entry)
    totals = Totals()
    for point, entries in by_point.items():
        totals.add(Totals().measure({point: entries}))
    return Counter(totals.rows(Addition()))


def compare(policies, target=None):
    target = target or FakeTarget()
    result = compile_policies(policies, target)
    assert not result.refused
    found, most = written(result.plan), bound(policies, target)
    # Nobody took more on the way: who fits at once fits one by one.
    assert +most == +bound_at_once(policies, target)
    # Without any class the loader writes two rows of nothing.
    if not most["follow_rows"]:
        del found["follow_rows"]
    too_low = {n: (found[n], most[n]) for n in SHARED_ROWS if found[n] > most[n]}
    assert too_low == {}
    return found, most


EXAMPLES = [file for file in sorted(DATA.glob("*.yaml")) if file.stem != "refused"]


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_bound_of_examples(file):
    """Every kind of table, one policy after the other."""
    compare(load_yaml(file.read_text()))


def arg(operator, *values, index=0):
    return {"index": index, "operator": operator, "values": list(values)}


def binaries(operator, *values, **more):
    entry = {"operator": operator, "values": list(values)} | more
    return {"matchBinaries": [entry]}


RESOLVED = [
    {"index": 0, "type": "file"},
    {"index": 1, "type": "int"},
    {"index": 0, "type": "string", "resolve": "f_path.dentry"},
]
SOCK = {"call": "tcp_connect", "args": [{"index": 0, "type": "sock"}]}
BUFFER = {
    "call": "vfs_write",
    "args": [{"index": 1, "type": "char_buf", "sizeArgIndex": 3}],
}
#: Of one policy: the rows that it takes, and takes exactly.
EXACT: dict[str, tuple[Any, Any, dict[str, int]]] = {
    "numbers": (
        [{"matchArgs": [arg("Equal", "3", "9", index=1)]}],
        {},
        {"bounds": 5, "vectors": 1},
    ),
    "masks": (
        [{"matchArgs": [arg("Mask", "3", index=1), arg("Mask", "6", index=1)]}],
        {},
        {"bounds": 4, "vectors": 1},
    ),
    "texts": (
        [{"matchArgs": [arg("Prefix", "/a", "/b"), arg("Postfix", ".c")]}],
        {},
        {"texts": 3, "vectors": 1},
    ),
    "searched texts": (
        [{"matchArgs": [arg("SubString", "abc"), arg("SubString", "xy")]}],
        {},
        {"automata": 4 + 3, "vectors": 1},
    ),
    "whole texts": (
        [{"matchArgs": [arg("Equal", "a", "b" * 472, "c" * 473, index=1)]}],
        BUFFER,
        {"short_texts": 2, "long_texts": 1, "vectors": 1},
    ),
    "addresses": (
        [{"matchArgs": [arg("DAddr", "10.0.0.0/8", "fd00::/8")]}],
        SOCK,
        {"addresses": 3, "vectors": 1},
    ),
    "binaries": (
        [binaries("In", "/bin/a", "/bin/b"), binaries("Postfix", "c")],
        {},
        {"rows": 3 + 2, "texts": 3, "follow_rows": 5, "vectors": 3},
    ),
    "followed binaries": (
        [binaries("In", "/bin/a", followChildren=True)],
        {},
        {"texts": 1, "follow_rows": 3, "bounds": 1, "vectors": 1},
    ),
    "followed pids": (
        [{"matchPIDs": [{"operator": "In", "values": [1, 2], "followForks": True}]}],
        {},
        {"followed_pids": 2, "follow_rows": 2, "bounds": 1, "vectors": 1},
    ),
    "steps": ([{}], {"args": RESOLVED}, {"steps": 2}),
}


@pytest.mark.parametrize("name", EXACT)
def test_what_one_policy_takes(name):
    """Where nothing merges the bound is what the loader writes."""
    selectors, fields, rows = EXACT[name]
    spec = {"kprobes": [kprobe(selectors, **fields)]}
    found, most = compare([load(spec)])
    count = len(selectors)
    expected = rows | {"selectors": count, "counters": count}

    assert {n: most[n] for n in SHARED_ROWS if most[n]} == expected
    exact = {n: found[n] for n in SHARED_ROWS if found[n]}
    assert exact == expected | {n: found[n] for n in ("vectors",) if n in expected}


def test_what_is_equal_counts_once():
    """The same filters of more policies take no rows but those of their selectors."""
    selector = {"matchArgs": [arg("Prefix", "/a", "/b"), arg("GT", "5", index=1)]}
    spec = {"kprobes": [kprobe([selector | binaries("In", "/bin/a")])]}
    _, most = compare([load(spec, f"p{n}") for n in range(3)])

    assert {n: most[n] for n in SHARED_ROWS if most[n]} == {
        "selectors": 3,
        "counters": 3,
        "bounds": 2,
        "texts": 3,
        "rows": 2,
        "follow_rows": 3,
        "vectors": 7,  # all sets of three selectors
    }


TEXTS = st.lists(
    st.text("ab/", min_size=1, max_size=4), min_size=1, max_size=4, unique=True
)
NUMBERS = st.lists(st.integers(-3, 9).map(str), min_size=1, max_size=4)
ENTRIES = st.one_of(
    st.builds(
        lambda operator, values: ("matchArgs", arg(operator, *values)),
        st.sampled_from(["Equal", "NotEqual", "Prefix", "Postfix", "SubString"]),
        TEXTS,
    ),
    st.builds(
        lambda operator, values: ("matchArgs", arg(operator, *values, index=1)),
        st.sampled_from(["Equal", "NotEqual", "GT", "LT", "InMap", "NotInMap"]),
        NUMBERS,
    ),
    st.integers(1, 99).map(
        lambda mask: ("matchArgs", arg("Mask", f"{mask}", index=1)),
    ),
    st.builds(
        lambda operator, values: (
            "matchBinaries",
            {"operator": operator, "values": [f"/{value}" for value in values]},
        ),
        st.sampled_from(["In", "NotIn", "Prefix", "Postfix", "NotPostfix"]),
        TEXTS,
    ),
    st.builds(
        lambda operator, values, follow: (
            "matchPIDs",
            {"operator": operator, "values": values, "followForks": follow},
        ),
        st.sampled_from(["In", "NotIn"]),
        st.lists(st.integers(1, 5), min_size=1, max_size=3),
        st.booleans(),
    ),
)


@st.composite
def specs(draw):
    hooks = []
    for call in draw(st.lists(st.sampled_from(["f", "g"]), min_size=1, max_size=2)):
        selectors = []
        for _ in range(draw(st.integers(1, 3))):
            selector: dict[str, list[object]] = {}
            for key, entry in draw(st.lists(ENTRIES, max_size=3)):
                selector.setdefault(key, []).append(entry)
            selectors.append(selector)
        hooks.append(kprobe(selectors, call=call))
    return {"kprobes": hooks}


@given(st.lists(specs(), min_size=1, max_size=4))
def test_bound_of_random_policies(found):
    """Whatever is shared or merges, the loader never writes more."""
    target = FakeTarget()
    for name in ("f", "g"):
        target.functions[name] = FUNCTIONS["security_file_permission"]
    compare([load(spec, f"p{n}") for n, spec in enumerate(found)], target)
