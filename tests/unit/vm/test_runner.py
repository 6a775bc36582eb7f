# SPDX-License-Identifier: Apache-2.0
"""Tests of tests.vm.runner and guest: what is booted, and what the guest is told."""

from __future__ import annotations

from pathlib import Path

from tests.vm.guest import Command, setup_archive
from tests.vm.image import Image
from tests.vm.kernels import load_kernels
from tests.vm.ports import Limits
from tests.vm.runner import ROOT, TESTS, jobs_of
from tests.vm.shares import shares_of

KERNELS = load_kernels().kernels


def test_systemd_is_a_second_boot():
    """All tests first, then those with systemd as PID 1."""
    jobs = jobs_of(KERNELS["6.12"], [])

    assert [job.name for job in jobs] == ["6.12", "6.12-systemd"]
    assert tuple(jobs[0].tests) == TESTS
    assert jobs[1].has_systemd


def test_chosen_tests_are_one_boot():
    """Who names tests gets these only."""
    jobs = jobs_of(KERNELS["6.12"], ["tests/bpf"])

    assert [job.tests for job in jobs] == [["tests/bpf"]]


def test_systemd_on_any_kernel():
    """On request every kernel boots systemd, for all such tests or for chosen ones."""
    [every] = jobs_of(KERNELS["5.10"], [], needs_systemd=True)
    [chosen] = jobs_of(KERNELS["5.10"], ["tests/x.py"], needs_systemd=True)

    assert every.has_systemd
    assert chosen.has_systemd
    assert (every.tests, chosen.tests) == (("tests/vm/in_systemd",), ["tests/x.py"])


def test_smoke():
    """The smoke set is one boot, and the table tells it from a full one."""
    jobs = jobs_of(KERNELS["6.12"], [], ["tests/bpf"])

    assert [(job.name, job.tests) for job in jobs] == [("6.12-smoke", ["tests/bpf"])]


def test_tests_exist():
    """What is run is there."""
    for name in (*TESTS, *load_kernels().smoke):
        assert (ROOT / name).exists(), name


def test_archive(tmp_path):
    """The guest gets its command quoted, and its folders by tag."""
    command = Command(
        ("sh", "-c", "echo $HOME; exit 3"),
        {"A": "b c"},
        Path("/proc"),  # of another file system than the root
        tmp_path,
        Limits(1, 1, 1),
        needs_systemd=True,
    )
    modules = Path("/modules")
    image = Image("5.10-x", Path("/v"), Path("/i"), modules)
    shares = shares_of(command.folder, modules, tmp_path)
    archive = setup_archive(command, image, shares)

    assert [share.tag for share in shares if share.is_writable] == ["writable"]
    assert b"export A='b c'\ncd /proc || exit\n" in archive
    assert b"exec sh -c 'echo $HOME; exit 3'\n" in archive
    assert b"modules\t/lib/modules/5.10-x\ncheckout\t/proc\n" in archive
    assert f"writable\t{tmp_path}\n".encode() in archive
    assert b"system_manager=systemd\n" in archive
