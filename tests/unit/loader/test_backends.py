# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.loader.backends: how a hook is attached, and what it takes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.unit.compiler.policies import compiled, kprobe
from tetragon_py.abi import _generated as c
from tetragon_py.compiler.plan import AttachPoint, HookPlan
from tetragon_py.libbpf.features import FEATURES, ProbeResult
from tetragon_py.loader.backends import (
    choose_backend,
    class_bytes,
    hook_bytes,
    list_points,
    point_name,
    point_words,
)
from tetragon_py.loader.tables import PolicyTables, SelectorNumbers


def prober(**reasons):
    """A kernel that has all features but those of `reasons`."""

    def probe(name):
        reason = reasons.get(name, "")
        return ProbeResult(name, FEATURES[name].title, "5.0", not reason, reason)

    return probe


def hook(kind, *, wants_return=False):
    return HookPlan(AttachPoint(kind, "x"), (), (), (), wants_return)


def choose(kind, probe, *, wants_return=False, is_typed=True):
    plan = hook(kind, wants_return=wants_return)
    return choose_backend(plan, probe, is_typed=is_typed)


KINDS = [
    ("function", "trampoline (fentry)", ("fentry", "fexit", "get_func_arg")),
    ("syscall", "system call dispatcher (tp_btf/sys_enter)", ("sys_enter",)),
    ("tracepoint", "perf tracepoint", ("tracepoint",)),
    ("raw_tracepoint", "raw tracepoint", ("raw_tracepoint",)),
    ("lsm", "BPF LSM", ("lsm",)),
]


@pytest.mark.parametrize(("kind", "title", "names"), KINDS)
def test_each_kind_has_a_way(kind, title, names):
    """Every kind of hook has its back end, with features that can be probed."""
    backend, lack = choose(kind, prober(), wants_return=True)

    assert (backend.title, backend.features, lack) == (title, names, "")
    assert set(names) <= set(FEATURES)
    assert backend.guarantee


@pytest.mark.parametrize("missing", ["fentry", "fexit", "get_func_arg"])
def test_functions_without_trampolines(missing):
    """A kprobe takes the place of what the kernel lacks or a function without type."""
    without = prober(**{missing: "EPERM"})
    seen = [
        choose("function", without),
        choose("function", without, wants_return=True),
        choose("function", prober(), is_typed=False),
    ]

    assert [(one.backend.title, one.lack) for one in seen] == [
        ("kprobe", ""),
        ("kprobe and kretprobe", ""),
        ("kprobe", ""),
    ]


def test_what_is_missing_is_explained():
    """The feature by name and title, and the probe's reason; the same reason once."""

    def lack(**reasons):
        probe = prober(fentry="EPERM", **reasons)
        return choose("function", probe, wants_return=True).lack

    assert lack(kretprobe="EPERM at attach") == (
        "this kernel has no kretprobe (their return by kprobe): EPERM at attach"
    )
    assert lack(kprobe="no PMU", kretprobe="no PMU") == (
        "this kernel has no kprobe (kernel functions by kprobe) and kretprobe (their "
        "return by kprobe): no PMU"
    )
    assert lack(kprobe="a", kretprobe="b") == (
        "this kernel has no kprobe (kernel functions by kprobe): a; "
        "this kernel has no kretprobe (their return by kprobe): b"
    )


def test_points_in_words():
    """Hooks are named as policies spell them, the first ones of many."""
    calls = [AttachPoint("syscall", name, "x64") for name in ("read", "write", "dup")]

    assert point_name(calls[0]) == "read"
    assert point_name(AttachPoint("syscall", "open", "i386")) == "i386/open"
    assert point_words("lsm", 1) == "1 LSM hook"
    assert point_words("syscall", 350) == "350 system calls"
    assert list_points(calls[:1]) == "system call read"
    assert list_points(calls) == "system calls read, write, dup"
    assert list_points(calls, 2) == "system calls read, write and 1 more"


# ---- bytes: what the loader writes for the same plan ----

VALUES = {
    "hook_configs": c.HOOK_CONFIG_SIZE,
    "steps": c.RESOLVE_STEP_SIZE,
    "selectors": c.SELECTOR_SIZE,
    "vectors": c.VECTOR_SIZE,
    "bounds": c.BOUND_SIZE,
    "rows": 4,
    "automata": c.AUTOMATON_STATE_SIZE,
    "follow_rows": 8,
    "texts": 4,
    "addresses": 4,
    "short_texts": 4,
    "long_texts": 4,
    "followed_pids": 8,
}


class FakeMap:
    """Counts the bytes of what is written; keys of arrays do not count."""

    KEYED = ("texts", "addresses", "short_texts", "long_texts", "followed_pids")

    def __init__(self, name):
        self.name = name
        self.value_size = VALUES[name]
        self.max_entries = 1 << 16
        self.written = 0

    def update_many(self, keys, values):
        self.written += len(values) + len(keys) * (self.name in self.KEYED)


@pytest.fixture
def maps():
    return {name: FakeMap(name) for name in VALUES}


def match(operator, *values, index=0):
    return {"matchArgs": [{"index": index, "operator": operator, "values": values}]}


PATHS = [
    match("Prefix", "/etc/", "/usr/"),
    match("Postfix", ".so"),
    match("Equal", "/etc/shadow"),
    match("Equal", "/" + "x" * 800),
    match("SubString", "needle", "hay"),
    match("GT", "4", index=1),
    match("Mask", "1", "6", index=1),
]
SOCKS = [match("DAddr", "10.0.0.0/8", "fd00::/8"), match("SPort", "22", "80:443")]
BINARIES = [
    {"matchBinaries": [{"operator": "Postfix", "values": ["/python3"]}]},
    {"matchBinaries": [{"operator": "In", "values": ["/usr/bin/cat", "/bin/sh"]}]},
    {
        "matchBinaries": [
            {"operator": "In", "values": ["/sbin/init"], "followChildren": True}
        ]
    },
    {
        "matchPIDs": [
            {
                "operator": "In",
                "values": [7, 8],
                "isNamespacePID": False,
                "followForks": True,
            }
        ]
    },
]
SPECS = {
    "all": {"kprobes": [kprobe()]},
    "paths": {"kprobes": [kprobe(PATHS)]},
    "socks": {
        "kprobes": [
            kprobe(SOCKS, call="tcp_connect", args=[{"index": 0, "type": "sock"}])
        ]
    },
    "binaries": {"kprobes": [kprobe(BINARIES)]},
}


@pytest.mark.parametrize("name", SPECS)
def test_bytes_are_those_that_are_written(maps, name):
    """The sizes that people are told are those of the loader's tables."""
    plan = compiled(SPECS[name])
    tables = PolicyTables(maps)
    for one in plan.hooks:
        numbers = [SelectorNumbers(n, n) for n in range(len(one.selectors))]
        tables.store_hook(one, 1, numbers)
    written = sum(found.written for found in maps.values())

    assert sum(map(hook_bytes, plan.hooks)) == written
    tables.store_classes(plan.classes)
    both = sum(found.written for found in maps.values()) + c.CLASS_CONFIG_SIZE
    assert written + class_bytes(plan.classes) == both


def test_steps_count():
    """What leads to a value takes room too."""
    step = SimpleNamespace(steps=((8, True), (16, False)))
    plain = hook("function")
    with_steps = HookPlan(plain.point, (step,), (), ())  # type: ignore[arg-type]

    assert hook_bytes(with_steps) - hook_bytes(plain) == 2 * c.RESOLVE_STEP_SIZE


@pytest.mark.parametrize(
    ("kind", "end"),
    [
        ("syscall", "others on its CPU are missed"),
        ("call", "others on its CPU are let through: a racing thread can win"),
        ("lsm", "sees and can deny every call of the hook"),
    ],
)
def test_preemption_is_told(monkeypatch, kind, end):
    """Where a task can be preempted in a program, others may pass it; not BPF LSM."""
    monkeypatch.setattr(
        "tetragon_py.loader.backends.has_preemptible_tracepoints", lambda: True
    )
    before = choose(kind, prober())

    assert before.backend.guarantee.endswith(end)
