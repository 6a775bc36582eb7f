# SPDX-License-Identifier: Apache-2.0
"""Which execs gain privileges from their file, and which only could have."""

from __future__ import annotations

import ctypes
import os
import shutil
import struct
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.agent import Agent

_NOBODY = 65534
_PR_SET_NO_NEW_PRIVS = 38
_CAP_NET_RAW = 13
#: struct vfs_cap_data, revision 2: effective flag, permitted and inheritable low, high
_NET_RAW = struct.pack("<5I", 0x02000001, 1 << _CAP_NET_RAW, 0, 0, 0)
_USER: dict[str, Any] = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}


@pytest.fixture
def program(scratch: Path, triggers: Path) -> Path:
    """A program of its own owner and group, to be given privileges."""
    path = scratch / "program"
    shutil.copy(triggers / "self", path)
    os.chown(path, 1001, 1003)
    return path


def test_set_user_id(agent: Agent, program: Path) -> None:
    """A set-user-id program is told with the uid that it raised to."""
    program.chmod(0o4755)
    run = agent.run([program], **_USER)

    assert run.told["ids"] == [_NOBODY, 1001, 1001, _NOBODY, _NOBODY, _NOBODY]
    assert run.process["binary_properties"] == {
        "setuid": 1001,
        "privileges_changed": ["PRIVILEGES_RAISED_EXEC_FILE_SETUID"],
    }
    assert run.process["uid"] == 1001


def test_set_user_id_root(agent: Agent, program: Path) -> None:
    """One of root also tells the capabilities that come with it."""
    os.chown(program, 0, 0)
    program.chmod(0o4755)
    process = agent.run([program], **_USER).process

    assert process["binary_properties"] == {
        "setuid": 0,
        "privileges_changed": ["PRIVILEGES_RAISED_EXEC_FILE_SETUID"],
    }
    assert "CAP_SETUID" in process["cap"]["effective"]


def test_set_group_id(agent: Agent, program: Path) -> None:
    """A set-group-id program is told with the gid."""
    program.chmod(0o2755)
    run = agent.run([program], **_USER)

    assert run.told["ids"] == [_NOBODY, _NOBODY, _NOBODY, _NOBODY, 1003, 1003]
    assert run.process["binary_properties"] == {
        "setgid": 1003,
        "privileges_changed": ["PRIVILEGES_RAISED_EXEC_FILE_SETGID"],
    }


def test_both(agent: Agent, program: Path) -> None:
    """A program with both bits is told with both."""
    program.chmod(0o6755)

    assert agent.run([program], **_USER).process["binary_properties"] == {
        "setuid": 1001,
        "setgid": 1003,
        "privileges_changed": [
            "PRIVILEGES_RAISED_EXEC_FILE_SETUID",
            "PRIVILEGES_RAISED_EXEC_FILE_SETGID",
        ],
    }


def test_file_capabilities(agent: Agent, program: Path) -> None:
    """A program with file capabilities is told as raised, with those that it got."""
    program.chmod(0o755)
    os.setxattr(program, "security.capability", _NET_RAW)
    process = agent.run([program], **_USER).process

    assert process["binary_properties"] == {
        "privileges_changed": ["PRIVILEGES_RAISED_EXEC_FILE_CAP"],
    }
    assert process["cap"] == {
        "permitted": ["CAP_NET_RAW"],
        "effective": ["CAP_NET_RAW"],
    }


def test_nothing_raised(agent: Agent, program: Path) -> None:
    """An ordinary program raises nothing."""
    program.chmod(0o755)

    assert "binary_properties" not in agent.run([program], **_USER).process


def test_own_set_user_id(agent: Agent, program: Path) -> None:
    """A set-user-id program run by its own owner raises nothing."""
    program.chmod(0o4755)
    run = agent.run([program], user=1001, group=_NOBODY, extra_groups=[])

    assert "binary_properties" not in run.process


def test_mandatory_locking(agent: Agent, program: Path) -> None:
    """The set-group-id bit without the group's x bit raises nothing."""
    program.chmod(0o2745)
    run = agent.run([program], **_USER)

    assert run.told["ids"] == [_NOBODY] * 6
    assert "binary_properties" not in run.process


def test_no_new_privileges(agent: Agent, program: Path) -> None:
    """no_new_privs makes the bits void, so nothing was raised."""
    program.chmod(0o6755)
    os.setxattr(program, "security.capability", _NET_RAW)
    libc = ctypes.CDLL(None, use_errno=True)

    def forbid() -> None:
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)

    run = agent.run([program], preexec_fn=forbid, **_USER)

    assert run.told["ids"] == [_NOBODY] * 6
    assert "binary_properties" not in run.process


def test_nosuid_mount(agent: Agent, program: Path, scratch: Path) -> None:
    """So does a mount with nosuid."""
    mount = scratch / "nosuid"
    mount.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "nosuid,mode=755", "x", mount], check=True
    )
    try:
        shutil.copy(program, mount)
        os.chown(mount / "program", 1001, 1003)
        (mount / "program").chmod(0o6755)
        run = agent.run([mount / "program"], **_USER)
    finally:
        subprocess.run(["umount", mount], check=True)

    assert run.told["ids"] == [_NOBODY] * 6
    assert "binary_properties" not in run.process
