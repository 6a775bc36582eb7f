# SPDX-License-Identifier: Apache-2.0
"""A whole set: what is refused does not change what is not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.compiler.fake_target import FUNCTIONS, FakeTarget
from tests.unit.compiler.interpret import Hit, Process, matches, number, path
from tests.unit.compiler.policies import kprobe, load, load_yaml
from tetragon_py.compiler.compilation import Compiler, compile_policies
from tetragon_py.compiler.plan import Plan
from tetragon_py.policy.diagnostic import Cause

BAD = """\
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata:
  name: bad
spec:
  kprobes:
  - call: security_file_permission
    syscall: false
  - call: fd_instal
    syscall: false
  selectorsMacros:
    shells:
      matchParentBinaries:
      - {operator: In, values: [/bin/sh], followChildren: true}
  tracepoints:
  - subsystem: raw_syscalls
    event: sys_enter
    selectors:
    - macros: [shells]
"""


def test_a_refused_policy_leaves_no_trace():
    """Not at its good hooks either; all of its errors are told, with their places."""
    [bad] = load_yaml(BAD, "bad.yaml")
    good = load({"kprobes": [kprobe()]}, "good")
    target = FakeTarget()

    result = compile_policies([bad, good], target)

    assert result.plan == compile_policies([good], target).plan
    assert result.refused == {"bad": result.diagnostics}
    assert [str(diagnostic) for diagnostic in result.diagnostics] == [
        "bad.yaml:9:11: error: spec.kprobes[1].call: the kernel has no function "
        "'fd_instal'\n  hint: did you mean 'fd_install'?",
        "bad.yaml:14:9: error: spec.selectorsMacros.shells."
        "matchParentBinaries[0]: followChildren does not work in matchParentBinaries"
        "\n  hint: use it in matchBinaries",
    ]


def test_nothing_is_nothing():
    """An empty set is a plan without hooks and classes."""
    assert compile_policies([], FakeTarget()).plan == Plan()


def test_equal_hooks_have_equal_plans():
    """A policy elsewhere changes nothing here: tables of this hook can stay."""
    entry = {"index": 0, "operator": "Prefix", "values": ["/etc/"]}
    one = load({"kprobes": [kprobe([{"matchArgs": [entry]}])]}, "one")
    two = load({"kprobes": [kprobe([{"matchArgs": [entry]}], call="vfs_write")]}, "two")
    target = FakeTarget()

    [alone] = compile_policies([one], target).plan.hooks
    [first, _] = compile_policies([one, two], target).plan.hooks

    assert alone == first
    assert hash(alone) == hash(first)


def asks(call, *binaries, name=""):
    """A policy that wants these binaries."""
    entry = {"operator": "In", "values": list(binaries)}
    return load({"kprobes": [kprobe([{"matchBinaries": [entry]}], call=call)]}, name)


def test_what_did_not_change_is_the_same_object():
    """One more policy: only its own hook is another, also if it has a new binary."""
    calls = ("security_file_permission", "vfs_write", "fd_install")
    policies = [asks(call, f"/{n}", name=f"p{n}") for n, call in enumerate(calls)]
    compiler = Compiler(FakeTarget())
    first = compiler.compile(policies).plan
    more = asks("vfs_write", "/00", "/2", name="more")
    second = compiler.compile([more, *policies]).plan
    third = compiler.compile(policies).plan

    def hooks(plan):
        return {hook.point.name: hook for hook in plan.hooks}

    assert all(
        hooks(compiler.compile(policies).plan)[c] is hooks(third)[c] for c in calls
    )
    for call in calls:
        is_kept = call != "vfs_write"
        assert (hooks(first)[call] is hooks(second)[call]) is is_kept
        assert (hooks(first)[call] == hooks(third)[call]) is True
    assert second.classes != first.classes == third.classes


def test_a_policy_is_compiled_once():
    """Its digest knows it again, in another file too; findings are told there."""
    asked = []

    class Asked(FakeTarget):
        def has_symbol(self, name):
            asked.append(name)
            return super().has_symbol(name)

    compiler = Compiler(Asked())
    [loaded] = load_yaml(BAD, "bad.yaml")
    [moved] = load_yaml("\n" + BAD, "moved.yaml")
    first = compiler.compile([loaded])
    count = len(asked)
    second = compiler.compile([moved])

    assert 0 < count == len(asked)
    assert [str(d) for d in second.diagnostics] == [
        str(d)
        .replace("bad.yaml:9", "moved.yaml:10")
        .replace("bad.yaml:14", "moved.yaml:15")
        for d in first.diagnostics
    ]
    compiler.compile([])
    compiler.compile([loaded])
    assert len(asked) == 2 * count


def test_who_was_refused_can_come_later():
    """What one set has no room for leaves nothing in the next."""
    many = [load({"kprobes": [kprobe([{}] * 600)]}, f"p{n}") for n in range(2)]
    compiler = Compiler(FakeTarget())

    assert compiler.compile(many).refused.keys() == {"p1"}
    assert not compiler.compile(many[1:]).refused
    assert compiler.compile(many[::-1]).refused.keys() == {"p0"}


def test_many_hooks_and_binaries_fit():
    """A thousand binaries on 400 hooks: a hook's table has the few that it asks for."""
    target = FakeTarget()
    calls = [f"f{n}" for n in range(400)]
    target.functions |= dict.fromkeys(calls, FUNCTIONS["security_file_permission"])
    policies = [
        asks(calls[n % len(calls)], f"/bin/{n}", name=f"p{n}") for n in range(1000)
    ]
    result = compile_policies(policies, target)
    rows = [len(hook.dimensions[0].rows) for hook in result.plan.hooks]

    assert not result.refused
    assert len(rows) == len(calls)
    assert max(rows) <= 64
    for n in (0, 1, 399, 400, 999):
        hit = Hit({}, Process(binaries=(b"/bin/%d" % n,)))
        found = matches(result.plan.hooks[n % len(calls)], result.plan.classes, hit)
        assert found == [(f"p{n}", "spec.kprobes[0]", 0)]


def one(*args, call="fd_install", **fields):
    """A hook on a function with these arguments."""
    return {"kprobes": [{"call": call, "syscall": False, "args": list(args), **fields}]}


def calls(*values, kind="syscalls"):
    return {
        "lists": [{"name": "a", "type": kind, "values": list(values)}],
        "kprobes": [{"call": "list:a"}],
    }


def filtered(**entries):
    return {"kprobes": [kprobe([{key: [entry] for key, entry in entries.items()}])]}


def in_list(value):
    """A filter by the numbers of a list of system calls."""
    entry = {"index": 4, "operator": "InMap", "values": ["list:a"]}
    return {
        "lists": [{"name": "a", "type": "syscalls", "values": [value]}],
        "tracepoints": [
            {
                "subsystem": "raw_syscalls",
                "event": "sys_enter",
                "args": [{"index": 4, "type": "syscall64"}],
                "selectors": [{"matchArgs": [entry]}],
            }
        ],
    }


def field(index):
    hook = {"subsystem": "sched", "event": "sched_process_exec"}
    return {"tracepoints": [hook | {"args": [{"index": index, "type": "int"}]}]}


BUFFER = {"index": 1, "type": "char_buf", "sizeArgIndex": 3}
LONG_EQUAL = {"index": 1, "operator": "Equal", "values": ["x" * 473]}
EMPTY_LIST = {
    "lists": [{"name": "a", "type": "generated_ftrace", "pattern": "^no_such"}],
    "kprobes": [{"call": "list:a"}],
}
SOCK = {"index": 0, "type": "sock"}
SECOND, THIRD = {"index": 1, "type": "int"}, {"index": 2, "type": "int"}
STRUCT = {"index": 0, "type": "int", "resolve": "x", "btfType": "none"}
MEMBER = {"index": 1, "type": "int", "resolve": "f_flag"}
ATTRIBUTE = {"index": 0, "type": "int", "resolve": "a"}
#: What is wrong -> policy, message, hint.
CAUSES: dict[Cause, list[tuple[Any, str | None, str | None]]] = {
    Cause.KERNEL: [
        (one(call="none"), "the kernel has no function 'none'", None),
        (
            {"lsmhooks": [{"hook": "file_opens"}]},
            "the kernel has no LSM hook 'file_opens'",
            "did you mean 'file_open'?",
        ),
        (
            {"tracepoints": [{"subsystem": "a", "event": "b"}]},
            "the kernel has no tracepoint 'a/b'",
            None,
        ),
        (
            {"tracepoints": [{"subsystem": "sched", "event": "none", "raw": True}]},
            "the kernel has no raw tracepoint 'none'",
            None,
        ),
        (calls("sys_mseal"), "the kernel has no x64 system call 'mseal'", None),
        # of the table of another architecture
        (calls("arm_sync_file_range"), None, None),
        (
            calls("arm64/openat"),
            "this kernel runs no arm64 programs: 'arm64/openat'",
            None,
        ),
        (in_list("mseal"), "there is no system call 'mseal'", None),
        (in_list("arm64/openat"), "there is no system call 'arm64/openat'", None),
        (EMPTY_LIST, "list:a is empty on this kernel", None),
        (field(99), "'sched/sched_process_exec' has no field 99", None),
        (one(STRUCT), "the kernel has no struct 'none'", None),
        (
            one(STRUCT | {"btfTypeModule": "acme"}),
            "the module 'acme' has no struct 'none'",
            None,
        ),
        (
            one(MEMBER),
            "struct file has no member 'f_flag'",
            "did you mean 'f_flags'?",
        ),
        (
            filtered(
                matchNamespaces={"namespace": "Time", "operator": "In", "values": ["1"]}
            ),
            "this kernel has no Time namespaces",
            None,
        ),
        (
            one(ATTRIBUTE, call="no_btf"),
            "resolve needs a pointer to a struct; this is unknown",
            "give btfType",
        ),
        (
            one(BUFFER, call="vfs_write", selectors=[{"matchArgs": [LONG_EQUAL]}]),
            "is longer than 472 bytes",
            "this kernel compares no longer texts",
        ),
        # another argument differs too: the function had another signature there
        (
            one({"index": 0, "type": "file"}, THIRD, call="tcp_connect"),
            "'tcp_connect' has no argument 2",
            "arguments: 0 sk",
        ),
        (
            one(
                {"index": 0, "type": "file"},
                {"index": 0, "type": "char_buf", "sizeArgIndex": 3},
                call="tcp_connect",
            ),
            "'tcp_connect' has no argument 2",
            "arguments: 0 sk",
        ),
    ],
    Cause.MISTAKE: [
        (
            calls("sys_opnat"),
            "the kernel has no x64 system call 'opnat'",
            "did you mean 'openat'?",
        ),
        (
            calls("arm64/opnat"),
            "the kernel has no arm64 system call 'opnat'",
            "did you mean 'openat'?",
        ),
        (
            in_list("opnat"),
            "there is no system call 'opnat'",
            "did you mean 'openat'?",
        ),
        (
            one(SOCK, THIRD, call="tcp_connect"),
            "'tcp_connect' has no argument 2",
            "arguments: 0 sk",
        ),
        (
            one({"index": 0, "type": "int", "resolve": "a"}),
            "resolve needs a pointer to a struct; this is unsigned int",
            "give btfType",
        ),
        (
            calls("fd_install"),
            "'fd_install' is a function and no system call",
            "set syscall: false",
        ),
    ],
    Cause.RELEASE: [
        (
            {"uprobes": [{"path": "/bin/sh", "symbols": ["main"]}]},
            "uprobes cannot run in this release",
            None,
        ),
        (
            {"kprobes": [kprobe()], "loader": True},
            "loader events cannot run in this release",
            None,
        ),
        (
            {"kprobes": [kprobe()], "podSelector": {"matchLabels": {"app": "db"}}},
            "podSelector cannot run in this release: workloads are not told apart",
            None,
        ),
        (
            filtered(matchArgs={"operator": "CelExpr", "values": ["arg1 == 1"]}),
            "CelExpr cannot run in this release",
            None,
        ),
    ],
}


@pytest.mark.parametrize(
    ("cause", "spec", "message", "hint"),
    [(cause, *case) for cause, cases in CAUSES.items() for case in cases],
)
def test_causes(cause, spec, message, hint):
    """Only a mistake is one everywhere; the rest runs on another kernel, or later."""
    target = FakeTarget(text_bytes_max=472)
    result = compile_policies([load(spec)], target)
    [errors] = result.refused.values()
    [found] = errors

    assert found.cause is cause
    if message:
        assert found.message == message
    if hint or cause is Cause.MISTAKE:
        assert found.hint == hint


def test_what_is_left_out_has_its_cause_too():
    """A name that may be missing is a warning, and keeps why it is missing."""
    spec = one(call="none", ignore={"callNotFound": True})
    [found] = compile_policies([load(spec)], FakeTarget()).diagnostics

    assert (found.severity, found.cause) == ("warning", Cause.KERNEL)


def test_a_thousand_policies():
    """On two hooks: every one of them finds what it wants, and only that."""
    target = FakeTarget()
    target.functions["other"] = FUNCTIONS["security_file_permission"]
    calls = ("security_file_permission", "other")
    policies = [
        load(
            {
                "kprobes": [
                    kprobe(
                        [
                            {
                                "matchBinaries": [
                                    {"operator": "In", "values": [f"/bin/{n % 100}"]}
                                ],
                                "matchArgs": [
                                    {
                                        "index": 0,
                                        "operator": "Prefix",
                                        "values": [f"/srv/{n}/"],
                                    },
                                    {
                                        "index": 1,
                                        "operator": "Equal",
                                        "values": [f"{n % 7}"],
                                    },
                                ],
                            }
                        ],
                        call=calls[n % 2],
                    )
                ]
            },
            f"p{n}",
        )
        for n in range(1000)
    ]
    result = compile_policies(policies, target)

    assert not result.diagnostics
    assert [len(hook.selectors) for hook in result.plan.hooks] == [500, 500]
    for n in range(0, 1000, 37):
        hook = result.plan.hooks[n % 2]
        process = Process(binaries=(b"/bin/%d" % (n % 100),))
        slots = {0: path(b"/srv/%d/x" % n), 1: number(n % 7)}

        found = matches(hook, result.plan.classes, Hit(slots, process))
        assert found == [(f"p{n}", "spec.kprobes[0]", 0)]
        slots[1] = number(n % 7 + 1)
        assert matches(hook, result.plan.classes, Hit(slots, process)) == []
