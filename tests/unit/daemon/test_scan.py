# SPDX-License-Identifier: Apache-2.0
"""What /proc says is used only for the image that the kernel told."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from tests.unit.records import HOST, NO_CREDENTIALS, image_record, process_of
from tetragon_py.abi import _generated as c
from tetragon_py.daemon import scan
from tetragon_py.daemon.scan import scan_processes
from tetragon_py.encode.arguments import binary_of
from tetragon_py.encode.flags import flag_words
from tetragon_py.enrich.procfs import ProcfsImage
from tetragon_py.errors import KernelError
from tetragon_py.events.process import ProcessKey

SLEEP, THREAD = ProcessKey(5_000, 42), ProcessKey(2_000, 2)


def procfs_image(**changes) -> ProcfsImage:
    """What /proc tells of `sleep 60`."""
    values: dict[str, Any] = {
        "comm": b"sleep",
        "kernel_thread": False,
        "executable": b"/usr/bin/sleep",
        "executable_deleted": False,
        "executable_unreachable": False,
        "cwd": b"/tmp",
        "cwd_deleted": False,
        "cwd_unreachable": False,
        "arguments": b"sleep\x0060\0",
        "arguments_cut": False,
        "environment": b"A=1\0",
        "environment_cut": False,
        "cgroup_path": b"/a",
        "tty": b"pts0",
        "inode": 9,
        "links": 1,
        "device": 3,
        "mode": 0o100755,
        "missing": {},
        "torn": False,
    }
    return ProcfsImage(**(values | changes))


class Procfs:
    """Stands for /proc: what is read of whom."""

    def __init__(self) -> None:
        self.image: ProcfsImage | None = procfs_image()
        self.error: KernelError | None = None
        self.calls: list[tuple[Any, ...]] = []

    def read(self, root, tgid, start, **limits):
        self.calls.append((root, tgid, start, limits))
        if self.error:
            raise self.error
        return self.image


@pytest.fixture
def procfs(monkeypatch):
    found = Procfs()
    monkeypatch.setattr(scan, "read_process", found.read)
    return found


def scanned(*records: bytes, living=None):
    table = {42: 5_000, 2: 2_000} if living is None else living
    return scan_processes(b"".join(records), lambda: table, "/proc", 100, 50)


def test_image_is_completed(procfs):
    """Identity comes from the kernel, texts from /proc."""
    (event,) = scanned(image_record(SLEEP, flags=c.EXEC_AFTER_FORK))

    assert procfs.calls == [
        (
            *("/proc", 42, 5_000),
            {"arguments_max_bytes": 100, "environment_max_bytes": 50},
        )
    ]
    assert event.process == SLEEP
    assert event.flags == c.EXEC_AFTER_FORK
    image = event.image
    assert (image.filename, image.executable) == (b"/usr/bin/sleep",) * 2
    assert (image.cwd, image.cwd_flags, image.executable_flags) == (b"/tmp", 0, 0)
    assert (event.arguments, event.arguments_bytes) == (b"sleep\x0060\0", 9)
    assert (event.environment, event.environment_bytes) == (b"A=1\0", 4)
    assert (image.cgroup_path, image.tty) == (b"/a", b"pts0")
    assert (image.inode, image.links, image.device, image.mode) == (9, 1, 3, 0o100755)
    assert (image.credentials, image.namespaces) == (NO_CREDENTIALS, HOST)
    assert (image.cgroup_id, event.nspid) == (9001, 7)
    assert event.errors is image.errors is None
    assert event.from_procfs
    assert not image.is_kernel


def test_marks_become_flags(procfs):
    """What /proc says of a path or a cut text is told as in an exec record."""
    procfs.image = procfs_image(
        executable_deleted=True,
        cwd_unreachable=True,
        arguments_cut=True,
        environment_cut=True,
        missing={"tty": errno.EACCES},
    )
    (event,) = scanned(image_record(SLEEP))

    assert event.image.executable_flags == c.PATH_DELETED
    assert event.image.cwd_flags == c.PATH_UNREACHABLE
    assert event.flags == c.EXEC_ARGUMENTS_CUT | c.EXEC_ENVIRONMENT_CUT
    assert event.image.errors == {"tty": errno.EACCES}
    assert flag_words(process_of(event)) == b"procFS truncArgs errorPathResolutionCwd"


def test_unread_arguments_of_proc_are_told(procfs):
    """An error of /proc that concerns the arguments is shown as the kernel's is."""
    procfs.image = procfs_image(arguments=b"", missing={"arguments": errno.EIO})
    (event,) = scanned(image_record(SLEEP))

    assert flag_words(process_of(event)) == b"procFS errorArgs"


@pytest.mark.parametrize("comm", [b"sleep", b"[kthreadd]", b"<kernel>", b"/sbin/init"])
def test_without_an_executable_there_is_no_name(procfs, comm):
    """What a process calls itself is no path, and could be any."""
    procfs.image = procfs_image(executable=b"", comm=comm)
    (event,) = scanned(image_record(SLEEP, comm=comm))

    assert (event.image.filename, event.image.executable) == (b"", b"")
    assert not event.image.is_kernel
    assert binary_of(event.image) == b""


@pytest.mark.parametrize("living", [{}, {42: 6_000}, {43: 5_000}])
def test_other_image_is_not_mixed_in(procfs, living):
    """After an exec, an exit or a reuse of the pid nothing of /proc is used."""
    (event,) = scanned(image_record(SLEEP), living=living)

    assert event.process == SLEEP
    image = event.image
    assert event.arguments == b""
    assert image.filename == image.executable == image.cwd == b""


def test_torn_read_is_not_used(procfs):
    """If the process changed while it was read, nothing of it is used."""
    procfs.image = procfs_image(torn=True)
    (event,) = scanned(image_record(SLEEP))

    assert event.image.executable == event.arguments == b""


def test_gone_process_is_told_still(procfs):
    """Who exits during the scan is told: its exit event follows."""
    procfs.image = None
    (event,) = scanned(image_record(SLEEP))

    assert event.process == SLEEP
    assert event.errors is event.image.errors is None


def test_error_of_proc_is_told(procfs):
    """A /proc that cannot be read costs the texts, not the process."""
    procfs.error = KernelError("open /proc/42", errno.EACCES)
    (event,) = scanned(image_record(SLEEP))

    assert event.image.errors == {"procfs": errno.EACCES}
    assert event.process == SLEEP


def test_kernel_threads_are_not_looked_up(procfs):
    """A kernel thread has nothing in /proc that the kernel did not tell."""
    events = scanned(
        image_record(THREAD, comm=b"kthreadd", kernel_thread=True), image_record(SLEEP)
    )

    images = [event.image for event in events]

    assert [image.filename for image in images] == [b"[kthreadd]", b"/usr/bin/sleep"]
    assert [image.is_kernel for image in images] == [True, False]
    assert [call[1] for call in procfs.calls] == [42]


def test_scanned_images_are_not_shared(procfs):
    """What /proc says of one process is not said of another."""
    other = ProcessKey(6_000, 43)
    procfs.image = None
    first, second = scanned(image_record(SLEEP), image_record(other))
    procfs.image = procfs_image()
    third, _ = scanned(image_record(SLEEP), image_record(other), living={42: 5_000})

    assert first.image is not second.image
    assert [event.image.filename for event in (first, second)] == [b"", b""]
    assert third.image.filename == b"/usr/bin/sleep"


def test_table_is_read_after_proc(procfs):
    """An exec between the two must be seen, so the table comes last."""
    order = []

    def living():
        order.append(len(procfs.calls))
        return {42: 5_000}

    scan_processes(image_record(SLEEP) * 3, living, "/proc", 100, 0)

    assert order == [3]
