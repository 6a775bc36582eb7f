# SPDX-License-Identifier: Apache-2.0
"""`run` with policies: all that is asked for is told, or nothing starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.agent import ROOT, SLOWNESS, Agent, until
from tests.e2e.events import one
from tests.e2e.kernel_objects import exists, held_by
from tests.vm.expected import guest_kernel
from tetragon_py.libbpf import features

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.e2e.events import Event, Run

HEAD = """\
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata:
  name: {name}
spec:
"""
OPENS = """
kprobes:
- call: sys_openat
  message: somebody opens it
  tags: [files]
  args:
  - {{index: 0, type: int}}
  - {{index: 1, type: string, label: path}}
  selectors:
  - matchArgs:
    - {{index: 1, operator: Prefix, values: ["{prefix}"]}}
"""
BPFFS = Path("/sys/fs/bpf")


def write(folder: Path, name: str, spec: str) -> Path:
    folder.mkdir(mode=0o755, exist_ok=True)
    path = folder / f"{name}.yaml"
    body = textwrap.indent(textwrap.dedent(spec).strip("\n"), "  ")
    path.write_text(HEAD.format(name=name) + body + "\n")
    path.chmod(0o644)
    return path


def hits(events: Iterable[Event], policy: str | None = None) -> list[Event]:
    """The process_kprobe bodies, of one policy."""
    bodies = [event["process_kprobe"] for event in events if "process_kprobe" in event]
    return [body for body in bodies if policy in {None, body["policy_name"]}]


def read(agent: Agent, path: Path) -> Run:
    """Have another process open a file."""
    return agent.run(["/bin/cat", path])


# ---- good policies ----


def test_openat(tmp_path: Path) -> None:
    """Files below a prefix are told with who opened them; others are not."""
    watched = tmp_path / "watched-one"
    other = tmp_path / "other"
    watched.write_text("x")
    other.write_text("x")
    policy = write(tmp_path, "opens", OPENS.format(prefix=tmp_path / "watched"))
    with Agent(tmp_path, "--tracing-policy", str(policy)) as agent:
        seen = read(agent, watched)
        unseen = read(agent, other)
        body = one(hits(seen.events))

        assert hits(unseen.events) == []
        assert body["function_name"].endswith("_sys_openat")
        assert body["args"] == [
            {"int_arg": -100},
            {"string_arg": str(watched), "label": "path"},
        ]
        assert (body["policy_name"], body["message"], body["tags"]) == (
            "opens",
            "somebody opens it",
            ["files"],
        )
        assert body["action"] == "KPROBE_ACTION_POST"
        assert body["process"] == seen.process
        assert body["parent"]["pid"] == os.getpid()
        assert agent.stop() == 0


def test_several_policies(tmp_path: Path) -> None:
    """Each policy that wants a hit has its event; the same file may hold several."""
    watched = tmp_path / "watched"
    watched.write_text("x")
    first = write(tmp_path, "first", OPENS.format(prefix=tmp_path / "wat"))
    second = write(tmp_path, "second", OPENS.format(prefix=watched))
    text = "---\n".join(path.read_text() for path in (first, second))
    both = tmp_path / "both.yaml"
    both.write_text(text)
    third = write(tmp_path, "third", OPENS.format(prefix="/no/such"))
    options = ("--tracing-policy", str(both), "--tracing-policy", str(third))
    with Agent(tmp_path, *options) as agent:
        found = hits(read(agent, watched).events)

        assert sorted(body["policy_name"] for body in found) == ["first", "second"]
        assert "policies=3" in agent.log()
        assert agent.stop() == 0


def test_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All policies of the directory, and those of the environment; hidden ones not."""
    folder = tmp_path / "tetragon.tp.d"
    for name in ("a", "b", "hidden"):
        write(folder, name, OPENS.format(prefix=tmp_path / "watched"))
    (folder / "hidden.yaml").rename(folder / ".hidden.yaml")
    more = write(tmp_path, "c", OPENS.format(prefix=tmp_path / "watched"))
    monkeypatch.setenv("TETRAGON_PY_TRACING_POLICY", str(more))
    (tmp_path / "watched").write_text("x")
    with Agent(tmp_path, "--tracing-policy-dir", str(folder)) as agent:
        found = hits(read(agent, tmp_path / "watched").events)

        assert sorted(body["policy_name"] for body in found) == ["a", "b", "c"]
        assert agent.stop() == 0


def test_stop_takes_policies_along(tmp_path: Path) -> None:
    """After the end nothing of a policy is in the kernel."""
    spec = OPENS.format(prefix=tmp_path)
    if features.probe("tracepoint").available:
        spec += "tracepoints:\n- {subsystem: task, event: task_rename}\n"
    policy = write(tmp_path, "opens", spec)
    pins = sorted(BPFFS.rglob("*"))
    with Agent(tmp_path) as agent:
        without = held_by(agent.pid)
        assert agent.stop() == 0
    with Agent(tmp_path, "--tracing-policy", str(policy)) as agent:
        held = held_by(agent.pid)
        assert len(held) > len(without)
        assert agent.stop() == 0
    until(lambda: not any(exists(*each) for each in held), 20, "end of the programs")

    assert sorted(BPFFS.rglob("*")) == pins


def test_enforcement_is_announced(tmp_path: Path) -> None:
    """The log tells what a policy may do to processes."""
    spec = OPENS.format(prefix=tmp_path / "watched")
    policy = write(tmp_path, "kill", spec + "    matchActions: [{action: Sigkill}]\n")
    options = ["--tracing-policy", str(policy), "--log-format", "json"]
    with Agent(tmp_path, *options) as agent:
        assert agent.stop() == 0
    logs = [json.loads(line) for line in agent.log().splitlines()]
    said = one([entry for entry in logs if entry["event"] == "the policy enforces"])

    assert (said["policy"], said["actions"]) == ("kill", ["Sigkill"])
    assert (said["level"], said["file"]) == ("info", str(policy))


@pytest.mark.parametrize("mode", ["enforce", "monitor"])
def test_event_says_what_was_done(tmp_path: Path, mode: str) -> None:
    """The same action in both modes, as in Tetragon; what came of it differs."""
    spec = OPENS.format(prefix=tmp_path / "watched")
    spec += "    matchActions: [{action: Sigkill}]\n"
    spec += f"options: [{{name: policy-mode, value: {mode}}}]\n"
    policy = write(tmp_path, "kill", spec)
    (tmp_path / "watched").write_text("x")
    options = ("--tracing-policy", str(policy), "--fields", "extended")
    with Agent(tmp_path, *options) as agent:
        run = read(agent, tmp_path / "watched")
        assert agent.stop() == 0
    event = one([event for event in run.events if "process_kprobe" in event])
    body = event["process_kprobe"]
    hit = body["hit"]

    assert body["action"] == "KPROBE_ACTION_SIGKILL"
    assert (hit["asked"], hit["mode"]) == (["SIGKILL"], mode)
    if mode == "enforce":
        assert (run.status, run.output) == (-signal.SIGKILL, b"")
        assert (hit["done"], hit["effect"]) == (["POST", "SIGNAL"], "signalled")
        assert (hit["mechanism"], hit["signal"]) == ("signal", "SIGKILL")
        assert event["lane"] == "verdict"
    else:
        assert (run.status, run.output) == (0, b"x")
        assert (hit["done"], hit["effect"]) == (["POST"], "observed")
        assert event["lane"] == "policy"


# ---- bad policies ----


def refused(folder: Path, *options: str) -> list[str]:
    """Start with bad policies beside a good one: what is said, without hints."""
    good = write(folder, "good", OPENS.format(prefix="/"))
    export = folder / "events.jsonl"
    pins = sorted(BPFFS.rglob("*"))
    command = [sys.executable, "-m", "tetragon_py", "run", "--output", "json"]
    command += [
        "--strict",
        "--export-filename",
        str(export),
        "--tracing-policy",
        str(good),
    ]
    done = subprocess.run(
        [*command, *options],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=30 * SLOWNESS,
        check=False,
    )

    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("tetragon-py: ")
    events = export.read_text() if export.exists() else ""
    assert "process_kprobe" not in events + done.stdout
    assert sorted(BPFFS.rglob("*")) == pins
    said = done.stderr.removeprefix("tetragon-py: ").splitlines()
    return [line for line in said if not line.startswith("  hint: ")]


BAD = {
    "no such function": (
        "kprobes: [{call: no_such_function, syscall: false}]",
        "6:20: error: spec.kprobes[0].call: the kernel has no function "
        "'no_such_function'",
    ),
    "no system call": (
        "kprobes: [{call: security_file_open, syscall: true}]",
        "6:20: error: spec.kprobes[0].call: 'security_file_open' is a function and no "
        "system call",
    ),
    "wrong argument": (
        "kprobes: [{call: security_file_open, syscall: false, args: "
        "[{index: 3, type: int}]}]",
        "6:63: error: spec.kprobes[0].args[0]: 'security_file_open' has no argument 3",
    ),
    "wrong type": (
        "kprobes: [{call: sys_openat, args: [{index: 1, type: file}]}]",
        "6:39: error: spec.kprobes[0].args[0]: a system call passes no file",
    ),
    "impossible filter": (
        """
        kprobes:
        - call: sys_openat
          args: [{index: 1, type: string}]
          selectors:
          - matchArgs: [{index: 1, operator: LT, values: ["1"]}]
        """,
        "10:40: error: spec.kprobes[0].selectors[0].matchArgs[0].operator: LT does not "
        "work on type string",
    ),
    "too many selectors": (
        "kprobes:\n- call: sys_openat\n  selectors:\n"
        + "  - matchPIDs: [{operator: In, values: [1]}]\n" * 2000,
        # one of them is the good policy's
        "7:5: error: spec.kprobes[0]: syscall openat gets 2001 selectors, more than "
        "1024",
    ),
    "later": (
        "uprobes: [{path: /bin/sh, symbols: [main]}]",
        "6:13: error: spec.uprobes[0]: uprobes cannot run in this release",
    ),
    "placeholder": (
        """
        kprobes:
        - call: tcp_connect
          syscall: false
          args: [{index: 0, type: sock}]
          selectors:
          - matchArgs: [{index: 0, operator: DAddr, values: ["${NET}"]}]
        """,
        "11:56: error: spec.kprobes[0].selectors[0].matchArgs[0].values[0]: '${NET}' "
        "is no address or network",
    ),
}


#: What is judged before anything is loaded is the same on all kernels.
ONCE = [*BAD][:2] if guest_kernel() else [*BAD]


@pytest.mark.parametrize("name", ONCE)
def test_bad_policy(tmp_path: Path, name: str) -> None:
    """One line with file, line and field; the good policy beside it is not loaded."""
    spec, message = BAD[name]
    path = write(tmp_path, "bad", spec)

    assert refused(tmp_path, "--tracing-policy", str(path)) == [f"{path}:{message}"]


def test_all_bad_policies_are_told(tmp_path: Path) -> None:
    """Of all files, at once."""
    folder = tmp_path / "policies"
    bad = [write(folder, f"bad-{n}", spec) for n, (spec, _) in enumerate(BAD.values())]
    lines = refused(tmp_path, "--tracing-policy-dir", str(folder))
    # those of the directory come before the good one
    messages = [text.replace("2001", "2000") for _, text in BAD.values()]
    expected = [f"{path}:{text}" for path, text in zip(bad, messages, strict=True)]

    assert sorted(lines) == sorted(expected)


def test_hook_on_a_function(tmp_path: Path) -> None:
    """`policy check` says how it is attached, or why not: `run` refuses with that."""
    spec = "kprobes: [{call: tcp_connect, syscall: false}]"
    path = write(tmp_path, "tcp", spec)
    command = [sys.executable, "-m", "tetragon_py", "policy", "check", str(path)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, check=False
    )
    kprobe = features.probe("kprobe")

    assert done.returncode == 0
    if kprobe.available:
        assert f"tcp  {path}\n  1 function by " in done.stdout
        assert done.stderr == ""
        return
    message = (
        "spec.kprobes[0]: function tcp_connect cannot be attached by kprobe: this "
        f"kernel has no kprobe (kernel functions by kprobe): {kprobe.reason}"
    )
    assert done.stderr == f"{path}:6:13: note: {message}\n"
    assert refused(tmp_path, "--tracing-policy", str(path)) == [
        f"{path}:6:13: error: {message}"
    ]


def test_files_that_are_not_there(tmp_path: Path) -> None:
    """A file or a directory that somebody names has to exist."""
    folder, file = tmp_path / "none", tmp_path / "none.yaml"
    options = ("--tracing-policy-dir", str(folder), "--tracing-policy", f"{file}")

    assert refused(tmp_path, *options) == [
        f"{path}: error: cannot be read: No such file or directory"
        for path in (folder, file)
    ]


def test_files_that_others_could_write(tmp_path: Path) -> None:
    """Neither another owner nor a mode that lets others write is accepted."""
    folder = tmp_path / "policies"
    owned, open_to_all = (
        write(folder, name, OPENS.format(prefix="/")) for name in ("a", "b")
    )
    os.chown(owned, 1234, 0)
    open_to_all.chmod(0o646)
    lines = refused(tmp_path, "--tracing-policy-dir", str(folder))
    folder.chmod(0o777)

    assert lines == [
        f"{owned}: error: belongs to user 1234, who could change what is enforced",
        f"{open_to_all}: error: can be written by others (mode 0646)",
    ]
    assert refused(tmp_path, "--tracing-policy-dir", str(folder)) == [
        f"{folder}: error: can be written by others (mode 0777)"
    ]


def test_a_name_that_comes_twice(tmp_path: Path) -> None:
    """The second one is refused, with the place of the first."""
    folder = tmp_path / "policies"
    first, second = (
        write(where, "same", OPENS.format(prefix="/")) for where in (folder, tmp_path)
    )
    options = ("--tracing-policy-dir", str(folder), "--tracing-policy", str(second))

    assert refused(tmp_path, *options) == [
        f"{second}:4:9: error: metadata.name: same is the name of a policy in {first}:4"
    ]


def test_no_yaml(tmp_path: Path) -> None:
    """What is no YAML is told with its place."""
    path = tmp_path / "bad.yaml"
    path.write_text("kind: [TracingPolicy\n")
    [line] = refused(tmp_path, "--tracing-policy", str(path))

    assert line.startswith(f"{path}:2:1: error: ")
