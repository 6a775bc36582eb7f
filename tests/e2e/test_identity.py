# SPDX-License-Identifier: Apache-2.0
"""Who is whose parent, and that no two images share an exec id."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from tests.e2e.events import execs, exits, identity, one

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.agent import Agent


def test_exec_without_fork(agent: Agent, triggers: Path) -> None:
    """Each exec of one process has its own id, and the image before it as parent."""
    chain, leave = triggers / "chain", triggers / "leave"
    run = agent.run([chain, chain, leave, "3"])
    first, second, third = run.images

    assert len({b["process"]["exec_id"] for b in (first, second, third)}) == 3
    assert [b["process"]["parent_exec_id"] for b in (second, third)] == [
        first["process"]["exec_id"],
        second["process"]["exec_id"],
    ]
    assert third["parent"]["arguments"] == f"{leave} 3"
    assert first["parent"]["pid"] == os.getpid()
    assert run.exit["process"]["exec_id"] == third["process"]["exec_id"]


def test_children_keep_their_parent(agent: Agent, triggers: Path) -> None:
    """A child made before its parent's next exec belongs to the image that made it."""
    script = (
        f"{triggers}/leave & p=$!; wait $p; exec {triggers}/chain {triggers}/leave 1"
    )
    run = agent.run(["/bin/sh", "-c", script])
    shell = run.images[0]
    child = one(
        [
            body
            for body in execs(run.events, binary=f"{triggers}/leave")
            if body["process"]["pid"] != run.pid
        ]
    )

    assert child["process"]["parent_exec_id"] == shell["process"]["exec_id"]


def test_parent_gone(agent: Agent, triggers: Path) -> None:
    """The parent is who forked, though it has ended before the child's exec."""
    run = agent.run([triggers / "orphan", triggers / "leave", "23"])
    child = run.told["child"]
    agent.wait_for(lambda event: bool(exits([event], child)))
    body = one(execs(agent.events(), child, binary=f"{triggers}/leave"))

    assert body["process"]["parent_exec_id"] == run.process["exec_id"]
    assert body["parent"]["binary"] == f"{triggers}/orphan"


def test_double_fork(agent: Agent, triggers: Path) -> None:
    """A daemon's parent is the process between, which never called exec."""
    spawn, orphan = triggers / "spawn", triggers / "orphan"
    script = f"({orphan} {triggers}/leave 23)"
    run = agent.run([spawn, "fork", "/bin/sh", "-c", f"({script}; :); :"])
    agent.wait_for(
        lambda event: (
            bool(exits([event], binary=f"{triggers}/leave", arguments="23"))
            and event["process_exit"]["parent"]["pid"] > run.pid
        )
    )
    between = execs(agent.events(), binary=str(orphan))[-1]
    body = execs(agent.events(), binary=f"{triggers}/leave", arguments="23")[-1]

    assert body["process"]["parent_exec_id"] == between["process"]["exec_id"]
    # one level up: the subshell, told by its exit with the shell's image
    subshell = exits(run.events, between["parent"]["pid"])[-1]
    assert subshell["process"]["binary"] == "/bin/sh"
    assert subshell["process"]["exec_id"] == between["process"]["parent_exec_id"]


def test_reused_pid(agent: Agent, triggers: Path) -> None:
    """Processes that get the same number one after the other are never mixed up."""
    run = agent.run([triggers / "reuse", "23", triggers / "leave"])
    born = execs(run.events, run.told["child"])
    gone = exits(run.events, run.told["child"])

    ids = [body["process"]["exec_id"] for body in born]
    assert len(set(ids)) == 23
    assert [body["process"]["exec_id"] for body in gone] == ids
    assert [body.get("status", 0) for body in gone] == list(range(23))
    parents = {body["process"]["parent_exec_id"] for body in born}
    assert parents == {run.process["exec_id"]}


def test_vfork(agent: Agent, triggers: Path) -> None:
    """A child of vfork is told like any other."""
    run = agent.run([triggers / "spawn", "vfork", triggers / "leave", "7"])
    child = run.told["child"]

    body = one(execs(run.events, child))
    assert body["process"]["flags"] == "execve clone"
    assert body["process"]["parent_exec_id"] == run.process["exec_id"]
    assert one(exits(run.events, child))["status"] == 7


def test_clone_parent(agent: Agent, triggers: Path) -> None:
    """With CLONE_PARENT the parent is the creator, not who will be signalled."""
    run = agent.run([triggers / "spawn", "parent", triggers / "leave", "7"])
    child = run.told["child"]
    agent.wait_for(lambda event: bool(exits([event], child)))
    body = one(execs(agent.events(), child, binary=f"{triggers}/leave"))

    assert body["process"]["parent_exec_id"] == run.process["exec_id"]
    assert os.waitpid(child, 0) == (child, 7 << 8)


def test_fork_without_exec(agent: Agent, triggers: Path) -> None:
    """A child that never calls exec ends as a copy of its parent, with its own id."""
    run = agent.run([triggers / "bomb", "23", "23"])
    children = [b for b in exits(run.events) if b["parent"]["pid"] == run.pid]

    assert len(children) == 23
    assert {b["process"]["binary"] for b in children} == {f"{triggers}/bomb"}
    assert {b["process"]["arguments"] for b in children} == {"23 23"}
    assert len({b["process"]["exec_id"] for b in children}) == 23
    assert {b["process"]["parent_exec_id"] for b in children} == {
        run.process["exec_id"]
    }
    assert sorted(b.get("status", 0) for b in children) == list(range(23))
    for body in children:
        assert identity(body["process"]["exec_id"])[2] == body["process"]["pid"]
        assert body["process"]["tid"] == body["process"]["pid"]
    assert execs(run.events, binary=f"{triggers}/bomb") == [run.exec]


def test_exec_by_another_thread(agent: Agent, triggers: Path) -> None:
    """An exec by a thread that is not the leader is one exec of the same process."""
    run = agent.run([triggers / "thread_exec", triggers / "leave", "7"])
    first, second = run.images
    told = run.output.splitlines()[0]

    assert told != b""
    assert second["process"]["parent_exec_id"] == first["process"]["exec_id"]
    assert (second["process"]["pid"], second["process"]["flags"]) == (run.pid, "execve")
    assert run.exit["process"]["exec_id"] == second["process"]["exec_id"]
    assert run.exit["status"] == 7
    assert run.told["tid"] != run.pid
    assert execs(run.events, run.told["tid"]) == []
    assert exits(run.events, run.told["tid"]) == []


def test_pid_namespace(agent: Agent, triggers: Path) -> None:
    """Numbers are those of the initial pid namespace, also inside another one."""
    with subprocess.Popen(
        [
            "unshare",
            "--fork",
            "--pid",
            triggers / "spawn",
            "fork",
            triggers / "leave",
            "7",
        ],
        stdout=subprocess.PIPE,
    ) as process:
        process.communicate()
    events = agent.settle()
    spawn = execs(events, binary=f"{triggers}/spawn")[-1]
    child = execs(events, parent_exec_id=spawn["process"]["exec_id"])[-1]

    assert spawn["parent"]["pid"] == process.pid
    assert spawn["process"]["pid"] > 1
    assert child["process"]["in_init_tree"] is True
    assert child["process"]["binary"] == f"{triggers}/leave"
