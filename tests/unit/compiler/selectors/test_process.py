# SPDX-License-Identifier: Apache-2.0
"""Filters on the process: the tables and the classes say what the filters mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.compiler.evaluate import split, text_holds
from tests.unit.compiler.fake_target import FakeTarget
from tests.unit.compiler.interpret import Hit, Process, matches
from tests.unit.compiler.policies import compiled, kprobe, load, one_hook, problem
from tetragon_py.abi import _generated as c
from tetragon_py.compiler.compilation import Compiler
from tetragon_py.compiler.plan import Plan

PATHS = st.sampled_from(("/", "/bin", "/bin/sh", "/bin/shell", "/usr/bin/sh", "/x"))
ENDS = PATHS | st.sampled_from(("sh", "n/sh", "x"))
PIDS = st.lists(st.integers(1, 6), min_size=1, max_size=3)


def binaries(values, *operators, **more):
    return st.fixed_dictionaries(
        {
            "operator": st.sampled_from(operators),
            "values": st.lists(values, min_size=1, max_size=3),
        },
        optional={name: st.just(value) for name, value in more.items()},
    )


BINARY = st.one_of(
    binaries(PATHS, "In", "NotIn", followChildren=True),
    binaries(PATHS, "Prefix", "NotPrefix"),
    binaries(ENDS, "Postfix", "NotPostfix"),
)
PARENT = st.one_of(
    binaries(PATHS, "In", "NotIn", "Prefix", "NotPrefix"),
    binaries(ENDS, "Postfix", "NotPostfix"),
)
PID = st.fixed_dictionaries(
    {"operator": st.sampled_from(("In", "NotIn")), "values": PIDS},
    optional={"followForks": st.just(True)},
) | st.fixed_dictionaries(
    {
        "operator": st.sampled_from(("In", "NotIn")),
        "values": PIDS,
        "isNamespacePID": st.just(True),
    }
)
SELECTOR = st.fixed_dictionaries(
    {},
    optional={
        "matchBinaries": st.lists(BINARY, min_size=1, max_size=2),
        "matchParentBinaries": st.lists(PARENT, min_size=1, max_size=2),
        "matchPIDs": st.lists(PID, min_size=1, max_size=2),
    },
)
PROCESS = st.builds(
    Process,
    binaries=st.lists(PATHS.map(str.encode), min_size=2, max_size=4).map(tuple),
    pids=st.lists(st.integers(1, 6), min_size=2, max_size=4).map(tuple),
    namespace_pid=st.integers(1, 6),
)


def binary_holds(entry, process):
    own, *ancestors = process.binaries
    if entry.get("followChildren"):
        _, is_negative = split(entry["operator"])
        wanted = {value.encode() for value in entry["values"]}
        return wanted.isdisjoint((own, *ancestors)) is is_negative
    return text_holds(entry, own)


def pid_holds(entry, process):
    wanted = set(entry["values"])
    if entry.get("isNamespacePID"):
        found = process.namespace_pid in wanted
    elif entry.get("followForks"):
        found = not wanted.isdisjoint(process.pids)
    else:
        found = process.pids[0] in wanted
    return found is (entry["operator"] == "In")


def selector_holds(selector, process):
    return (
        all(binary_holds(e, process) for e in selector.get("matchBinaries", ()))
        and all(
            text_holds(e, process.binaries[1])
            for e in selector.get("matchParentBinaries", ())
        )
        and all(pid_holds(e, process) for e in selector.get("matchPIDs", ()))
    )


@given(
    st.lists(st.lists(SELECTOR, min_size=1, max_size=3), min_size=1, max_size=3),
    PROCESS,
)
def test_who_it_is(specs, process):
    """Classes are shared by two hooks with different policies, and so are sets."""
    calls = ("fd_install", "security_file_permission")
    plan = compiled(
        *(
            {"kprobes": [kprobe(selectors, call=calls[n % 2], args=[])]}
            for n, selectors in enumerate(specs)
        )
    )

    found = {
        (policy, number)
        for hook in plan.hooks
        for policy, _, number in matches(hook, plan.classes, Hit({}, process))
    }
    assert found == {
        (f"p{n}", position)
        for n, selectors in enumerate(specs)
        for position, selector in enumerate(selectors)
        if selector_holds(selector, process)
    }


def spread(specs):
    """Policies on two hooks in turn, by their numbers."""
    calls = ("fd_install", "security_file_permission")
    return [
        load({"kprobes": [kprobe(selectors, call=calls[n % 2], args=[])]}, f"p{n}")
        for n, selectors in enumerate(specs)
    ]


@given(
    st.lists(st.lists(SELECTOR, min_size=1, max_size=2), min_size=4, max_size=6),
    st.lists(st.sets(st.integers(0, 3)), min_size=2, max_size=5),
    st.lists(PROCESS, min_size=1, max_size=4),
)
def test_who_it_is_in_one_set_after_the_other(specs, sets, processes):
    """Numbers stay, tables are kept, and still say what the filters mean."""
    policies = spread(specs)
    compiler = Compiler(FakeTarget())
    before = Plan()
    for chosen in sets:
        # the last two policies, and so their classes, are in all sets
        numbers = [*sorted(chosen & set(range(len(specs) - 2))), -2, -1]
        result = compiler.compile([policies[n] for n in numbers])
        found = {
            (policy, number, i)
            for hook in result.plan.hooks
            for i, process in enumerate(processes)
            for policy, _, number in matches(
                hook, result.plan.classes, Hit({}, process)
            )
        }
        assert not result.refused
        assert found == {
            (policies[n].policy.name, position, i)
            for n in numbers
            for position, selector in enumerate(specs[n])
            for i, process in enumerate(processes)
            if selector_holds(selector, process)
        }
        equal = {hook.point: hook for hook in before.hooks}
        for hook in result.plan.hooks:
            old = equal.get(hook.point)
            assert old != hook or old is hook
        before = result.plan


def test_every_entry_of_match_pids_counts():
    """They are ANDed, which other agents document and do not do."""
    hook, classes = one_hook(
        {
            "matchPIDs": [
                {"operator": "In", "values": [1, 2, 3]},
                {"operator": "NotIn", "values": [2]},
                {"operator": "In", "values": [5, 6], "isNamespacePID": True},
            ]
        }
    )

    found = [
        (pid, inner)
        for pid in (1, 2, 3, 4)
        for inner in (4, 5, 6)
        if matches(hook, classes, Hit({}, Process(pids=(pid,), namespace_pid=inner)))
    ]
    assert found == [(1, 5), (1, 6), (3, 5), (3, 6)]


def test_an_unknown_parent_is_no_binary():
    """Class 0: no positive filter holds, every negative one does."""
    hook, classes = one_hook(
        {"matchParentBinaries": [{"operator": "In", "values": ["/bin/sh"]}]},
        {"matchParentBinaries": [{"operator": "NotPostfix", "values": ["sh"]}]},
    )

    process = Process(binaries=(b"/bin/sh",))
    assert [n for *_, n in matches(hook, classes, Hit({}, process))] == [1]


def test_sets_are_shared():
    """Equal sets of several policies are one bit; a NotIn uses it too."""
    entry = {"values": ["/sbin/init", "/bin/sh"], "followChildren": True}
    other = {"values": ["/bin/sh"], "followChildren": True}
    plan = compiled(
        *(
            {"kprobes": [kprobe([{"matchBinaries": [{"operator": op} | values]}])]}
            for op, values in (("In", entry), ("NotIn", entry), ("In", other))
        )
    )

    assert plan.classes.begin_follows == (0, 0b11, 0b01)
    assert [pattern for pattern, _ in plan.classes.begins] == [
        b"/bin/sh\0",
        b"/sbin/init\0",
    ]


# ---- namespaces and capabilities ----


def test_namespaces():
    """host_ns is the namespace of process 1; a number is another one."""
    target = FakeTarget()
    host = target.host_namespaces["pid_for_children"]
    wanted = {"namespace": "PidForChildren", "values": ["host_ns", "77"]}
    hook, classes = one_hook(
        {"matchNamespaces": [wanted | {"operator": "In"}]},
        {"matchNamespaces": [wanted | {"operator": "NotIn"}]},
    )

    found = {
        inode: [
            number
            for *_, number in matches(
                hook, classes, Hit({}, Process(namespaces={4: inode}))
            )
        ]
        for inode in (host, 77, 78)
    }
    assert found == {host: [0], 77: [0], 78: [1]}


def test_unknown_namespaces():
    """A kernel without time namespaces cannot answer."""
    entry = {"namespace": "Time", "operator": "In", "values": ["host_ns"]}

    assert problem({"kprobes": [kprobe([{"matchNamespaces": [entry]}])]}) == (
        "spec.kprobes[0].selectors[0].matchNamespaces[0]",
        "this kernel has no Time namespaces",
        "",
    )


def test_changes_of_namespaces():
    """In: one of these is another one; NotIn: all of them are the same."""
    values = ["Uts", "Net"]
    hook, classes = one_hook(
        {"matchNamespaceChanges": [{"operator": "In", "values": values}]},
        {"matchNamespaceChanges": [{"operator": "NotIn", "values": values}]},
    )

    found = {
        bits: [
            number
            for *_, number in matches(
                hook, classes, Hit({}, Process(namespaces_changed=bits))
            )
        ]
        for bits in (0, 0b1, 0b100000, 0b100001, 0b10)
    }
    assert found == {0: [1], 1: [0], 32: [0], 33: [0], 2: [1]}


def capabilities(operator, *names, kind="Effective"):
    return {"operator": operator, "values": list(names), "type": kind}


def test_capabilities():
    """Several entries are ANDed; each In needs one of its own capabilities."""
    hook, classes = one_hook(
        {
            "matchCapabilities": [
                capabilities("In", "CAP_CHOWN", "CAP_KILL"),
                capabilities("In", "CAP_CHOWN", "CAP_SYS_ADMIN"),
            ]
        },
        {
            "matchCapabilities": [
                capabilities("NotIn", "CAP_KILL"),
                capabilities("NotIn", "CAP_SYS_ADMIN"),
            ]
        },
        {"matchCapabilities": [capabilities("In", "CAP_KILL", kind="Permitted")]},
        {"matchCapabilityChanges": [capabilities("In", "CAP_KILL")]},
        {"matchCapabilityChanges": [capabilities("NotIn", "CAP_KILL")]},
    )
    chown, kill, admin = 1 << 0, 1 << 5, 1 << 21

    def found(effective, permitted=0, changed=0):
        process = Process(
            capabilities={0: effective, 2: permitted}, capabilities_changed={0: changed}
        )
        return [number for *_, number in matches(hook, classes, Hit({}, process))]

    assert found(0) == [1, 4]
    assert found(chown) == [0, 1, 4]
    assert found(kill) == [4]
    assert found(kill | admin) == [0, 4]
    assert found(admin, permitted=kill) == [2, 4]
    assert found(chown | kill, changed=kill | chown) == [0, 3]


@pytest.mark.parametrize("operator", ["In", "NotIn"])
def test_capabilities_in_user_namespaces(operator):
    """isNamespaceCapability: whatever the host's processes may do does not count."""
    entry = {**capabilities(operator, "CAP_KILL"), "isNamespaceCapability": True}
    hook, classes = one_hook({"matchCapabilities": [entry]})
    user = c.NAMESPACES_FIELDS.index("user")
    host = FakeTarget().host_namespaces["user"]

    def is_found(namespace, effective):
        process = Process(namespaces={user: namespace}, capabilities={0: effective})
        return bool(matches(hook, classes, Hit({}, process)))

    kill = 1 << 5
    assert not is_found(host, kill)
    assert not is_found(host, 0)
    assert is_found(host + 1, kill) is (operator == "In")
    assert is_found(host + 1, 0) is (operator == "NotIn")


@pytest.mark.parametrize(
    ("key", "entry", "message"),
    [
        (
            "matchParentBinaries",
            {"operator": "In", "values": ["/bin/sh"], "followChildren": True},
            "followChildren does not work in matchParentBinaries",
        ),
        (
            "matchWorkloads",
            {"podSelector": {"matchLabels": {"app": "db"}}},
            "workloads cannot be told apart in this release",
        ),
    ],
)
def test_what_cannot_run(key, entry, message):
    """It is said at the filter, and the policy is refused."""
    value = entry if key == "matchWorkloads" else [entry]
    place, found, _ = problem({"kprobes": [kprobe([{key: value}])]})

    path = f"spec.kprobes[0].selectors[0].{key}"
    assert (place, found) == (path if value is entry else f"{path}[0]", message)


def test_long_binaries():
    """With its NUL a path has to fit into a key of the kernel's table."""
    fits, long = "/" + "a" * 246, "/" + "a" * 247
    entry = {"operator": "In", "values": [fits, long]}

    assert problem({"kprobes": [kprobe([{"matchBinaries": [entry]}])]}) == (
        "spec.kprobes[0].selectors[0].matchBinaries[0].values[1]",
        "is longer than 247 bytes",
        "tables of patterns hold no longer ones",
    )
