# SPDX-License-Identifier: Apache-2.0
"""Actions: the bits of a selector, and what goes with them."""

from __future__ import annotations

import pytest

from tests.unit.compiler.policies import compiled, findings, kprobe, load, problem
from tetragon_py.abi import _generated as c
from tetragon_py.compiler.selectors.actions import ENFORCING_BITS, compile_actions
from tetragon_py.compiler.selectors.filters import CapturedHook
from tetragon_py.policy.model.options import OnFailure, PolicyMode, PolicyOptions

POST, NO_POST, SIGNAL = c.ACTION_POST, c.ACTION_NO_POST, c.ACTION_SIGNAL


def selector_of(*actions, **hook):
    spec = {"kprobes": [kprobe([{"matchActions": list(actions)}], **hook)]}
    [found] = compiled(spec).hooks[0].selectors
    return found


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], POST),
        (["Post", "NoPost"], NO_POST),
        (["NoPost", "Post"], POST),
        (["Sigkill"], POST | SIGNAL),
        (["NoPost", "Sigkill"], NO_POST | SIGNAL),
    ],
)
def test_events_are_the_default(names, expected):
    """Of Post and NoPost the last one counts, and exactly one bit is set."""
    found = selector_of(*({"action": name} for name in names))

    assert found.actions == expected


@pytest.mark.parametrize(
    ("actions", "signal"),
    [
        ([{"action": "Signal", "argSig": 10}], 10),
        ([{"action": "Signal", "argSig": 10}, {"action": "Sigkill"}], 9),
        ([{"action": "Sigkill"}, {"action": "Signal", "argSig": 10}], 9),
        (
            [{"action": "Signal", "argSig": 10}, {"action": "Signal", "argSig": 12}],
            10,
        ),
    ],
)
def test_what_kills_wins(actions, signal):
    """One signal is sent: the strongest, else the first."""
    assert selector_of(*actions).signal == signal


def test_parameters():
    """What is returned and which signal is sent; nothing is only counted."""
    found = selector_of({"action": "Override", "argError": -13}, {"action": "Sigkill"})

    assert found.monitored == 0
    assert (found.error, found.signal) == (-13, 9)


@pytest.mark.parametrize(
    ("mode", "expected"), [(PolicyMode.ENFORCE, 0), (PolicyMode.MONITOR, SIGNAL)]
)
def test_modes(mode, expected):
    """The policy's mode decides what is only counted."""
    spec = {"kprobes": [kprobe([{"matchActions": [{"action": "Sigkill"}]}])]}
    hook = load(spec).policy.spec.kprobes[0]

    options = PolicyOptions(policy_mode=mode, on_failure=OnFailure.KILL)
    found = compile_actions(hook.selectors[0], (), CapturedHook(hook), options, [])

    assert found.monitored == expected
    assert found.actions & ENFORCING_BITS == SIGNAL
    assert found.failure_signal == (0 if expected else 9)


def test_rate_limits():
    """In milliseconds; more than 32 bits of them are cut."""
    found = selector_of(
        {"action": "Post", "rateLimit": "5m", "rateLimitScope": "process"}
    )
    assert (found.rate_ms, found.rate_scope) == (300_000, c.RATE_PROCESS)

    year = {"matchActions": [{"action": "Post", "rateLimit": "8760h"}]}
    assert findings({"kprobes": [kprobe([year])]}) == [
        (
            "spec.kprobes[0].selectors[0].matchActions[0].rateLimit",
            "is cut to 4294967 seconds",
        )
    ]


SOCKS = [{"index": 1, "type": "int"}, {"index": 0, "type": "sock"}]


def test_sockets_are_tracked_by_slot():
    """`argSock` is the index of an argument, the plan has its slot."""
    found = selector_of(
        {"action": "TrackSock", "argSock": 0}, call="tcp_close", args=SOCKS
    )

    assert found.actions == POST | c.ACTION_TRACK_SOCK
    assert found.sock_slot == 1


def test_only_one_socket():
    """A selector has room for one."""
    actions = [
        {"action": "TrackSock", "argSock": 0},
        {"action": "UntrackSock", "argSock": 1},
    ]
    arguments = [{"index": 0, "type": "sock"}, {"index": 1, "type": "socket"}]
    spec = kprobe([{"matchActions": actions}], call="no_btf", args=arguments)

    assert problem({"kprobes": [spec]}) == (
        "spec.kprobes[0].selectors[0].matchActions[1].argSock",
        "a selector can track one socket only",
        "",
    )


def test_what_is_tracked_is_a_socket():
    """A type that only the kernel tells may turn out to be none."""
    argument = {"index": 0, "resolve": "argc"}
    action = {"action": "TrackSock", "argSock": 0}
    spec = kprobe(
        [{"matchActions": [action]}], call="security_bprm_check", args=[argument]
    )
    assert problem({"kprobes": [spec]})[:2] == (
        "spec.kprobes[0].selectors[0].matchActions[0].argSock",
        "argument 0 is no socket but int32",
    )

    spec = kprobe(
        call="vfs_write",
        returnArg={"index": 0, "type": "sock", "resolve": "argc", "btfType": "x"},
        returnArgAction="TrackSock",
    ) | {"return": True}
    spec["returnArg"] = {"index": 0, "resolve": "f_flags", "btfType": "file"}
    assert problem({"kprobes": [spec]})[:2] == (
        "spec.kprobes[0].returnArgAction",
        "needs a returned socket, not uint32",
    )


def test_actions_at_the_return_count_too():
    """There is one list of actions: of the whole call."""
    selector = {
        "matchReturnArgs": [{"index": 0, "operator": "LT", "values": ["0"]}],
        "matchReturnActions": [{"action": "Signal", "argSig": 12}],
    }
    spec = kprobe([selector], returnArg={"index": 0, "type": "int"})
    [found] = compiled({"kprobes": [spec | {"return": True}]}).hooks

    assert found.selectors[0].actions == POST | SIGNAL
    assert found.selectors[0].signal == 12
