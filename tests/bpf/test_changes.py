# SPDX-License-Identifier: Apache-2.0
"""What a change of the policy set writes: the tables of the hooks that it touches."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.bpf.lseek import GETPGID, LSEEK, events, seek
from tetragon_py.compiler.compilation import Compiler
from tetragon_py.libbpf import Map
from tetragon_py.loader.kernel import KernelTarget
from tetragon_py.policy.documents import load_text

POLICY = """
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {{name: {name}}}
spec:
  kprobes:
  - call: sys_{call}
    args: [{{index: 0, type: int}}]
    selectors:
    - matchArgs: [{{index: 0, operator: Equal, values: ["{number}"]}}]
      {filter}
"""
BINARIES = "matchBinaries: [{{operator: NotIn, values: [/opt/{}]}}]"
#: What each switch writes, whatever changes: which hooks are in force.
EACH = {"active": 1, "hook_index": 2048}


@pytest.fixture
def written(monkeypatch):
    """Rows by map, since it was cleared."""
    rows: Counter[str] = Counter()
    update, update_many = Map.update, Map.update_many

    def one(self, key, value, flags=0):
        rows[self.name] += 1
        update(self, key, value, flags)

    def many(self, keys, values):
        rows[self.name] += len(keys) // self.key_size
        with monkeypatch.context() as alone:
            alone.setattr(Map, "update", update)
            update_many(self, keys, values)

    monkeypatch.setattr(Map, "update", one)
    monkeypatch.setattr(Map, "update_many", many)
    return rows


def policy(name, call, number, binary=None):
    text = "" if binary is None else BINARIES.format(binary)
    text = POLICY.format(name=name, call=call, number=number, filter=text)
    [loaded] = load_text(text.encode(), name).policies
    return loaded


def policies():
    """Six on each of two hooks, that differ in number and binary."""
    return [
        policy(f"{call}-{n}", call, -n, binary=f"{call}-{n}")
        for n in range(20, 26)
        for call in ("lseek", "getpgid")
    ]


def nonzero(rows):
    return {name: count for name, count in rows.items() if count}


def test_one_policy_more_writes_one_hook(sensor, generations, written):
    """Its arguments and a binary that the set knows: not a row of anything else."""
    compiler, before = Compiler(KernelTarget()), policies()
    for _ in range(2):  # then both halves know the classes
        generations.apply(compiler.compile(before).plan)
    more = policy("more", "lseek", -5, binary="getpgid-20")
    plan = compiler.compile([*before, more]).plan
    written.clear()
    switch = generations.apply(plan)
    seek(-5)

    assert (switch.added, switch.changed, switch.removed) == ((), (LSEEK,), ())
    assert nonzero(written) == EACH | {
        "hook_configs": 1,
        "selectors": 7,
        "counters": 1,
        "vectors": 15,  # with and without each selector, but for all, and none
        "bounds": 1 + 6 + 1 + 2,
        "rows": 13,
    }
    assert len(events(sensor)) == 1


def test_a_new_binary_writes_one_hook_and_the_classes(sensor, generations, written):
    """The other hook's table has no row for the new class, and need not."""
    compiler, before = Compiler(KernelTarget()), policies()
    generations.apply(compiler.compile(before).plan)
    more = policy("more", "getpgid", -5, binary="a-first")
    plan = compiler.compile([*before, more]).plan
    written.clear()
    switch = generations.apply(plan)
    seek(-20)

    assert switch.changed == (GETPGID,)
    assert written["hook_configs"] == written["counters"] == 1
    assert written["selectors"] == 7
    assert written["texts"] == 12 + 1
    assert written["follow_rows"] == 14 + 1
    assert len(events(sensor)) == 1


def test_the_same_set_writes_nothing(generations, written):
    """Read and compiled again, by a compiler that knows nothing of it, too."""
    for compiler in (Compiler(KernelTarget()), Compiler(KernelTarget())):
        for _ in range(2):
            written.clear()
            generations.apply(compiler.compile(policies()).plan)

    assert nonzero(written) == EACH
