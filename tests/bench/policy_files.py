# SPDX-License-Identifier: Apache-2.0
"""The policies that are measured, as YAML files.

Tenants are policies on one hook with three filters each; spread ones have the same
filters on 50 system calls; the others are there for one workload of load.c.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tests.bench.programs import OUTPUT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = [
    "COLD",
    "DEEP_ROOT",
    "MATCHING",
    "SPREAD_CALLS",
    "WARM",
    "followers",
    "number_policy",
    "open_policy",
    "return_policy",
    "seek_policy",
    "spread",
    "tenants",
    "write_policies",
]

#: Paths of load.c that no tenant wants: all begin as those that tenants want do, up to
#: the last byte. COLD is another tenant's in each call.
WARM = "/srv/tenant-0500.none/file"
COLD = "/srv/tenant-####.none/file"
#: The one that tenant 0, or in turn each one of 1,000, wants.
MATCHING = "/srv/tenant-####/file"
#: Before all paths of tenants: those of containers' files share as much.
DEEP_ROOT = f"/var/lib/containers/storage/overlay/{'c0ffee' * 10}/merged"

#: System calls whose first two arguments are a path and a number, or two numbers.
_PATH_CALLS = ("access", "chmod", "creat", "mkdir", "open", "swapon", "truncate")
_NUMBER_CALLS = """
    accept alarm bind capget capset clock_adjtime clock_getres clock_settime dup2 dup3
    epoll_create1 eventfd2 fallocate fchmod fdatasync flock fsync ftruncate getitimer
    getpgid getpriority getrlimit getsid inotify_init1 ioctl kill listen lseek mlock
    mlockall msync munlock personality readahead setgid setpgid setpriority setregid
    setreuid setuid shutdown socket sync_file_range
"""
SPREAD_CALLS = (*_PATH_CALLS, *_NUMBER_CALLS.split())

_HEAD = """\
# One of the policies of `make bench`.
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata:
  name: {name}
spec:
"""
_TENANT = """\
  kprobes:
  - call: sys_openat
    syscall: true
    args:
    - index: 1
      type: string
    - index: 2
      type: int
    - index: 3
      type: int
    selectors:
    - matchBinaries:
      - operator: In
        values:
        - {binary}
        - /opt/tenant-{number:04}/bin/server
      matchArgs:
      - index: 1
        operator: Prefix
        values:
        - {root}/srv/tenant-{number:04}/
      - index: 3
        operator: InRange
        values:
        - "0:{high}"
"""
_SIGNAL = """\
      matchActions:
      - action: Signal
        argSig: {signal}
"""
_SPREAD = """\
  kprobes:
  - call: sys_{call}
    syscall: true
    args:
    - index: 0
      type: {type}
    - index: 1
      type: int
    selectors:
    - matchBinaries:
      - operator: In
        values:
        - /opt/tenant-{binary:04}/bin/server
      matchArgs:
      - index: 0
        operator: {operator}
        values:
        - "{value}"
      - index: 1
        operator: InRange
        values:
        - "{number}:{high}"
"""
_NUMBER = """\
  kprobes:
  - call: sys_{call}
    syscall: true
    args:
    - index: 0
      type: int
    - index: 1
      type: int
    selectors:
    - matchArgs:
      - index: 0
        operator: Equal
        values:
        - "{number}"
      - index: 1
        operator: InRange
        values:
        - "{number}:{high}"
"""
_SEEK_CALL = """\
  kprobes:
  - call: sys_lseek
    syscall: true
    args:
    - index: 0
      type: int
    - index: 1
      type: int64
    - index: 2
      type: int
    selectors:
    - matchArgs:
      - index: 2
        operator: Equal
        values:
        - "4444"
"""
_SEEK_TRACEPOINT = """\
  tracepoints:
  - subsystem: syscalls
    event: sys_enter_lseek
    args:
    - index: 5
      type: int
    - index: 6
      type: int64
    - index: 7
      type: int
    selectors:
    - matchArgs:
      - index: 7
        operator: Equal
        values:
        - "4444"
"""
_RETURN = """\
  kprobes:
  - call: sys_lseek
    syscall: true
    return: true
    args:
    - index: 0
      type: int
    returnArg:
      index: 0
      type: int64
    selectors:
    - matchArgs:
      - index: 0
        operator: Equal
        values:
        - "-77"
"""
_OPEN = """\
  kprobes:
  - call: sys_openat
    syscall: true
    args:
    - index: 1
      type: string
    - index: 2
      type: int
    selectors:
    - matchArgs:
      - index: 1
        operator: Prefix
        values:
        - /nowhere/
"""
_FOLLOWED = """\
  kprobes:
  - call: sys_lseek
    syscall: true
    args:
    - index: 0
      type: int
    selectors:
    - matchPIDs:
      - operator: In
        followForks: true
        values:
        - {pid}
    - matchBinaries:
      - operator: In
        followChildren: true
        values:
        - {binary}
    - matchBinaries:
      - operator: Postfix
        values:
        - {postfix}
"""


def tenants(count: int, binary: Path, root: str = "", *, signal: int = 0) -> list[str]:
    """Policies on openat() that only the path tells apart; `binary` is in all of them.

    `root` comes before their paths; `signal` is sent to who matches. The path is looked
    up last, so a hit of `binary` with the mode of load.c has all three filters
    evaluated.
    """
    action = _SIGNAL.format(signal=signal) if signal else ""
    return [
        _HEAD.format(name=f"tenant-{i:04}")
        + _TENANT.format(number=i, binary=binary, root=root, high=10_000 + i)
        + action
        for i in range(count)
    ]


def spread(
    numbers: Iterable[int], call: str = "", binary: int | None = None
) -> list[str]:
    """Policies on SPREAD_CALLS in turn, or on one call, that filter nearly all out.

    Args:
        numbers: Of the policies: no two have the same filters.
        call: A system call whose first two arguments are numbers.
        binary: Number of the binary; else each has its own.
    """
    texts = []
    for i in numbers:
        name = call or SPREAD_CALLS[i % len(SPREAD_CALLS)]
        has_path = name in _PATH_CALLS
        texts.append(
            _HEAD.format(name=f"spread-{i:04}")
            + _SPREAD.format(
                call=name,
                type="string" if has_path else "int",
                binary=i if binary is None else binary,
                operator="Prefix" if has_path else "Equal",
                value=f"/srv/tenant-{i:04}/" if has_path else i,
                number=i,
                high=10_000 + i,
            )
        )
    return texts


def number_policy(number: int, call: str) -> str:
    """On a call whose first two arguments are numbers: filters on these, no binary."""
    body = _NUMBER.format(call=call, number=number, high=10_000 + number)
    return _HEAD.format(name=f"number-{number:04}") + body


def seek_policy(kind: str) -> str:
    """Posts three integers of each lseek() of load.c: "syscall" or "tracepoint"."""
    body = {"syscall": _SEEK_CALL, "tracepoint": _SEEK_TRACEPOINT}[kind]
    return _HEAD.format(name=f"seek-{kind}") + body


def return_policy() -> str:
    """Wants a return value, of calls that load.c does not make."""
    return _HEAD.format(name="return") + _RETURN


def open_policy() -> str:
    """Wants paths that load.c does not open."""
    return _HEAD.format(name="open") + _OPEN


def followers(pid: int, binary: Path, postfix: str) -> str:
    """Depends on all that is kept of a process: binary, followed binary and pid."""
    body = _FOLLOWED.format(pid=pid, binary=binary, postfix=postfix)
    return _HEAD.format(name="followers") + body


def write_policies(name: str, texts: Iterable[str]) -> Path:
    """A directory of that name with a file for each text; what was there goes."""
    folder = OUTPUT / "policies" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for i, text in enumerate(texts):
        (folder / f"{i:04}.yaml").write_text(text)
    return folder
