# SPDX-License-Identifier: Apache-2.0
"""Programs that try to hide, to lie or to break the output."""

from __future__ import annotations

import os
import resource
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.agent import Agent

#: Longest single argument of execve, with its NUL: MAX_ARG_STRLEN.
_ARGUMENT_MAX = 32 * os.sysconf("SC_PAGE_SIZE")
_SHOWN_MAX = 192 << 10


def test_two_megabytes_of_arguments(agent: Agent, triggers: Path) -> None:
    """More arguments than an event holds are cut there, and the cut is marked."""

    def allow() -> None:
        hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
        resource.setrlimit(resource.RLIMIT_STACK, (64 << 20, hard))

    words = ["x" * 99_999] * 21
    run = agent.run([triggers / "leave", *words], preexec_fn=allow)

    assert run.process["truncated"] == ["arguments"]
    assert run.process["flags"] == "execve truncArgs clone"
    kept = _SHOWN_MAX - len(f"{triggers}/leave") - 1
    assert len(run.process["arguments"]) == kept
    assert run.process["argv"][1] == words[0]


def test_longest_argument(agent: Agent, triggers: Path) -> None:
    """The longest argument that the kernel takes arrives whole."""
    word = "y" * (_ARGUMENT_MAX - 1)
    process = agent.run([triggers / "leave", word]).process

    assert process["arguments"] == word
    assert "truncated" not in process


def test_arguments_that_are_not_utf8(agent: Agent, triggers: Path) -> None:
    """Bytes that are not UTF-8 become U+FFFD, the rest stays."""
    process = agent.run(
        [triggers / "leave", b"\xff\xfea", "ä\u2028€".encode(), b"\xe4"]
    )

    assert process.process["argv"][1:] == ["\ufffd\ufffda", "ä\u2028€", "\ufffd"]


def test_control_characters(agent: Agent, triggers: Path, scratch: Path) -> None:
    """No name and no argument puts a control character into the export file."""
    name = b"a\n\x1b[31m\x7f\xc2\x9b\r\x00".rstrip(b"\x00") + b'","pid":1'
    program = os.fsencode(scratch) + b"/" + name
    shutil.copy(triggers / "leave", os.fsdecode(program))
    run = agent.run([program, b"\x1b]0;x\x07\n", b"\x7f\xc2\x85"], cwd=scratch)

    assert run.process["binary"] == program.decode()
    assert run.process["argv"][1:] == ["\x1b]0;x\x07\n", "\x7f\x85"]
    assert agent.export is not None
    text = agent.export.read_text(encoding="utf-8")
    raw = {c for c in text if c < " " or "\x7f" <= c <= "\x9f"}
    assert raw == {"\n"}


def test_no_arguments(agent: Agent, triggers: Path) -> None:
    """An argv without argv[0] is told as the kernel hands it on (since 5.18 as "")."""
    run = agent.run([triggers / "no_arguments", triggers / "leave"])
    process = run.images[1]["process"]

    assert process["binary"] == f"{triggers}/leave"
    assert "arguments" not in process
    assert process.get("argv", [""]) == [""]


def test_program_in_memory(agent: Agent, triggers: Path) -> None:
    """A program run from a memfd is told by a file with no links and its memfd name."""
    run = agent.run([triggers / "unnamed", "memfd", triggers / "leave", "x"])
    process = run.images[1]["process"]

    assert process["executable"] == "/memfd:hidden (deleted)"
    assert process["inode"]["links"] == 0
    file = process["binary_properties"]["file"]
    assert file == {"inode": process["inode"], "path": "/memfd:hidden"}
    assert run.exit["process"]["exec_id"] == process["exec_id"]


def test_deleted_program(agent: Agent, triggers: Path, scratch: Path) -> None:
    """A program that is deleted before it runs is told as deleted, by its old path."""
    program = scratch / "gone"
    shutil.copy(triggers / "leave", program)
    inode = program.stat().st_ino
    run = agent.run([triggers / "unnamed", "deleted", program])
    process = run.images[1]["process"]

    assert process["executable"] == f"{program} (deleted)"
    assert process["inode"] == {"number": str(inode), "links": 0}
    assert process["binary_properties"]["file"]["path"] == str(program)


def test_script(agent: Agent, triggers: Path, scratch: Path) -> None:
    """Of a script the binary is its path, the executable is what interprets it."""
    script = scratch / "script"
    script.write_text(f"#!{triggers}/leave 23\n")
    script.chmod(0o755)
    run = agent.run([script, "x"])

    assert run.status == 23
    assert {
        "binary": str(script),
        "arguments": f"23 {script} x",
        "interpreter": f"{triggers}/leave",
        "executable": f"{triggers}/leave",
    } == {
        key: run.process[key]
        for key in ("binary", "arguments", "interpreter", "executable")
    }


def test_deleted_directory(agent: Agent, triggers: Path, scratch: Path) -> None:
    """A working directory that is gone is told by its old path, as deleted."""
    folder = scratch / "gone"
    folder.mkdir()
    process = agent.run(
        [triggers / "leave"], cwd=folder, preexec_fn=folder.rmdir
    ).process

    assert process["cwd"] == f"{folder} (deleted)"


@pytest.mark.parametrize(("depth", "name"), [(101, "d"), (307, "deep"), (1009, "d")])
def test_deep_directory(
    agent: Agent, triggers: Path, scratch: Path, depth: int, name: str
) -> None:
    """Working directories up to PATH_MAX are told whole, however deep they are."""
    process = _run_in(agent, triggers, scratch, [name] * depth)

    assert process["cwd"] == str(scratch) + f"/{name}" * depth
    assert process["flags"] == "execve clone"


def test_too_deep_directory(agent: Agent, triggers: Path, scratch: Path) -> None:
    """A longer one lacks its front, and says so."""
    name = "n" * 99
    process = _run_in(agent, triggers, scratch, [name] * 53)

    assert process["cwd"] == f"/{name}" * 40
    assert process["flags"] == "execve clone errorPathResolutionCwd"
    assert process["truncated"] == ["cwd"]


def _run_in(
    agent: Agent, triggers: Path, scratch: Path, names: list[str]
) -> dict[str, object]:
    def enter() -> None:
        os.chdir(scratch)
        for name in names:
            Path(name).mkdir()
            os.chdir(name)

    process: dict[str, object] = agent.run(
        [triggers / "leave"], preexec_fn=enter
    ).process
    return process


def test_changed_root(agent: Agent, triggers: Path, scratch: Path) -> None:
    """A process in a chroot is told by its paths below that root."""
    (scratch / "in").mkdir()
    shutil.copy(triggers / "leave", scratch / "in")

    def enter() -> None:
        os.chroot(scratch)
        os.chdir("/in")

    run = agent.run(["/in/leave"], preexec_fn=enter)

    expected = ("/in", "/in/leave", "/in/leave")
    keys = ("cwd", "binary", "executable")
    assert tuple(run.process[key] for key in keys) == expected


def test_directory_outside_the_root(
    agent: Agent, triggers: Path, scratch: Path
) -> None:
    """A working directory outside of the process's root is marked."""
    shutil.copy(triggers / "leave", scratch)
    run = agent.run(["/leave"], cwd="/dev/shm", preexec_fn=lambda: os.chroot(scratch))

    assert run.process["cwd"] == "/dev/shm"
    assert run.process["flags"] == "execve clone errorPathResolutionCwd"


def test_bind_mount(agent: Agent, triggers: Path, scratch: Path) -> None:
    """Paths across mounts are those that the process sees."""
    target = scratch / "mount" / "point"
    target.mkdir(parents=True)
    script = f"mount --bind {triggers} {target} && cd {target} && exec ./leave"
    run = agent.run(["unshare", "--mount", "/bin/sh", "-c", script])
    process = run.images[-1]["process"]

    assert (process["cwd"], process["executable"]) == (str(target), f"{target}/leave")
