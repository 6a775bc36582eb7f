# SPDX-License-Identifier: Apache-2.0
"""What only /proc tells of a process that lived before the agent.

In comes a process that the task iterator found, out goes a ProcfsImage: arguments,
paths, identity of the executable, terminal, cgroup. All is read through one descriptor
of /proc/TGID, which stays bound to that process, so another one with a reused number is
never read by mistake.
"""

from __future__ import annotations

import errno
import functools
import os
import re
from typing import Final, NamedTuple

from tetragon_py.errors import KernelError
from tetragon_py.events.process import Namespaces

__all__ = ["ProcfsImage", "namespaces_of", "read_process"]

_FILE: Final = os.O_RDONLY | os.O_CLOEXEC
_DIRECTORY: Final = _FILE | os.O_DIRECTORY
_GONE: Final = frozenset({errno.ENOENT, errno.ESRCH})
_TICK_NS: Final = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_STAT_MAX_BYTES: Final = 4096  # 52 numbers and a name of at most 64 bytes
_CGROUP_MAX_BYTES: Final = 65536  # 14 hierarchies with a path of 4096 bytes each
_CHUNK_BYTES: Final = 65536
_FIRST_CHUNK_BYTES: Final = 4096  # most command lines
_PF_KTHREAD: Final = 0x00200000  # include/linux/sched.h
_PTS_MAJOR: Final = 136
_DELETED: Final = b" (deleted)"
_TITLE: Final = re.compile(rb"([^\0]+)\0{9,}", re.DOTALL)
_ATTEMPTS: Final = 3


class ProcfsImage(NamedTuple):
    """A process as /proc shows it. Paths are relative to the root of the process."""

    comm: bytes
    kernel_thread: bool
    torn: bool  # it called exec during each attempt: fields are of different images
    arguments: bytes  # argv, each ended by NUL; the process can change it
    arguments_cut: bool
    environment: bytes  # envp, the same; b"" unless asked for
    environment_cut: bool
    cwd: bytes
    cwd_deleted: bool
    cwd_unreachable: bool  # not below the root of the process: relative to the agent's
    executable: bytes
    executable_deleted: bool
    executable_unreachable: bool
    inode: int
    links: int
    device: int  # major << 20 | minor
    mode: int
    tty: bytes  # as the kernel names it: pts0, tty1; b"" without one
    cgroup_path: bytes  # without the mount point
    missing: dict[str, int]  # field that could not be read -> errno


def read_process(
    proc: int | str,
    tgid: int,
    start_boottime_ns: int,
    *,
    arguments_max_bytes: int,
    environment_max_bytes: int = 0,
) -> ProcfsImage | None:
    """Read a process; None if the one that started then is gone.

    Args:
        proc: Descriptor of /proc, or its path.
        tgid: In the pid namespace of that /proc.
        start_boottime_ns: When it was forked, CLOCK_BOOTTIME of the host.
        arguments_max_bytes: Longer arguments are cut and marked.
        environment_max_bytes: The same for the environment; 0 does not read it.

    Raises:
        KernelError: /proc does not tell whether it is the process.
    """
    try:
        directory = _open_directory(proc, tgid)
        try:
            stat_fd = os.open("stat", _FILE, dir_fd=directory)
            try:
                limits = arguments_max_bytes, environment_max_bytes
                return _read_image(directory, stat_fd, start_boottime_ns, limits)
            finally:
                os.close(stat_fd)
        finally:
            os.close(directory)
    except OSError as error:
        if error.errno in _GONE:
            return None
        raise KernelError(f"read /proc/{tgid}/stat", error.errno or 0) from error


def namespaces_of(pid: int, procfs: str = "/proc") -> Namespaces:
    """Return the namespaces of a process; 0 for each that cannot be read."""
    inodes = []
    for name in Namespaces._fields:
        try:
            inodes.append(os.stat(f"{procfs}/{pid}/ns/{name}").st_ino)  # noqa: PTH116 - a link that only the kernel follows
        except OSError:
            inodes.append(0)
    return Namespaces(*inodes)


class _Stat(NamedTuple):
    tgid: str
    comm: bytes
    state: bytes
    flags: int
    tty: int
    thread_count: int
    start_ticks: int
    layout: list[bytes]  # addresses that each exec changes; zeros without permission


def _open_directory(proc: int | str, tgid: int) -> int:
    if isinstance(proc, int):
        return os.open(str(tgid), _DIRECTORY, dir_fd=proc)
    return os.open(f"{proc}/{tgid}", _DIRECTORY)


def _read_image(
    directory: int, stat_fd: int, start_boottime_ns: int, limits: tuple[int, int]
) -> ProcfsImage | None:
    stat = _read_stat(stat_fd)
    start_ticks = (start_boottime_ns + _boottime_offset_ns()) // _TICK_NS
    if abs(stat.start_ticks - start_ticks) > 1:
        return None
    attempt = 0
    while True:
        image = _read_fields(directory, stat, limits)
        before, stat = stat, _read_stat(stat_fd)  # fails if the process is gone
        if stat.layout == before.layout:
            return image
        attempt += 1
        if attempt == _ATTEMPTS:
            return image._replace(torn=True)


def _read_stat(stat_fd: int) -> _Stat:
    text = os.pread(stat_fd, _STAT_MAX_BYTES, 0)
    # The name may contain ") ", numbers after it do not.
    name_end = text.rindex(b")")
    fields = text[name_end + 2 :].split()  # [0] is field 3 of proc_pid_stat(5)
    name_start = text.index(b"(")
    return _Stat(
        tgid=text[: name_start - 1].decode(),
        comm=text[name_start + 1 : name_end],
        state=fields[0],
        flags=int(fields[6]),
        tty=int(fields[4]),
        thread_count=int(fields[17]),
        start_ticks=int(fields[19]),
        layout=fields[23:26] + fields[42:49],
    )


@functools.cache
def _boottime_offset_ns() -> int:
    # The kernel adds the offset of the reader's time namespace to start times.
    try:
        with open("/proc/self/timens_offsets", "rb") as file:  # noqa: PTH123 - read once
            return _parse_boottime_offset(file.read())
    except OSError:
        return 0


def _parse_boottime_offset(text: bytes) -> int:
    for line in text.splitlines():
        fields = line.split()
        # The first kernels with it wrote the clock's number.
        if len(fields) == 3 and fields[0] in {b"boottime", b"7"}:
            return int(fields[1]) * 1_000_000_000 + int(fields[2])
    return 0


def _read_fields(directory: int, stat: _Stat, limits: tuple[int, int]) -> ProcfsImage:
    thread = _open_live_thread(directory, stat)
    try:
        return _Source(directory if thread is None else thread, stat).image(*limits)
    finally:
        if thread is not None:
            os.close(thread)


def _open_live_thread(directory: int, stat: _Stat) -> int | None:
    # A leader that ended before its threads shows no memory any more; they still do.
    if stat.state != b"Z" or stat.thread_count < 2:
        return None
    try:
        task = os.open("task", _DIRECTORY, dir_fd=directory)
        try:
            for name in os.listdir(task):  # noqa: PTH208 - of a descriptor
                if name != stat.tgid:
                    return os.open(name, _DIRECTORY, dir_fd=task)
        finally:
            os.close(task)
    except OSError:
        pass
    return None


class _Source:
    """Reads fields from one directory, and notes those that cannot be read."""

    def __init__(self, directory: int, stat: _Stat) -> None:
        self._directory = directory
        self._stat = stat
        self._missing: dict[str, int] = {}

    def image(
        self, arguments_max_bytes: int, environment_max_bytes: int
    ) -> ProcfsImage:
        arguments, arguments_cut = self._file(
            "arguments", "cmdline", arguments_max_bytes
        )
        environment, environment_cut = b"", False
        if environment_max_bytes:
            environment, environment_cut = self._file(
                "environment", "environ", environment_max_bytes
            )
        root = self._link("root", "root")
        cwd, cwd_unreachable = _below(root, self._link("cwd", "cwd"))
        cwd, cwd_deleted = self._named(b"cwd", cwd, None)
        executable, executable_unreachable = _below(
            root, self._link("executable", "exe")
        )
        file = self._executable_stat()
        executable, executable_deleted = self._named(b"exe", executable, file)
        cgroups, _ = self._file("cgroup_path", "cgroup", _CGROUP_MAX_BYTES)
        tty = self._tty()
        self._missing.pop("root", None)
        kernel_thread = bool(self._stat.flags & _PF_KTHREAD)
        if kernel_thread:  # it has no executable: nothing is missing
            self._missing.pop("executable", None)
            self._missing.pop("inode", None)
        return ProcfsImage(
            comm=self._stat.comm,
            kernel_thread=kernel_thread,
            torn=False,
            arguments=_without_padding(_terminated(arguments)),
            arguments_cut=arguments_cut,
            environment=_terminated(environment),
            environment_cut=environment_cut,
            cwd=cwd,
            cwd_deleted=cwd_deleted,
            cwd_unreachable=cwd_unreachable,
            executable=executable,
            executable_deleted=executable_deleted,
            executable_unreachable=executable_unreachable,
            inode=file.st_ino if file else 0,
            links=file.st_nlink if file else 0,
            device=os.major(file.st_dev) << 20 | os.minor(file.st_dev) if file else 0,
            mode=file.st_mode if file else 0,
            tty=tty,
            cgroup_path=_cgroup_path(cgroups, is_zombie=self._stat.state == b"Z"),
            missing=self._missing,
        )

    def _note(self, field: str, error: OSError) -> None:
        self._missing[field] = error.errno or errno.EIO

    def _file(self, field: str, name: str, max_bytes: int) -> tuple[bytes, bool]:
        try:
            fd = os.open(name, _FILE, dir_fd=self._directory)
            try:
                return _read_all(fd, max_bytes)
            finally:
                os.close(fd)
        except OSError as error:
            self._note(field, error)
            return b"", False

    def _link(self, field: str, name: str) -> bytes:
        try:
            return os.readlink(name.encode(), dir_fd=self._directory)
        except OSError as error:
            self._note(field, error)
            return b""

    def _executable_stat(self) -> os.stat_result | None:
        try:
            return os.stat("exe", dir_fd=self._directory)
        except OSError as error:
            self._note("inode", error)
            return None

    def _named(
        self, link: bytes, path: bytes, file: os.stat_result | None
    ) -> tuple[bytes, bool]:
        # The kernel adds " (deleted)" to a path without a name, but a name may end so.
        if not path.endswith(_DELETED):
            return path, file is not None and file.st_nlink == 0
        try:
            file = file or os.stat(link, dir_fd=self._directory)
        except OSError:
            return path, False  # unknown: keep what the kernel says
        if file.st_nlink > 0:  # other hard links, or such a name
            try:
                named = os.stat(b"root" + path, dir_fd=self._directory)
                if os.path.samestat(named, file):
                    return path, False
            except OSError:
                pass
        return path.removesuffix(_DELETED), True

    def _tty(self) -> bytes:
        if not self._stat.tty:
            return b""
        major, minor = os.major(self._stat.tty), os.minor(self._stat.tty)
        if major == _PTS_MAJOR:
            return b"pts%d" % minor
        try:
            path = b"/sys/dev/char/%d:%d" % (major, minor)
            device = os.readlink(path)  # noqa: PTH115 - its bytes
        except OSError as error:
            self._note("tty", error)
            return b""
        return device.rpartition(b"/")[2]


def _read_all(fd: int, max_bytes: int) -> tuple[bytes, bool]:
    chunks = []
    left = max_bytes + 1  # one more tells whether there is more
    size = _FIRST_CHUNK_BYTES
    while left and (chunk := os.read(fd, min(size, left))):
        chunks.append(chunk)
        left -= len(chunk)
        size = _CHUNK_BYTES
    data = b"".join(chunks)
    return data[:max_bytes], not left


def _terminated(block: bytes) -> bytes:
    # A process may have overwritten the last NUL.
    return block + b"\0" if block and not block.endswith(b"\0") else block


def _without_padding(arguments: bytes) -> bytes:
    # A daemon that shows a title in place of its arguments fills the rest with NULs.
    title = _TITLE.fullmatch(arguments)
    return title[1] + b"\0" if title else arguments


def _below(root: bytes, path: bytes) -> tuple[bytes, bool]:
    # Links of /proc are relative to the reader's root; the agent tells all paths
    # relative to the root of their process. -> path, is unreachable
    if root in {b"", b"/"} or not path:
        return path, False
    if path == root:
        return b"/", False
    if path.startswith(root + b"/"):
        return path[len(root) :], False
    return path, True


def _cgroup_path(text: bytes, *, is_zombie: bool) -> bytes:
    # The kernel side's rule: cgroup v2, but where that is not used, v1 memory or pids.
    if not text:
        return b""
    paths = {}
    for line in text.split(b"\n"):
        _, _, rest = line.partition(b":")
        controllers, colon, path = rest.partition(b":")
        if colon:
            for controller in controllers.split(b","):
                paths[controller] = path
    unified = paths.get(b"", b"/")
    if is_zombie:  # the only ones that a deleted cgroup may contain
        unified = unified.removesuffix(_DELETED)
    if unified != b"/":
        return unified
    memory = paths.get(b"memory", b"/")
    return memory if memory != b"/" else paths.get(b"pids", b"/")
