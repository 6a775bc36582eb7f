# SPDX-License-Identifier: Apache-2.0
"""`tetragon-py probe`: the running kernel in, a table or JSON of what it offers out.

The exit status is 0 if process events can be had, else 1. Every feature is tried, not
looked up; what is attached for that is gone when the command ends.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import TYPE_CHECKING

import click
import structlog

from tetragon_py.errors import TetragonError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tetragon_py.libbpf.features import Group, ProbeResult

__all__ = ["probe"]

# \b keeps click from filling the lines of a paragraph.
_EPILOG = """
\b
Examples:
  What does this kernel offer, and why not the rest?
    sudo tetragon-py probe
  Which hooks are there?
    sudo tetragon-py probe | grep fentry
  For scripts:
    sudo tetragon-py probe --output json | jq '.features[] | select(.available).name'
    sudo tetragon-py probe >/dev/null && echo 'process events: yes'
"""

_HEADINGS = {
    "base": "base: what the agent needs or uses",
    "hooks": "hooks: where it can look",
    "enforcement": "enforcement: how it can act",
    "helpers": "helpers: what its programs can call",
}
# What an operator wants -> the features of which one is enough.
_ABILITIES = {
    "kernel functions": ("fentry", "kprobe"),
    "system calls": ("fentry", "kprobe", "sys_enter"),
    "user functions": ("uprobe",),
    "kill": ("send_signal",),
    "deny": ("lsm", "fmod_ret", "override_return"),
}


@click.command("probe", epilog=_EPILOG)
@click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of the answer.",
)
def probe(output: str) -> None:
    """Show what this kernel offers, by trying it out."""
    if os.geteuid() != 0:
        raise TetragonError("probe needs root: start it with sudo")
    # What libbpf says about a failure is in the reasons.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
    )
    # After the check: a wrong start does not load libbpf.
    from tetragon_py.libbpf.features import (  # noqa: PLC0415 - see above
        FEATURES,
        REQUIRED,
        probe_all,
    )

    groups = {name: feature.group for name, feature in FEATURES.items()}
    results = probe_all()
    found = {result.name for result in results if result.available}
    if output == "json":
        click.echo(json.dumps(_answer(results, groups)))
    else:
        colored = _on_terminal() and not os.environ.get("NO_COLOR")
        host = os.uname()
        click.echo(f"Linux {host.release}, {host.machine}\n")
        for line in _table(results, groups):
            click.echo(line, color=colored)
        click.echo(f"\n{_summary(found, REQUIRED)}")
    sys.exit(0 if found.issuperset(REQUIRED) else 1)


def _on_terminal() -> bool:
    return sys.stdout.isatty()


def _answer(
    results: Sequence[ProbeResult], groups: Mapping[str, Group]
) -> dict[str, object]:
    host = os.uname()
    return {
        "kernel": host.release,
        "architecture": host.machine,
        "features": [{"group": groups[one.name], **one._asdict()} for one in results],
    }


def _table(
    results: Sequence[ProbeResult], groups: Mapping[str, Group]
) -> Iterator[str]:
    name_width = max(len(result.name) for result in results)
    title_width = max(len(result.title) for result in results)
    group = None
    for name, title, since, available, reason in results:
        if groups[name] != group:
            if group:
                yield ""
            group = groups[name]
            yield _HEADINGS[group]
        word, color = ("yes", "green") if available else ("no ", "red")
        yield (
            f"  {click.style(word, fg=color)}  {name:{name_width}}  {since:>4}"
            f"  {title:{title_width}}  {reason}"
        )


def _summary(found: set[str], required: Sequence[str]) -> str:
    missing = [name for name in required if name not in found]
    parts = [f"process events: {_words(not missing, 'without', missing)}"]
    for what, names in _ABILITIES.items():
        ways = [name for name in names if name in found]
        said = ("by", ways) if ways else ("none of", names)
        parts.append(f"{what}: {_words(bool(ways), *said)}")
    return "; ".join(parts)


def _words(able: bool, word: str, names: Sequence[str]) -> str:  # noqa: FBT001 - private
    detail = f" ({word} {', '.join(names)})" if names else ""
    return f"{'yes' if able else 'no'}{detail}"
