# SPDX-License-Identifier: Apache-2.0
"""What a process_exec says, against what the process says of itself."""

from __future__ import annotations

import os
import pty
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.agent import Agent
from tests.e2e.events import identity, one

if TYPE_CHECKING:
    from tests.e2e.events import Event

_IDS = ("uid", "euid", "suid", "gid", "egid", "sgid")


def test_program(agent: Agent, triggers: Path) -> None:
    """An exec names binary, arguments and working directory as execve got them."""
    run = agent.run([triggers / "self", "one", "two three", "", "four"], cwd="/dev/shm")

    told = {
        key: run.process.get(key)
        for key in ("pid", "tid", "cwd", "binary", "arguments")
    }
    assert told == {
        "pid": run.told["pid"],
        "tid": run.told["pid"],
        "cwd": run.told["cwd"],
        "binary": str(triggers / "self"),
        "arguments": 'one "two three" "" four',
    }


def test_root_directory(agent: Agent, triggers: Path) -> None:
    """The root as working directory is shown as such, and flagged rootcwd."""
    process = agent.run([triggers / "leave"], cwd="/").process

    assert (process.get("cwd"), process["flags"]) == ("/", "execve rootcwd clone")


def test_relative_binary(agent: Agent, triggers: Path) -> None:
    """A relative program name is made absolute by the working directory."""
    process = agent.run(["./leave"], cwd=triggers).process

    assert process["binary"] == f"{triggers}/leave"


def test_extended_keys(agent: Agent, triggers: Path) -> None:
    """Extended events have argv with argv[0], the executable and where it is."""
    run = agent.run(["zero", "one two"], executable=triggers / "self", cwd="/dev/shm")

    device = (triggers / "self").stat().st_dev
    process = run.process
    assert {
        "argv": ["zero", "one two"],
        "executable": str(triggers / "self"),
        "inode": {"number": str(run.told["inode"]), "links": run.told["links"]},
        "device": f"{os.major(device)}:{os.minor(device)}",
    } == {key: process.get(key) for key in ("argv", "executable", "inode", "device")}


def test_symbolic_link(agent: Agent, triggers: Path, scratch: Path) -> None:
    """A program run by a link: `binary` is the link, `executable` the file."""
    link = scratch / "link"
    link.symlink_to(triggers / "leave")
    process = agent.run([link]).process

    assert (process["binary"], process["executable"]) == (
        str(link),
        f"{triggers}/leave",
    )


def test_origin(agent: Agent, triggers: Path) -> None:
    """Each CPU numbers its events, so the numbers of one CPU only go up."""
    agent.run([triggers / "storm", "23", "4", str(triggers / "leave")])
    last: dict[int, int] = {}
    disorder = 0
    for event in agent.events():
        process = next(iter(event.values())).get("process")
        if process is None or "procFS" in process["flags"].split():
            continue  # of the agent itself, or of what lived before it
        cpu, sequence = event["cpu"], int(event["sequence"])
        disorder += sequence <= last.get(cpu, 0)
        last[cpu] = sequence

    assert disorder == 0


def test_user_and_group_ids(agent: Agent, triggers: Path) -> None:
    """All eight ids are told, and `uid` is the effective one."""
    run = agent.run([triggers / "self"], user=65534, group=23, extra_groups=[])

    credentials = run.process["process_credentials"]
    assert {name: credentials[name] for name in _IDS} == dict(
        zip(
            ("uid", "euid", "suid", "gid", "egid", "sgid"), run.told["ids"], strict=True
        )
    )
    assert (credentials["fsuid"], credentials["fsgid"]) == (65534, 23)
    assert run.process["uid"] == 65534


def test_login_uid(agent: Agent, triggers: Path) -> None:
    """`auid` is the login uid that the process inherits."""
    expected = int(Path("/proc/self/loginuid").read_text())

    assert agent.run([triggers / "leave"]).process["auid"] == expected


def test_capabilities(agent: Agent, triggers: Path) -> None:
    """The capability sets are those that the kernel shows in /proc."""
    status = Path("/proc/self/status").read_text()
    sets = dict(line.split(":\t") for line in status.splitlines() if line[:3] == "Cap")
    cap = agent.run([triggers / "leave"]).process["cap"]

    counts = {"permitted": "CapPrm", "effective": "CapEff", "inheritable": "CapInh"}
    assert {name: len(cap.get(name, [])) for name in counts} == {
        name: int(sets[key], 16).bit_count() for name, key in counts.items()
    }


def test_no_capabilities(agent: Agent, triggers: Path) -> None:
    """A process of an ordinary user has none."""
    assert agent.run([triggers / "leave"], user=65534).process["cap"] == {}


def test_namespaces(agent: Agent, triggers: Path) -> None:
    """All ten namespaces have the inodes of /proc/PID/ns."""
    run = agent.run([triggers / "self"])

    assert run.told["ns"] == {
        name: ns["inum"] for name, ns in run.process["ns"].items()
    }


def test_new_namespaces(agent: Agent, triggers: Path) -> None:
    """A process in namespaces of its own is told with them, not as the host's."""
    options = ["--fork", "--uts", "--ipc", "--net", "--mount", "--cgroup", "--pid"]
    run = agent.run(["unshare", *options, triggers / "self"])
    process = one(
        [
            event["process_exec"]["process"]
            for event in run.events
            if event.get("process_exec", {}).get("process", {}).get("binary")
            == str(triggers / "self")
        ]
    )

    # /proc is still that of the host's pid namespace, where self/ns is the same
    assert run.told["ns"] == {name: ns["inum"] for name, ns in process["ns"].items()}
    host = {name for name, ns in process["ns"].items() if ns.get("is_host")}
    assert (
        host & {"uts", "ipc", "net", "mnt", "cgroup", "pid", "pid_for_children"}
        == set()
    )
    assert process["in_init_tree"] is True
    assert process["flags"] == "execve clone inInitTree"


def test_terminal(agent: Agent, triggers: Path) -> None:
    """The controlling terminal is named as the kernel does."""
    master, slave = pty.openpty()
    try:
        name = os.ttyname(slave)  # /dev/pts/N
        command = ["setsid", "--ctty", "--wait", str(triggers / "self")]
        since = len(agent.events())
        subprocess.run(command, check=True, stdin=slave, stdout=slave)
        agent.settle()
    finally:
        os.close(master)
        os.close(slave)
    process = _last(agent, since, f"{triggers}/self")

    assert process["tty"] == name.removeprefix("/dev/").replace("/", "")


def test_no_terminal(agent: Agent, triggers: Path) -> None:
    """A process without a controlling terminal has no such key."""
    assert "tty" not in agent.run([triggers / "leave"], start_new_session=True).process


def test_cgroup(agent: Agent, triggers: Path) -> None:
    """The cgroup is that of /proc/PID/cgroup: version 2, else the memory one."""
    paths: dict[str, str] = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        paths |= dict.fromkeys(controllers.split(","), path)
    expected = paths.get("", "/")
    if expected == "/":
        expected = paths.get("memory", "/")

    assert agent.run([triggers / "leave"]).process["cgroup"] == expected


def test_environment(agent: Agent, triggers: Path) -> None:
    """Of the environment only the variables on the list are shown."""
    env = {"SECRET": "x", "TPY_TWO": "a=b c", "TPY_ONE": ""}

    assert agent.run([triggers / "leave"], env=env).process[
        "environment_variables"
    ] == [
        {"Key": "TPY_TWO", "Value": "a=b c"},
        {"Key": "TPY_ONE", "Value": ""},
    ]


def test_times(agent: Agent, triggers: Path) -> None:
    """The start time is when the exec was, by the wall clock."""
    before = datetime.now(UTC)
    run = agent.run([triggers / "leave"])
    after = datetime.now(UTC)

    start = _time(run.process["start_time"])
    end = _time(run.exit["time"])
    # the clocks are compared once a second, and may be slewed
    assert before.timestamp() - 0.1 <= start <= end <= after.timestamp() + 0.1


def test_exec_id(agent: Agent, triggers: Path) -> None:
    """The exec id is base64 of node:start:pid, and the exit has the same one."""
    run = agent.run([triggers / "leave"])
    node, start, pid = identity(run.process["exec_id"])

    assert (node, pid) == (os.uname().nodename, run.pid)
    assert start > 0
    assert run.exit["process"]["exec_id"] == run.process["exec_id"]


def test_parent(agent: Agent, triggers: Path) -> None:
    """The parent is the process that forked, with its own id, program and arguments."""
    run = agent.run([triggers / "spawn", "fork", triggers / "leave", "x"])
    child = _last(agent, 0, f"{triggers}/leave", pid=run.told["child"])
    body = one([e for e in _exec_bodies(run.events) if e["process"] == child])

    assert child["parent_exec_id"] == run.process["exec_id"]
    common = ("exec_id", "pid", "binary", "arguments", "start_time", "parent_exec_id")
    assert {key: body["parent"][key] for key in common} == {
        key: run.process[key] for key in common
    }


def test_ancestors(tmp_path: Path, triggers: Path) -> None:
    """The ancestors start at the grandparent and follow /proc upwards."""
    expected = []
    pid = os.getppid()
    while pid:
        expected.append(pid)
        status = Path(f"/proc/{pid}/status").read_text()
        pid = next(int(x.split()[1]) for x in status.splitlines() if x[:5] == "PPid:")
    with Agent(tmp_path, "--enable-ancestors") as agent:
        run = agent.run([triggers / "leave"])

    told = [ancestor["pid"] for ancestor in run.exec["ancestors"]]
    assert (run.exec["parent"]["pid"], told) == (os.getpid(), expected)
    assert run.exit["ancestors"] == run.exec["ancestors"]


def test_flags(agent: Agent, triggers: Path) -> None:
    """The first exec after a fork says clone, an exec of the same process does not."""
    run = agent.run([triggers / "chain", triggers / "leave"], cwd="/dev/shm")

    flags = [body["process"]["flags"] for body in run.images]
    assert flags == ["execve clone", "execve"]


def _exec_bodies(events: list[Event]) -> list[Event]:
    return [event["process_exec"] for event in events if "process_exec" in event]


def _last(agent: Agent, since: int, binary: str, pid: int | None = None) -> Event:
    found = [
        body["process"]
        for body in _exec_bodies(agent.events()[since:])
        if body["process"].get("binary") == binary
        and pid in (None, body["process"]["pid"])
    ]
    process: Event = found[-1]
    return process


def _time(text: str) -> float:
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    whole = datetime.fromisoformat(f"{seconds}+00:00").timestamp()
    return whole + int(fraction) / 10**9
