# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.libbpf.features: facts that hold on every supported kernel."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from tetragon_py.libbpf import _probe_hooks
from tetragon_py.libbpf.features import FEATURES, REQUIRED, Feature, probe, probe_all

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture(autouse=True)
def _fresh():
    """Ask the kernel, not an earlier test."""
    probe.cache_clear()


@pytest.mark.parametrize(
    "name",
    [*REQUIRED, "raw_tracepoint", "sys_enter", "send_signal", "batch", "test_run"],
)
def test_every_supported_kernel(name):
    """What the agent is built on is found on every kernel."""
    result = probe(name)

    assert result.available, result.reason


def test_everything_has_a_reason():
    """Each feature answers with a reason, for no and for yes."""
    results = probe_all()

    assert [result.name for result in results] == list(FEATURES)
    assert all(result.reason for result in results)


def test_nothing_is_left():
    """The probes leave no descriptor, no limit and no name changed."""

    def state():
        return (
            len(list(Path("/proc/self/fd").iterdir())),
            resource.getrlimit(resource.RLIMIT_MEMLOCK),
            Path("/proc/self/comm").read_bytes(),
        )

    probe_all()  # libbpf lifts the limit once, on old kernels
    probe.cache_clear()
    before = state()
    probe_all()

    assert state() == before


def test_the_impossible(monkeypatch):
    """A hook that no kernel has is not available, and the reason names it."""
    impossible = Feature(
        "impossible",
        "hooks",
        "99.0",
        lambda: _probe_hooks.typed_tracepoint("no_such_tracepoint", lambda: None),
    )
    monkeypatch.setitem(FEATURES, "impossible", impossible)

    assert probe("impossible").reason == (
        "the kernel's BTF has no btf_trace_no_such_tracepoint"
    )


def test_refused_by_the_kernel(monkeypatch):
    """A tracepoint that does not exist is refused by the kernel itself, with errno."""
    monkeypatch.setattr(_probe_hooks, "RENAME", "no_such_tracepoint")
    result = probe("raw_tracepoint")

    assert not result.available
    assert result.reason.startswith("ENOENT at attach: ")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("kretprobe", "kprobe"),
        ("kprobe_session", "kprobe_multi"),
        ("fexit", "fentry"),
        ("get_func_arg", "fentry"),
        ("uprobe_multi", "uprobe"),
        ("lsm_sleepable", "lsm"),
    ],
)
def test_one_needs_the_other(one, other):
    """No kernel has the first without the second."""
    assert probe(other).available or not probe(one).available
