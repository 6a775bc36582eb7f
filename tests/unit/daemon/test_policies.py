# SPDX-License-Identifier: Apache-2.0
"""Tests of tetragon_py.daemon.policies: all of a policy set in force, or nothing."""

from __future__ import annotations

import pytest

from tests.unit.compiler.policies import kprobe
from tests.unit.daemon.policy_host import KILL, OPENAT, Host, load
from tetragon_py.compiler.plan import AttachPoint
from tetragon_py.errors import KernelError, LimitError, PolicyError
from tetragon_py.loader.generation import HookError
from tetragon_py.settings import Settings

NO_KPROBE = (
    "cannot be attached by kprobe: this kernel has no kprobe (kernel functions by "
    "kprobe): no PMU"
)


def test_all_policies_are_put_in_force(host, tmp_path):
    """Those of the directory first, then the files; the log says what is in force."""
    host.write("b", {"kprobes": [OPENAT]})
    host.write("a", {"kprobes": [kprobe()]})
    other = Host(tmp_path).write("z", {"kprobes": [OPENAT]}, {"kprobes": [OPENAT]})
    policies = host.policies(other)
    count, [said] = load(policies)
    [made] = host.made
    [plan] = made.plans

    assert count == 4
    assert [[s.policy for s in hook.selectors] for hook in plan.hooks] == [
        ["a"],
        ["b", "z", "z-1"],
    ]
    assert said == {
        "event": "policies in force",
        "log_level": "info",
        "policies": 4,
        "hooks": 2,
        "generation": 1,
        "digest": policies.change.digest[:12],
        "seconds": round(policies.change.seconds, 3),
    }
    assert policies.change.seconds >= 0.0123
    policies.close()
    assert made.closed == 1


def test_without_policies(host):
    """An empty directory is no mistake, and loads nothing."""
    policies = host.policies()

    assert load(policies) == (0, [])
    assert host.made == []
    policies.close()


def test_the_default_directory_need_not_exist(host, tmp_path, monkeypatch):
    """Only a directory that somebody asks for has to be there."""
    field = Settings.model_fields["tracing_policy_dir"]
    missing = tmp_path / "missing"
    monkeypatch.setattr(field, "default", missing)
    Settings.model_rebuild(force=True)
    try:
        policies = host.of(Settings())
    finally:
        monkeypatch.undo()
        Settings.model_rebuild(force=True)

    assert load(policies) == (0, [])
    with pytest.raises(PolicyError, match=r"missing: error: cannot be read: No such f"):
        host.policies(tracing_policy_dir=missing).load()


def test_reading_touches_nothing(host):
    """read() judges; load() takes what it has read."""
    path = host.write("a", {"kprobes": [OPENAT]})
    policies = host.policies()
    policies.read()
    path.unlink()

    assert host.made == []
    assert policies.load().policies == 1


def test_everything_that_is_wrong_is_told_at_once(host, tmp_path):
    """Files that are missing, mistakes, what the kernel lacks: a line for each."""
    host.missing = {"fentry", "kprobe"}
    host.write(
        "a",
        {"kprobes": [{"call": "sys_openat", "args": [{"index": 9, "type": "int"}]}]},
    )
    host.write("b", {"kprobes": [kprobe(call="no_such", args=[])]})
    host.write("c", {"kprobes": [kprobe(), OPENAT]})
    lines = host.refusal(tmp_path / "none.yaml").splitlines()
    errors = [line for line in lines if not line.startswith("  hint: ")]

    assert [line.replace(f"{host.folder}/", "") for line in errors] == [
        "a.yaml:13:16: error: spec.kprobes[0].args[0].index: 9 is too large",
        f"{tmp_path}/none.yaml: error: cannot be read: No such file or directory",
        "b.yaml:10:13: error: spec.kprobes[0].call: the kernel has no function "
        "'no_such'",
        "c.yaml:9:4: error: spec.kprobes[0]: function security_file_permission "
        f"{NO_KPROBE}",
    ]
    assert host.made == []


def test_hooks_that_lack_the_same_are_one_line(host):
    """A list of functions does not flood."""
    host.missing = {"fentry", "kprobe"}
    names = ["fd_install", "tcp_connect", "tcp_close", "cap_capable", "vfs_write"]
    spec = {
        "kprobes": [{"call": "list:many", "syscall": False}],
        "lists": [{"name": "many", "values": names}],
    }
    host.write("a", spec, spec)
    lines = host.refusal().splitlines()

    assert len(lines) == 2  # one for each policy
    assert lines[0] == (
        f"{host.folder}/a.yaml:9:4: error: spec.kprobes[0]: functions fd_install, "
        f"tcp_connect, tcp_close, cap_capable and 1 more {NO_KPROBE}"
    )


def test_very_many_errors_are_counted(host):
    """The first fifty are shown."""
    names = [f"no_{number}" for number in range(60)]
    spec = {
        "kprobes": [{"call": "list:many", "syscall": False}],
        "lists": [{"name": "many", "values": names}],
    }
    host.write("a", spec)
    lines = host.refusal().splitlines()

    assert len(lines) == 51
    assert lines[-1] == "and 10 more"


def test_untrusted_files_are_refused(host):
    """What others could have written is not loaded."""
    host.write("a", {"kprobes": [OPENAT]}).chmod(0o666)

    assert "a.yaml: error: can be written by others (mode 0666)" in host.refusal()


def test_names_are_unique(host, tmp_path):
    """A second policy of the same name is refused, with the place of the first."""
    host.write("a", {"kprobes": [OPENAT]})
    other = Host(tmp_path).write("a", {"kprobes": [OPENAT]})

    assert host.refusal(other).startswith(
        f"{other}:5:11: error: metadata.name: a is the name of a policy in "
        f"{host.folder}/a.yaml:5"
    )


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (LimitError("too large"), PolicyError, "too large"),
        (KernelError("bpf_map_update_batch", 22), KernelError, "bpf_map_update_batch"),
    ],
)
def test_nothing_is_half_loaded(host, error, kind, text):
    """Whatever fails while the set is put in force, the kernel side is closed."""
    host.error = error
    host.write("a", {"kprobes": [OPENAT]})
    policies = host.policies()
    with pytest.raises(kind, match=text):
        policies.load()

    assert [made.closed for made in host.made] == [1]
    policies.close()
    assert [made.closed for made in host.made] == [1]


def test_a_hook_that_fails_is_told_with_its_places(host):
    """Each entry that wants the hook is named by file, line and field."""
    cause = KernelError("attach enter_kprobe to tcp_connect", 2)
    host.error = HookError(AttachPoint("function", "tcp_connect"), ["a"], cause)
    host.error.__cause__ = cause
    host.write("a", {"kprobes": [OPENAT, kprobe(call="tcp_connect", args=[])]})
    host.write("b", {"kprobes": [kprobe(call="tcp_connect", args=[])]})
    lines = host.refusal().splitlines()
    text = (
        "function tcp_connect cannot be attached: attach enter_kprobe to tcp_connect: "
        "No such file or directory (ENOENT)"
    )

    assert [line.replace(f"{host.folder}/", "") for line in lines] == [
        f"a.yaml:18:4: error: spec.kprobes[1]: {text}",
        f"b.yaml:9:4: error: spec.kprobes[0]: {text}",
    ]
    assert [made.closed for made in host.made] == [1]


def test_remarks_are_logged_once_each(host):
    """Warnings and notes have file, line, policy and field; of two documents too."""
    mismatch = kprobe(args=[{"index": 0, "type": "sock"}])
    stack = {"matchActions": [{"action": "Post", "kernelStackTrace": True}]}
    path = host.write("a", {"kprobes": [mismatch]}, {"kprobes": [kprobe([stack])]})
    (host.folder / "notes.txt").write_text("")
    _, logs = load(host.policies())

    assert logs[:-1] == [
        {
            "event": "is not read: only files that end in .yaml, .yml or .json are",
            "log_level": "info",
            "file": str(host.folder / "notes.txt"),
        },
        {
            "event": "argument 0 is struct file *: read as sock",
            "log_level": "warning",
            "file": str(path),
            "line": 13,
            "policy": "a",
            "field": "spec.kprobes[0].args[0]",
        },
        {
            "event": "stack traces are not collected yet",
            "log_level": "info",
            "file": str(path),
            "line": 50,
            "policy": "a-1",
            "field": "spec.kprobes[0].selectors[0].matchActions[0].kernelStackTrace",
        },
    ]


def test_enforcement_is_announced(host):
    """What a policy may do to processes is in the log."""
    path = host.write("a", {"kprobes": [KILL]})
    _, logs = load(host.policies())
    [said] = [entry for entry in logs if entry["event"] == "the policy enforces"]

    assert said == {
        "event": "the policy enforces",
        "log_level": "info",
        "file": str(path),
        "policy": "a",
        "actions": ["Override", "Sigkill"],
    }
