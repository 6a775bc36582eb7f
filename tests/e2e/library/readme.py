# SPDX-License-Identifier: Apache-2.0
"""The library's README, from the policies and from what the tests try.

`python -m tests.e2e.library.readme` writes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.library.doors import (
    DOORS,
    EXEC_DOORS,
    GUARDS,
    NET_DOORS,
    PROGRAMS,
    TARGETS,
    VICTIMS,
)
from tetragon_py.policy.catalog import LIBRARY, TACTICS, load_library

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["README", "render"]

README = LIBRARY / "README.md"
_HEAD = """\
# Ready policies

One file per policy, by tactic of MITRE ATT&CK. `tetragon-py policy library` lists,
shows and enables them. Written by `python -m tests.e2e.library.readme`; a test fails
where it is not up to date.

"Blocks" means that the policy denies what it describes in enforce mode; in monitor
mode, the default of `policy library enable`, it reports. "Detects" means that it only
reports. Programs that do the same by profession on Debian are left out by their
resolved paths; whoever can execute code in one of them has its rights.
"""
_DOORS = """
## Ways to a file

Each of these is tried in enforce mode by `tests/e2e/library/test_doors.py` and
`test_guarded.py` against each policy on files: it fails, and the file is what it was.
The table tells the LSM hook that denies it. Policies name files by their path
within the file system and, for opens, also by their path as the process sees it:
`/etc/shadow` is that in every mount, and in containers and chroots too. On btrfs the
subvolume `@rootfs` of Debian's installer is known. The policies `io-uring` (from Linux
6.1) and `mount` deny the ways that end with their names before the file is reached;
each was tried without that too. What is in the table is the result of the latter.
"""
_EXEC = """
## Ways to execute a program
"""
_NET = """
## Ways to an address
"""
_LIMITS = """
## What is not closed

- A hard link or a descriptor that there was before the policy, or a descriptor that a
  program which may open the file hands over.
- File systems mounted over a protected file or directory: `mount` denies them to
  unknown programs.
- A directory above a protected one that is renamed, edited below its other name, and
  renamed back; the folder `.ssh` itself is watched.
- Policies on directories (`Prefix`): hard links on btrfs subvolumes with other names
  than `@rootfs`.
- What writes to the disk below the file system: `raw-disk-write` denies it to unknown
  programs.
- To remove a protected file, which only `history-tampering` and `log-tampering` deny;
  the others deny to put something in its place.
- `file-handle-open`, `process-vm-write` watch system calls and deny nothing; what they
  lead to is denied by the policy on the file and by `process-attach`.
"""


def render() -> str:
    """Return the whole file."""
    lines = [*_policies(), _DOORS, *_file_doors(), _EXEC, *_exec_doors()]
    lines += [_NET, *_net_doors(), _LIMITS]
    return _HEAD + "\n".join(lines)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _table(heading: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    heading = [*heading]
    yield _row(*heading)
    yield f"|{'---|' * len(heading)}"
    for row in rows:
        yield _row(*row)


def _policies() -> Iterator[str]:
    policies = load_library().values()
    for tactic in TACTICS:
        rows = [
            (
                f"[{policy.name}]({policy.name}.yaml)",
                ", ".join(policy.techniques),
                policy.effect,
                policy.kernel,
                policy.description,
            )
            for policy in policies
            if policy.tactics[0] == tactic
        ]
        if rows:
            yield f"\n## {tactic.replace('-', ' ').capitalize()}\n"
            heading = ("policy", "ATT&CK", "effect", "from Linux", "")
            yield from _table(heading, rows)


def _file_doors() -> Iterator[str]:
    kinds = {
        use: [name for name, victim in VICTIMS.items() if victim.use == use]
        for use in ("read", "write")
    }
    for use, names in kinds.items():
        yield f"`{use}`: {', '.join(names)}\n"
    rows = (
        (_way(door.name, door.how), _hook(door.read), _hook(door.write))
        for door in DOORS
    )
    yield from _table(("way", "who reads", "who writes"), rows)


def _way(door: str, how: str) -> str:
    return f"{how} ({GUARDS[door]})" if door in GUARDS else how


def _hook(name: str) -> str:
    return f"`{name}`" if name else "-"


def _exec_doors() -> Iterator[str]:
    rows = (
        (_way(door, how), *(found.get(door, "-") for found in PROGRAMS.values()))
        for door, how in EXEC_DOORS.items()
    )
    heading = ("way", *(f"{kind} program" for kind in PROGRAMS))
    yield from _table(heading, rows)


def _net_doors() -> Iterator[str]:
    yield f"For {' and '.join(TARGETS)}, which only tells.\n"
    rows = ((_way(door, how), _hook(hook)) for door, (how, hook) in NET_DOORS.items())
    yield from _table(("way", "seen by"), rows)


if __name__ == "__main__":
    README.write_text(render())
