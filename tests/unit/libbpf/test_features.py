# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.libbpf.features: failures of a made-up kernel become reasons."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tetragon_py.libbpf import (
    _attempt,
    _probe_base,
    _probe_helpers,
    _probe_hooks,
    features,
)
from tetragon_py.libbpf import _insn as insn
from tetragon_py.libbpf._libbpf import ffi

ALL = list(features.FEATURES)


class FakeLib:
    """A kernel that allows everything; `fails` has function -> errno.

    Descriptors are real ones, so that a leak can be seen; map values are `value`.
    """

    def __init__(self):
        self.fails = {}
        self.value = 1
        self.log = b"R2 type=scalar expected=func"
        self.loaded = []

    def answer(self, name):
        if name in self.fails:
            return -self.fails[name]
        return os.open(os.devnull, os.O_RDONLY)

    def tpy_program_load(self, kind, *arguments):
        buffer, count, log, size = (arguments[i] for i in (3, 4, 6, 7))
        self.loaded.append((kind, bytes(ffi.buffer(buffer, count * 8))))
        if size:
            ffi.memmove(log, self.log, len(self.log))
        return self.answer("load")

    def tpy_map_create(self, *_):
        return self.answer("map")

    def tpy_bpf(self, command, *_):
        return self.answer(f"bpf{command}")

    def tpy_perf_event(self, *_):
        return self.answer("perf")

    def tpy_link_create(self, *_):
        return self.answer("link")

    def bpf_raw_tracepoint_open(self, *_):
        return self.answer("attach")

    def bpf_iter_create(self, *_):
        return self.answer("iter")

    def bpf_enable_stats(self, *_):
        return self.answer("stats")

    def bpf_map_lookup_elem(self, _fd, _key, value):
        value[0] = self.value
        return -self.fails.get("lookup", 0)

    def tpy_map_lookup_batch(self, *_):
        return -self.fails.get("batch", errno.ENOENT)

    def tpy_test_run(self, _fd, _context, _size, result):
        result[0] = 7 if self.value else 0
        return -self.fails.get("run", 0)


@pytest.fixture
def lib(monkeypatch, tmp_path):
    """The fake, in place of libbpf and of what the probes read of the host."""
    fake = FakeLib()
    for module in (_attempt, _probe_base, _probe_hooks):
        monkeypatch.setattr(module, "lib", fake)
    for module in (_attempt, _probe_helpers, _probe_hooks):
        monkeypatch.setattr(module, "type_id", lambda name, kind: 1)
    monkeypatch.setattr(_probe_base, "has_kernel_btf", lambda: True)
    for module in (_probe_base, _probe_hooks):
        monkeypatch.setattr(module, "mount_point", lambda kind: tmp_path)
    monkeypatch.setattr(_probe_hooks, "perf_pmu", lambda name: 6)
    monkeypatch.setattr("fcntl.ioctl", lambda *arguments: 0)
    number = tmp_path / "events/task/task_rename/id"
    number.parent.mkdir(parents=True)
    number.write_text("81\n")
    monkeypatch.setattr(_probe_hooks, "_own_group", lambda: "/")
    monkeypatch.setattr(_probe_hooks, "_own_function", lambda: ("/file", 64))
    monkeypatch.setattr(_probe_hooks, "_call_own_function", lambda: None)
    features.probe.cache_clear()
    yield fake
    features.probe.cache_clear()


def open_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_table():
    """Names are short, versions are versions, what is required exists."""
    for name, feature in features.FEATURES.items():
        assert name.isidentifier()
        major, minor = feature.since.split(".")
        assert (int(major), int(minor)) > (4, 0)
        assert feature.title
        assert len(feature.title) < 40
    assert set(features.REQUIRED) <= set(features.FEATURES)


def test_result(lib):
    """A feature that works says so with all that the table knows."""
    assert features.probe("iter_task") == features.ProbeResult(
        "iter_task", "iterator over tasks", "5.8", True, "attached and ran"
    )


def test_answers_are_kept(lib):
    """The second question does not ask the kernel again."""
    first = features.probe("send_signal")
    lib.fails["load"] = errno.EPERM

    assert features.probe("send_signal") is first
    assert len(lib.loaded) == 1


def test_unknown_name():
    """A name that is not in the table is a mistake of the caller."""
    with pytest.raises(KeyError):
        features.probe("no_such_feature")


def test_probe_all_keeps_the_order(lib):
    """All features come in the order of the table."""
    assert [result.name for result in features.probe_all()] == ALL


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.EPERM, "EPERM at load: not permitted: lockdown"),
        (errno.EINVAL, "EINVAL at load: unknown to this kernel"),
        (errno.EOPNOTSUPP, "EOPNOTSUPP at load: not built into this kernel"),
        (524, "ENOTSUPP at load: not supported on this architecture"),
        (errno.ENOSPC, "ENOSPC at load: No space left on device"),
        (9999, "9999 at load: Unknown error 9999"),
    ],
)
def test_failure_is_a_reason(lib, number, reason):
    """An error of the kernel is named and explained."""
    lib.fails["load"] = number
    result = features.probe("fentry")

    assert not result.available
    assert result.reason.startswith(reason)


def test_option_is_named(lib):
    """What distributions do not build in is named with its option."""
    lib.fails["load"] = errno.EINVAL

    assert "(it needs CONFIG_BPF_KPROBE_OVERRIDE)" in (
        features.probe("override_return").reason
    )


def test_loads_but_cannot_attach(lib):
    """A program that loads is not enough."""
    lib.fails["attach"] = 524

    assert features.probe("get_func_arg").available
    assert features.probe("fentry").reason.startswith("ENOTSUPP at attach")


def test_attaches_but_never_runs(lib):
    """A program that is attached without effect is not available."""
    lib.value = 0
    result = features.probe("lsm")

    assert not result.available
    assert result.reason.startswith("attaches, but never runs: add bpf to the list")
    assert not features.probe("syscall_prog").available


@pytest.mark.parametrize(
    ("said", "available"),
    [
        (b"0: (85) call bpf_loop#181\nR2 type=scalar expected=func\n", True),
        (b"invalid func unknown#181\n", False),
        (b"program of this type cannot use helper bpf_loop#181\n", False),
    ],
)
def test_loop_by_the_verifiers_words(lib, said, available):
    """A callback cannot be given, so the verifier's complaint decides."""
    lib.fails["load"], lib.log = errno.EINVAL, said
    result = features.probe("bpf_loop")

    assert result.available is available
    assert available or said.decode().strip() in result.reason


def test_loop_without_words(lib):
    """If the kernel refuses before the verifier speaks, its errno is the reason."""
    lib.fails["load"], lib.log = errno.EPERM, b""

    assert features.probe("bpf_loop").reason.startswith("EPERM at load")


def test_memory_limit(lib):
    """Maps that count against RLIMIT_MEMLOCK are told from other failures."""
    lib.fails["bpf0"] = errno.EPERM
    assert "RLIMIT_MEMLOCK" in features.probe("memcg").reason

    features.probe.cache_clear()
    lib.fails["bpf0"] = errno.ENOMEM
    assert features.probe("memcg").reason.startswith("ENOMEM at create map")


def test_nothing_in_btf(lib, monkeypatch):
    """Without the hooked functions the reason names them."""
    for module in (_attempt, _probe_hooks):
        monkeypatch.setattr(module, "type_id", lambda name, kind: None)

    assert "security_task_getpgid" in features.probe("kprobe").reason
    assert "bpf_lsm_task_getpgid" in features.probe("lsm").reason


def test_missing_file_is_a_reason(lib, monkeypatch):
    """A file that cannot be read becomes a reason with its name."""
    for module in (_probe_base, _probe_hooks):
        monkeypatch.setattr(module, "mount_point", lambda kind: Path("/no"))

    assert features.probe("tracepoint").reason == (
        "/no/events/task/task_rename/id is missing: lockdown, "
        "or built without CONFIG_FTRACE"
    )
    assert (
        features.probe("cgroup_skb").reason == "ENOENT: No such file or directory: /no"
    )


@pytest.mark.parametrize(
    "failing",
    [
        "nothing",
        "load",
        "map",
        "attach",
        "link",
        "perf",
        "iter",
        "stats",
        "lookup",
        "batch",
        "run",
        "bpf0",
        "bpf18",
        "bpf28",
    ],
)
def test_no_descriptor_leaks(lib, failing):
    """Wherever the kernel fails, every descriptor is closed and nothing is raised."""
    lib.fails[failing] = errno.EPERM
    before = open_descriptors()
    results = features.probe_all()

    assert open_descriptors() == before
    assert all(result.reason for result in results)
    assert all(result.available for result in results) is (failing == "nothing")


def test_failing_ioctl(lib, monkeypatch):
    """The perf event is closed if no program can be put on it."""

    def refuse(*_):
        raise OSError(errno.EEXIST, "exists")

    monkeypatch.setattr("fcntl.ioctl", refuse)
    before = open_descriptors()

    assert features.probe("kprobe").reason.startswith("EEXIST at attach")
    assert open_descriptors() == before


def test_mount_point(monkeypatch):
    """The first mount of the kind counts; octal escapes are undone."""
    text = (
        "21 1 0:20 / /proc rw - proc proc rw\n"
        "35 2 0:30 / /sys/b\\040\\303\\244 rw,nosuid shared:9 - bpf bpf rw,mode=700\n"
        "36 2 0:31 / /other rw - bpf bpf rw\n"
    )
    monkeypatch.setattr("pathlib.Path.read_text", lambda self: text)

    assert str(_attempt.mount_point("bpf")) == "/sys/b ä"
    with pytest.raises(_attempt.AbsentError, match="no tracefs file system"):
        _attempt.mount_point("tracefs")


def test_missing_pmu(monkeypatch):
    """Without a perf PMU the option is named."""

    def missing(self):
        raise FileNotFoundError

    monkeypatch.setattr("pathlib.Path.read_text", missing)

    with pytest.raises(_attempt.AbsentError, match="CONFIG_KPROBE_EVENTS"):
        _attempt.perf_pmu("kprobe")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (insn.result(0), "b700000000000000 9500000000000000"),
        (insn.set_number(3, -8), "b7030000f8ffffff"),
        (insn.copy(3, 10), "bfa3000000000000"),
        (insn.add_number(3, -8), "07030000f8ffffff"),
        (insn.load(1, 1, 8), "7911080000000000"),
        (insn.store_number(10, -8, 0), "7a0af8ff00000000"),
        (insn.add_memory(1, 2), "db21000000000000"),
        (insn.load_map(1, 5), "1811000005000000 0000000000000000"),
        (insn.load_map_value(1, 5), "1821000005000000 0000000000000000"),
        (insn.call(109), "850000006d000000"),
    ],
)
def test_instructions(code, expected):
    """Instructions are those of the kernel's encoding (little-endian)."""
    assert code == bytes.fromhex(expected)
