# SPDX-License-Identifier: Apache-2.0
"""`tetragon-py status`: the agent's status file in, text or JSON of how it does out.

The exit status is 0 if an agent runs and has nothing to complain about, else 1. Reads
a file only: an agent that is stuck cannot keep it.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from tetragon_py.cli.option import given_settings
from tetragon_py.errors import TetragonError
from tetragon_py.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tetragon_py.daemon.status_file import Found

__all__ = ["status"]

# \b keeps click from filling the lines of a paragraph.
_EPILOG = """
\b
Examples:
  How does the agent do?
    sudo tetragon-py status
  For scripts:
    sudo tetragon-py status --output json | jq .policy.digest
    sudo tetragon-py status >/dev/null && echo 'all is well'
"""
#: An agent that writes each N seconds and has not for 3 N is stuck.
_MISSED_BEATS = 3


@click.command("status", epilog=_EPILOG)
@click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of the answer.",
)
@click.option(
    "--runtime-dir",
    type=click.Path(),
    metavar="PATH",
    help="Where the agent keeps its state; by default what the configuration says.",
)
@click.option(
    "--config-dir",
    type=click.Path(),
    metavar="PATH",
    help="Directory with more configuration files, as for `run`.",
)
@click.pass_context
def status(ctx: click.Context, /, output: str, **_settings: object) -> None:
    """Show how the agent does."""
    given = given_settings(ctx)
    given.pop("output", None)
    folder = load_settings(given).runtime_dir
    from tetragon_py.daemon.status_file import (  # noqa: PLC0415 - a help is quick
        read_status,
    )

    found = read_status(folder)
    if found is None:
        raise TetragonError(
            f"no agent has run here ({folder} is empty): start one with "
            "`tetragon-py run`, or name its --runtime-dir"
        )
    verdict, problems = _judge(found)
    if output == "json":
        answer = {
            **found.state,
            "verdict": verdict,
            "problems": problems,
            "age_seconds": round(found.age_seconds, 3),
        }
        click.echo(json.dumps(answer))
    else:
        colored = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        for line in _lines(found, verdict, problems):
            click.echo(line, color=colored)
    sys.exit(0 if verdict == "well" else 1)


def _judge(found: Found) -> tuple[str, list[str]]:
    """A word for all, and what is wrong."""
    state = found.state
    word = state.get("state")
    if word in {"ended", "failed"}:
        how = "was stopped" if word == "ended" else "has failed: see its log"
        return "not running", [f"the agent {how}; start it with `tetragon-py run`"]
    if not found.is_alive:
        text = "the agent died without a word: see its log, and start it again"
        return "not running", [text]
    problems = list(state.get("problems", ()))
    interval = float(state.get("interval_seconds", 0))
    if interval and found.age_seconds > _MISSED_BEATS * interval:
        text = f"the agent has written nothing for {found.age_seconds:.0f} s: it hangs"
        problems.append(text)
    return "degraded" if problems else "well", problems


def _lines(found: Found, verdict: str, problems: list[str]) -> Iterator[str]:
    state = found.state
    color = {"well": "green", "degraded": "yellow"}.get(verdict, "red")
    up = _duration(float(state.get("uptime_seconds", 0)))
    yield (
        f"{click.style(verdict, fg=color)}: tetragon-py {state.get('version', '?')}, "
        f"pid {state.get('pid')}, up {up}, as of {_duration(found.age_seconds)} ago"
    )
    for problem in problems:
        yield click.style(f"  ! {problem}", fg=color)
    for label, text in _rows(state):
        yield f"  {label:<9} {text}"


def _rows(state: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - another version may have written it
    policy, reloads = state.get("policy", {}), state.get("reloads", {})
    yield (
        "policies",
        f"{policy.get('policies')} on {policy.get('hooks')} hooks, generation "
        f"{policy.get('generation')}, digest {str(policy.get('digest'))[:12]}",
    )
    last = reloads.get("last", {})
    yield (
        "reloads",
        f"{reloads.get('good')} good, {reloads.get('bad')} bad; last: "
        f"{last.get('result', 'none')} ({last.get('trigger', 'none')})",
    )
    for error in last.get("errors", ()):
        place = f"{error.get('file', '')}:{error.get('line', 0)}".removesuffix(":0")
        yield "", f"{place}: {error.get('message')}".removeprefix(": ")
    events = state.get("events", {})
    counted = ", ".join(f"{count} {kind}" for kind, count in events.items())
    yield "events", counted
    lost = state.get("lost", {})
    causes = ", ".join(
        f"{one['count']} {one['lane']} {one['cause']}" for one in lost.get("causes", ())
    )
    yield "lost", f"{lost.get('total')}{f' ({causes})' if causes else ''}"
    yield (
        "rings",
        ", ".join(
            f"{name} {100 * ring['used_bytes'] // ring['size_bytes']} % of "
            f"{_size(ring['size_bytes'])}"
            for name, ring in state.get("rings", {}).items()
        ),
    )
    for sink in state.get("outputs", ()):
        said = f", {sink['error']}" if sink["error"] else ""
        yield (
            "output",
            f"{sink['name']}: {_size(int(sink['written_bytes']))} written, "
            f"{_size(sink['backlog_bytes'])} wait, "
            f"{sink['dropped_lines']} lines dropped{said}",
        )
    yield (
        "process",
        f"{_size(state.get('memory', {}).get('rss_bytes', 0))} memory, "
        f"{state.get('open_descriptors')} descriptors",
    )


def _duration(seconds: float) -> str:
    whole = int(seconds)
    parts = [
        (whole // 86400, "d"),
        (whole // 3600 % 24, "h"),
        (whole // 60 % 60, "min"),
    ]
    shown = [f"{count} {unit}" for count, unit in parts if count][:2]
    return " ".join(shown) or f"{whole} s"


def _size(count: int) -> str:
    for factor, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} B"
