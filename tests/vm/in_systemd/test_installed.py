# SPDX-License-Identifier: Apache-2.0
"""The service as install-service makes it, in its sandbox, enabled before the boot."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.agent import ROOT, until
from tests.e2e.enforcement import write_policy
from tests.vm.in_systemd.units import (
    EXPORT,
    POLICIES,
    SERVICE,
    SETTINGS,
    analyze,
    events,
    journal,
    restart,
    state,
    systemctl,
    wait_for,
    wait_for_event,
)

OFFSET = 987654321
_OPEN = "import sys; open(sys.argv[1])"
_SEEK = f"import os; os.lseek(0, {OFFSET}, 0)"
COMMAND = [sys.executable, "-m", "tetragon_py"]


@pytest.fixture(autouse=True)
def _clean():
    """No policies and no settings of another test."""
    yield
    for folder in (POLICIES, SETTINGS):
        for path in folder.iterdir():
            path.unlink()


def run(*words, **options):
    return subprocess.run(
        words, check=False, capture_output=True, text=True, cwd=ROOT, **options
    )


def of_policy(name):
    def is_of(event):
        [body] = [body for body in event.values() if isinstance(body, dict)]
        return body.get("policy_name") == name

    return is_of


def exec_of(arguments, flag=""):
    """The process of the first exec with these arguments, and with this flag."""

    def is_it(event):
        process = event.get("process_exec", {}).get("process", {})
        return process.get("arguments") == arguments and flag in process["flags"]

    return wait_for_event(is_it)["process_exec"]["process"]


def observe_opens(name, path):
    """A policy that tells of a path."""
    hook = {
        "call": "sys_openat",
        "syscall": True,
        "args": [{"index": 1, "type": "string"}],
        "selectors": [
            {"matchArgs": [{"index": 1, "operator": "Equal", "values": [str(path)]}]}
        ],
    }
    write_policy(POLICIES, name, {"kprobes": [hook]})


def test_start_at_boot():
    """It was in force before sysinit.target, and told what was started after it."""
    found = state(SERVICE, "ActiveState", "SubState", "NRestarts", "StatusText")
    [ready] = state(SERVICE, "ActiveEnterTimestampMonotonic")
    [sysinit] = state("sysinit.target", "ActiveEnterTimestampMonotonic")

    assert found == ["active", "running", "0", "Process events"]
    assert 0 < int(ready) <= int(sysinit)
    exec_of("sh /run/guest/run")
    assert EXPORT.stat().st_mode & 0o777 == 0o600


def test_journal():
    """The journal has one sensible line for the start, with its severity."""
    lines = journal(SERVICE, "--output=json", "--identifier=tetragon-py").splitlines()
    entries = [json.loads(line) for line in lines]
    [start] = [entry for entry in entries if "agent runs" in entry["MESSAGE"]]
    print(start["MESSAGE"])

    assert start["PRIORITY"] == "6"
    assert start["MESSAGE"].startswith("[info     ] agent runs")
    assert not [entry for entry in entries if int(entry["PRIORITY"]) < 6]


def test_exposure():
    """`systemd-analyze security` says at most 2.5, with the network at most 3.5."""
    alone, line = analyze()
    print(line)
    assert run(*COMMAND, "install-service", "--network").returncode == 0
    systemctl("daemon-reload")
    networked, line = analyze()
    print(f"with network.conf: {line}")
    restart()
    assert state(SERVICE, "ActiveState") == ["active"]
    Path(f"/etc/systemd/system/{SERVICE}.d/network.conf").unlink()
    systemctl("daemon-reload")
    restart()

    assert alone <= 2.5
    assert alone < networked <= 3.5


def test_processes(tmp_path):
    """Arguments, directory and credentials of new and of old processes, any user's."""
    for name in ("enable-process-cred", "enable-process-ns"):
        (SETTINGS / name).write_text("true")
    (SETTINGS / "fields").write_text("extended")
    tmp_path.chmod(0o755)
    old = subprocess.Popen(
        ["/bin/sleep", "1000.5"], cwd=tmp_path, user=1234, group=1234, extra_groups=[]
    )
    try:
        restart()
        subprocess.run(["/bin/true", "told"], cwd=tmp_path, check=True)
        found = {"told": exec_of("told"), "1000.5": exec_of("1000.5", "procFS")}
    finally:
        old.kill()
        old.wait()

    assert {process["cwd"] for process in found.values()} == {str(tmp_path)}
    # which only /proc/PID/exe says
    assert found["1000.5"]["binary"] == os.path.realpath("/bin/sleep")
    assert found["1000.5"]["uid"] == 1234
    assert found["1000.5"]["ns"]["pid"]["is_host"]
    assert found["told"]["process_credentials"]["uid"] == 0


def test_policies(tmp_path):
    """System call, function, tracepoint, LSM; told, denied and killed by Sigkill."""
    secret = tmp_path / "secret"
    secret.write_text("")
    shown = tmp_path / "shown"
    observe_opens("system-call", shown)
    by = {
        "matchBinaries": [{"operator": "In", "values": ["/bin/true", "/usr/bin/true"]}]
    }
    function = {"call": "security_file_open", "syscall": False, "selectors": [by]}
    write_policy(POLICIES, "function", {"kprobes": [function]})
    point = {"subsystem": "syscalls", "event": "sys_enter_close", "selectors": [by]}
    write_policy(POLICIES, "tracepoint", {"tracepoints": [point]})
    deny = {
        "hook": "file_open",
        "args": [{"index": 0, "type": "file"}],
        "selectors": [
            {
                "matchArgs": [
                    {"index": 0, "operator": "Equal", "values": [str(secret)]}
                ],
                "matchActions": [{"action": "Override", "argError": -13}],
            }
        ],
    }
    write_policy(POLICIES, "lsm", {"lsmhooks": [deny]})
    kill = {
        "call": "sys_lseek",
        "syscall": True,
        "args": [{"index": 1, "type": "int64"}],
        "selectors": [
            {
                "matchArgs": [
                    {"index": 1, "operator": "Equal", "values": [str(OFFSET)]}
                ],
                "matchActions": [{"action": "Sigkill"}],
            }
        ],
    }
    write_policy(POLICIES, "kill", {"kprobes": [kill]})
    restart()
    [status] = state(SERVICE, "StatusText")
    print(status, journal(SERVICE, "--lines=20"))
    run("/usr/bin/true")
    run("/bin/cat", str(shown))
    denied = run("/usr/bin/python3", "-c", _OPEN, str(secret))
    killed = run("/usr/bin/python3", "-c", _SEEK)
    found = {
        name: wait_for_event(of_policy(name), f"event of {name}")
        for name in ("system-call", "function", "tracepoint", "lsm", "kill")
    }

    assert status.startswith("Process events; 5 policies on ")
    assert "PermissionError" in denied.stderr
    assert killed.returncode == -signal.SIGKILL
    assert found["lsm"]["process_lsm"]["action"] == "KPROBE_ACTION_OVERRIDE"
    assert found["kill"]["process_kprobe"]["action"] == "KPROBE_ACTION_SIGKILL"
    call = found["system-call"]["process_kprobe"]
    assert call["args"] == [{"string_arg": str(shown)}]
    assert not [event for event in events() if "loss" in event]


def test_reload(tmp_path):
    """A good reload is in force, a bad one changes nothing; both are told."""
    restart()
    observe_opens("first", tmp_path / "first")
    systemctl("reload", SERVICE)
    until(lambda: "1 policy on" in state(SERVICE, "StatusText")[0], 10, "policy")

    (POLICIES / "wrong.yaml").write_text("kind: TracingPolicy\n")
    observe_opens("second", tmp_path / "second")
    systemctl("reload", SERVICE)
    until(lambda: "reload refused" in state(SERVICE, "StatusText")[0], 10, "refusal")
    run("/bin/cat", str(tmp_path / "first"))
    run("/bin/cat", str(tmp_path / "second"))
    wait_for_event(of_policy("first"))
    assert state(SERVICE, "ActiveState", "NRestarts") == ["active", "0"]
    assert "policies are refused" in journal(SERVICE, "--priority=err")

    (POLICIES / "wrong.yaml").unlink()
    systemctl("reload", SERVICE)
    until(lambda: "2 policies on" in state(SERVICE, "StatusText")[0], 10, "policies")
    assert not any(map(of_policy("second"), events()))
    run("/bin/cat", str(tmp_path / "second"))
    wait_for_event(of_policy("second"))


def test_stop():
    """It ends with success, says so, and leaves nothing in the kernel."""
    restart()
    systemctl("stop", SERVICE)
    programs = json.loads(run("/usr/sbin/bpftool", "--json", "prog", "list").stdout)

    assert state(SERVICE, "ActiveState", "Result") == ["inactive", "success"]
    assert "agent ends" in journal(SERVICE, "--lines=6")
    names = {program.get("name") for program in programs}
    assert not {name for name in names if name and name.startswith("exec_")}
    systemctl("start", SERVICE)


def test_killed():
    """Who kills it gets it back."""
    restart()
    [before] = state(SERVICE, "MainPID")
    os.kill(int(before), signal.SIGKILL)
    until(
        lambda: state(SERVICE, "NRestarts", "ActiveState") == ["1", "active"],
        20,
        "service",
    )

    assert state(SERVICE, "MainPID") != [before]


def test_uninstall_and_install():
    """What was changed stays; a second time is like the first."""
    config = Path("/etc/tetragon-py/tetragon-py.yaml")
    config.write_text(f"{config.read_text()}log-level: info\n")
    done = run(*COMMAND, "uninstall-service")
    assert done.returncode == 0, done.stderr
    assert run("systemctl", "cat", SERVICE).returncode != 0
    assert run("pgrep", "-f", "tetragon_py run").stdout == ""

    done = run(*COMMAND, "install-service")
    assert done.returncode == 0, done.stderr
    assert f"kept     {config}" in done.stdout
    systemctl("daemon-reload")
    systemctl("enable", "--now", SERVICE)
    assert state(SERVICE, "ActiveState", "UnitFileState") == ["active", "enabled"]
    wait_for("agent runs", SERVICE)
    assert time.time() - EXPORT.stat().st_mtime < 3600
