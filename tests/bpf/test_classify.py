# SPDX-License-Identifier: Apache-2.0
"""The kernel's classifier and a plain-Python evaluator agree on what matches.

Random policies and hits, through the real loader of policies, compiler and tables: see
tests/fuzz. `python -m tests.fuzz` goes on where these end.
"""

from __future__ import annotations

import stat
import subprocess
import sys
from collections import Counter
from ipaddress import ip_address

import pytest

from tests.fuzz import evaluator
from tests.fuzz.case import PolicySet
from tests.fuzz.driver import Fuzz
from tests.fuzz.hit import ArgumentKey, File, Hit, Socket, UnixName, Unreadable
from tests.fuzz.kernel import Classified, Classifier
from tests.fuzz.mutants import MUTANTS
from tests.fuzz.myself import read_myself
from tests.fuzz.program import ROOT, build_classifier
from tests.fuzz.record import KINDS
from tests.fuzz.shape import argument_document
from tests.fuzz.target import FUNCTION
from tests.vm.expected import guest_kernel
from tetragon_py.compiler.tables import classes
from tetragon_py.policy.model.arguments import ArgumentType
from tetragon_py.policy.model.operators import OPERATORS, Operator, TypeKind

SEED = 20261122
#: Under emulation all takes ten to twenty times as long.
IN_GUEST = guest_kernel() is not None
COMPARISONS = 1_000 if IN_GUEST else 100_000
FEW = 200 if IN_GUEST else 5_000
#: Each mutant is found far earlier.
UNTIL_FOUND = 20_000


@pytest.fixture(scope="module")
def image():
    return build_classifier()


@pytest.fixture(scope="module")
def fuzz(image):
    with Classifier(image) as classifier:
        yield Fuzz(classifier)


@pytest.fixture
def outcomes(monkeypatch):
    """How often each operator said what; None: the value could not be read."""
    counts: Counter[tuple[TypeKind, Operator, bool | None]] = Counter()
    make = evaluator._argument

    def make_counted(entry, keys, *rest):
        holds = make(entry, keys, *rest)

        def counted(hit):
            outcome = holds(hit)
            counts[keys[0].type.kind, entry.operator, outcome] += 1
            return outcome

        return counted

    monkeypatch.setattr(evaluator, "_argument", make_counted)
    return counts


def check(summary, comparisons):
    """All agreed, and something was to be agreed on."""
    print(f"seed {SEED}: {summary}")

    assert not summary.failure, summary.failure
    assert summary.comparisons >= comparisons
    assert summary.comparisons / 2 < summary.with_match
    # Only policies that do not fit beside the others.
    assert all("more than" in message for message in summary.refused)
    assert sum(summary.refused.values()) < summary.policies / 20
    assert summary.too_large <= summary.rounds / 20


def test_all_agree(fuzz, outcomes):
    """No hit is seen differently: every selector, and which one counts for a policy."""
    check(fuzz.run(SEED, COMPARISONS), COMPARISONS)
    asked = {
        (kind.kind, operator, outcome)
        for kind in KINDS
        for operator in OPERATORS[kind.kind] - {Operator.CEL_EXPR}
        for outcome in (True, False, None)
    }
    never = [question for question in asked if not outcomes[question]]

    assert IN_GUEST or not never


def test_all_agree_without_long_keys(image):
    """The same where the keys of hashes end at 512 bytes."""
    with Classifier(image, has_long_texts=False) as classifier:
        check(Fuzz(classifier).run(SEED + 1, FEW), FEW)


def test_all_agree_where_classes_are_searched(fuzz, monkeypatch):
    """The same with bounds instead of rows for classes, as large sets have them."""
    monkeypatch.setattr(classes, "SMALL", 0)
    monkeypatch.setattr(classes, "SPARSE", 0)
    check(fuzz.run(SEED + 3, FEW), FEW)


def test_all_agree_in_another_thread_and_pid_namespace():
    """Pids are those of the process, seen from the right namespace."""
    command = ["unshare", "--pid", "--uts", "--fork", sys.executable, "-m"]
    command += ["tests.fuzz", f"--seed={SEED + 2}", f"--comparisons={FEW}"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"seed {SEED + 2}" in done.stdout


# ---- examples: what is promised, with the answer written down ----

UNREADABLE = Unreadable(14)


def sock(address, port=0, family=2):
    source = ip_address(address) if address else None
    return Socket(family, 6, 1, source, None, port, 0)


@pytest.mark.parametrize(
    ("kind", "operator", "values", "value", "matches"),
    [
        ("string", "Equal", ["/etc/passwd"], b"/etc/passwd", True),
        ("string", "Equal", ["/etc/passwd"], b"/etc/passwd2", False),
        ("string", "Equal", ["a", "b"], b"b", True),
        ("string", "Equal", ["a"], UNREADABLE, False),
        ("string", "NotEqual", ["a", "b"], b"b", False),
        ("string", "NotEqual", ["a"], UNREADABLE, False),
        ("string", "NotEqual", ["a"], b"", True),
        ("string", "Equal", [""], b"", True),
        ("string", "Equal", ["x" * 400], b"x" * 400, True),
        ("string", "Equal", ["x" * 400], b"x" * 401, False),
        ("string", "Prefix", ["/etc/"], b"/etc", False),
        ("string", "Prefix", ["/etc/"], b"/etc/", True),
        ("string", "NotPrefix", ["/etc/", "/usr"], b"/usr/bin", False),
        ("string", "Postfix", ["wd"], b"passwd", True),
        ("string", "NotPostfix", ["wd"], b"d", True),
        ("string", "SubString", ["b"], b"a" * 1023 + b"b", True),
        ("string", "SubString", ["b"], b"a" * 1024 + b"b", False),
        ("string", "SubString", ["aab"], b"aaab", True),
        ("string", "SubStringIgnCase", ["PaSs"], b"/pAsS", True),
        ("char_buf", "Equal", ["a"], b"a\0b", False),
        ("char_buf", "Postfix", ["b"], b"a\0b", True),
        ("int", "Equal", ["0xffffffff"], -1, True),
        ("int", "GT", ["-1"], -1, False),
        ("int", "GT", ["-1"], 0, True),
        ("int", "LT", ["-1", "5"], 4, True),
        ("int", "InRange", ["-5:5"], -5, True),
        ("int", "InRange", ["-5:5"], 6, False),
        ("int", "NotInRange", ["-5:5", "7:9"], 6, True),
        ("int", "NotInRange", ["-5:5"], UNREADABLE, False),
        ("int", "Mask", ["0x80000000"], -1, True),
        ("int", "Mask", ["0x80000000", "2"], 5, False),
        ("uint64", "GT", ["0x7fffffffffffffff"], 1 << 63, True),
        ("uint64", "InMap", ["1", "3:5"], 4, True),
        ("size_t", "Equal", ["0x100000005"], 5, False),
        ("cap_effective", "Equal", ["CAP_CHOWN,CAP_KILL"], 0x21, True),
        ("file", "Equal", ["/a"], File(b"/a", stat.S_IFREG), True),
        ("file", "FileType", ["dir", "reg"], File(b"/a", 0o100644), True),
        ("file", "NotFileType", ["reg"], File(b"/a", stat.S_IFSOCK), True),
        ("file", "NotFileType", ["reg"], UNREADABLE, False),
        ("sock", "SAddr", ["10.0.0.0/8"], sock("10.255.255.255"), True),
        ("sock", "SAddr", ["10.0.0.0/8"], sock("11.0.0.0"), False),
        ("sock", "SAddr", ["10.0.0.0/8"], sock("::ffff:10.0.0.1", 0, 10), True),
        ("sock", "SAddr", ["fd00::/8"], sock("fdff::1", 0, 10), True),
        ("sock", "SAddr", ["0.0.0.0/0", "::/0"], sock(None, 0, 1), False),
        ("sock", "NotSAddr", ["0.0.0.0/0"], sock(None, 0, 1), True),
        ("sock", "SPort", ["80", "8000:8080"], sock("10.0.0.1", 8080), True),
        ("sock", "SPortPriv", [], sock("10.0.0.1", 1023), True),
        ("sock", "SPortPriv", [], sock("10.0.0.1", 1024), False),
        ("sock", "NotSPortPriv", [], sock("10.0.0.1", 1024), True),
        ("sock", "Protocol", ["IPPROTO_TCP"], sock("10.0.0.1"), True),
        ("sock", "Family", ["AF_INET6"], sock("::1", 0, 10), True),
        ("sock", "State", ["TCP_LISTEN"], sock("10.0.0.1"), False),
        ("sockaddr_un", "Equal", ["@a"], UnixName(1, b"\0a"), True),
        ("sockaddr_un", "Prefix", ["/run"], UnixName(1, b"/run/a"), True),
    ],
)
def test_examples(fuzz, kind, operator, values, value, matches):
    """Both say of one selector and one value what is written here."""
    key = ArgumentKey("args", 0, ArgumentType(kind))
    entry = {"index": 0, "operator": operator, "values": values}
    hook = {"call": FUNCTION, "syscall": False, "args": [argument_document(key)]}
    document = {
        "apiVersion": "cilium.io/v1alpha1",
        "kind": "TracingPolicy",
        "metadata": {"name": "example"},
        "spec": {"kprobes": [hook | {"selectors": [{"matchArgs": [entry]}]}]},
    }
    hit = Hit(read_myself(), {key: value})
    expected = Classified(matches, ((0, 0),) if matches else ())
    with PolicySet([document], FUNCTION, [key], fuzz.bench) as policy_set:
        assert policy_set.expected(hit) == expected
        assert list(policy_set.compare([hit])) == [expected]


# ---- the fuzz itself ----


@pytest.mark.parametrize(
    "mutant", MUTANTS[:1] if IN_GUEST else MUTANTS, ids=lambda mutant: mutant.name
)
def test_a_mistake_is_found(mutant):
    """One wrong expression in a stage of the kernel side is noticed soon."""
    with Classifier(build_classifier(mutant)) as classifier:
        summary = Fuzz(classifier).run(SEED, UNTIL_FOUND, is_shrunk=False)

    assert summary.failure
    assert summary.comparisons < UNTIL_FOUND / 2


def test_a_failure_is_made_small():
    """What is printed is one policy with one filter, and the way to see it again."""
    with Classifier(build_classifier(MUTANTS[0])) as classifier:
        failure = Fuzz(classifier).run(SEED, UNTIL_FOUND).failure
    values = failure.partition("values:\n")[2]

    assert failure.startswith(f"--seed {SEED} --round ")
    assert failure.count("kind: TracingPolicy") == 1
    assert failure.count("operator:") == 1
    assert values.lstrip().startswith("- ")
    assert "expected: selectors " in failure
