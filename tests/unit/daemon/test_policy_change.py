# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.daemon.policy_change: what a set is, and what became of it."""

from __future__ import annotations

import structlog.testing

from tests.unit.daemon.policy_host import OPENAT
from tetragon_py.compiler.plan import AttachPoint
from tetragon_py.daemon.policy_change import (
    PolicyDifference,
    SetChange,
    compare_policies,
    digest_policies,
    log_errors,
)
from tetragon_py.policy.diagnostic import Diagnostic, Severity
from tetragon_py.policy.source import load_policies


def read(host):
    return load_policies([host.folder]).policies


def test_digest_is_what_the_set_says(host):
    """Files, order and comments do not count; modes, options and texts do."""
    digests = [digest_policies(())]
    path = host.write("a", {"kprobes": [OPENAT]})
    digests.append(digest_policies(read(host)))
    host.write("b", {"kprobes": [OPENAT]})
    both = read(host)
    digests.append(digest_policies(both))
    monitor = [{"name": "policy-mode", "value": "monitor"}]
    host.write("b", {"kprobes": [OPENAT], "options": monitor})
    digests.append(digest_policies(read(host)))
    host.write("b", {"kprobes": [OPENAT | {"message": "words"}]})
    digests.append(digest_policies(read(host)))

    assert len(set(digests)) == 5
    host.write("b", {"kprobes": [OPENAT]}).rename(host.folder / "0.yaml")
    path.write_text(f"# a comment\n{path.read_text()}")
    assert digest_policies(read(host)) == digest_policies(reversed(both)) == digests[2]


def test_difference(host):
    """Added, removed and changed, in the order of loading."""
    for name in "abcd":
        host.write(name, {"kprobes": [OPENAT]})
    before = read(host)
    for name in "bd":
        host.write(name, {"kprobes": [OPENAT | {"message": "words"}]})
    host.write("e", {"kprobes": [OPENAT]})
    (host.folder / "a.yaml").unlink()

    assert compare_policies(before, read(host)) == PolicyDifference(
        ("e",), ("a",), ("b", "d")
    )
    assert not compare_policies(before, before)


def logged(change, *, is_first):
    with structlog.testing.capture_logs() as logs:
        change.log(is_first=is_first)
    [entry] = logs
    return entry


def test_log_line():
    """A first set is counted, a change is named, of many names the first ones."""
    names = tuple(f"p{number}" for number in range(30))
    hook = AttachPoint("lsm", "file_open")
    difference = PolicyDifference(names, ("gone",), ())
    change = SetChange(
        3, "0123456789abcdef", 31, 2, difference, (hook, hook), is_switch=True
    )
    first = logged(change, is_first=True)
    later = logged(change, is_first=False)

    assert first == {
        "event": "policies in force",
        "log_level": "info",
        "policies": 31,
        "hooks": 2,
        "generation": 3,
        "digest": "0123456789ab",
        "seconds": 0.0,
    }
    assert later == first | {
        "added": [*names[:20], "and 10 more"],
        "removed": ["gone"],
        "hooks_attached": 2,
    }
    same = logged(SetChange(3, "0", 31, 2), is_first=False)
    assert same["event"] == "policies are unchanged"


def test_errors_are_lines():
    """One for each, up to fifty; what is not known is left out."""
    error = Diagnostic(Severity.ERROR, "a.yaml", 0, 0, "", "bad")
    placed = Diagnostic(Severity.ERROR, "a.yaml", 3, 4, "spec", "bad", "do this")
    with structlog.testing.capture_logs() as logs:
        log_errors("wrong", [error, placed, *[error] * 60])

    common = {"event": "wrong", "log_level": "error", "error": "bad", "file": "a.yaml"}
    assert logs[0] == common
    assert logs[1] == common | {"line": 3, "field": "spec", "hint": "do this"}
    assert len(logs) == 51
    assert logs[-1] == {"event": "wrong", "log_level": "error", "more_errors": 12}
