# SPDX-License-Identifier: Apache-2.0
"""`tetragon-py policy library`: the ready policies in, files for the agent out.

What somebody has changed is not overwritten and not removed.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tetragon_py.cli.marked_file import is_changed, remove_file, write_file
from tetragon_py.errors import TetragonError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tetragon_py.policy.catalog import LibraryPolicy

__all__ = ["library"]

# \b keeps click from filling the lines of a paragraph.
_LIST_EPILOG = """
\b
Examples:
  Everything against persistence:
    tetragon-py policy library list --tactic persistence
  By a technique of ATT&CK, with those below it:
    tetragon-py policy library list --id T1548
  For scripts:
    tetragon-py policy library list --json | jq -r '.[].name'
"""
_SHOW_EPILOG = """
\b
Examples:
  tetragon-py policy library show cron-write
  tetragon-py policy library show egress >my-egress.yaml
"""
_ENABLE_EPILOG = """
\b
Examples:
  Try it first: what it would block is reported:
    sudo tetragon-py policy library enable cron-write authorized-keys-write
  Block:
    sudo tetragon-py policy library enable cron-write --mode enforce
  Into a directory of your own:
    tetragon-py policy library enable egress --dir policies/

\b
Exit status: 0 written, 1 a file could not be written, 2 no such policy, or its file
was changed (nothing is written then).
"""
_DISABLE_EPILOG = """
\b
Examples:
  sudo tetragon-py policy library disable cron-write

\b
Exit status: 0 removed, 1 a file could not be removed, 2 not enabled, or its file was
changed (nothing is removed then).
"""
_COLORS = {"blocks": "red", "detects": "cyan"}


class _RefusedError(TetragonError):
    """What was asked for cannot be done as it was asked for."""

    exit_status = 2


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return [name for name in _policies() if name.startswith(incomplete)]


_names = click.argument("names", nargs=-1, required=True, shell_complete=_complete)
_dir = click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory of policies.  [default: that of the agent's settings]",
)


@click.group("library")
def library() -> None:
    """Ready policies, by tactic of MITRE ATT&CK."""


@library.command("list", epilog=_LIST_EPILOG)
@click.option("--tactic", help="Only those against this tactic.")
@click.option("--id", "technique", help="Only those against this technique.")
@click.option("--json", "as_json", is_flag=True, help="An array of objects.")
def _list(tactic: str | None, technique: str | None, *, as_json: bool) -> None:
    """List the policies: name, tactic, technique, what they do."""
    found = [*_filtered(_policies().values(), tactic, technique)]
    if as_json:
        wanted = [{k: v for k, v in p._asdict().items() if k != "text"} for p in found]
        click.echo(json.dumps(wanted))
        return
    for line in _table(found):
        click.echo(line, color=_is_colored())


@library.command("show", epilog=_SHOW_EPILOG)
@click.argument("name", shell_complete=_complete)
def _show(name: str) -> None:
    """Print a policy's YAML."""
    [policy] = _named([name])
    click.echo(policy.text, nl=False)


@library.command("enable", epilog=_ENABLE_EPILOG)
@_names
@click.option(
    "--mode",
    type=click.Choice(["monitor", "enforce"]),
    default="monitor",
    show_default=True,
    help="Report what would be blocked, or block it.",
)
@_dir
@click.option("--force", is_flag=True, help="Overwrite files that were changed.")
def _enable(
    names: Sequence[str], mode: str, folder: Path | None, *, force: bool
) -> None:
    """Write policies into the agent's directory."""
    from tetragon_py.policy.catalog import (  # noqa: PLC0415 - as in _policies
        Effect,
        set_mode,
    )
    from tetragon_py.policy.model.options import PolicyMode  # noqa: PLC0415

    policies = _named(names)
    option = f" --dir {folder}" if folder else ""
    folder = folder or _default_folder()
    if not force:
        _refuse_changed(_path(folder, policy.name) for policy in policies)
    for policy in policies:
        path = _path(folder, policy.name)
        text = set_mode(policy, PolicyMode(mode))
        write_file(path, text, "tetragon-py policy library")
        how = "detects" if policy.effect is Effect.DETECTS else f"{mode} mode"
        click.echo(f"{policy.name}: enabled ({how}) in {path}")
        if policy.kernel:
            text = f"it needs Linux {policy.kernel}: `policy check {path}` tells"
            click.echo(f"  {text} whether it runs here")
    blocking = [each.name for each in policies if each.effect is Effect.BLOCKS]
    if blocking and mode == "monitor":
        again = " ".join(blocking)
        click.echo("what would be blocked is reported only; to block it:")
        click.echo(
            f"  tetragon-py policy library enable {again} --mode enforce{option}"
        )
    click.echo("the agent loads policies at its start")


@library.command("disable", epilog=_DISABLE_EPILOG)
@_names
@_dir
@click.option("--force", is_flag=True, help="Remove files that were changed.")
def _disable(names: Sequence[str], folder: Path | None, *, force: bool) -> None:
    """Remove policies from the agent's directory."""
    folder = folder or _default_folder()
    paths = {policy.name: _path(folder, policy.name) for policy in _named(names)}
    for name, path in paths.items():
        if not path.exists():
            raise _RefusedError(f"{name} is not enabled: there is no {path}")
    if not force:
        _refuse_changed(paths.values())
    for name, path in paths.items():
        remove_file(path)
        click.echo(f"{name}: disabled, {path} is removed")


# ---- the library ----


def _policies() -> Mapping[str, LibraryPolicy]:
    # Not before somebody asks: --help does not load pydantic.
    from tetragon_py.policy.catalog import load_library  # noqa: PLC0415

    return load_library()


def _named(names: Iterable[str]) -> list[LibraryPolicy]:
    """The policies of these names, each once."""
    from tetragon_py.policy.diagnostic import one_of, quote  # noqa: PLC0415

    policies = _policies()
    for name in names:
        if name not in policies:
            text = f"the library has no policy {quote(name)}"
            hint = one_of(name, policies) or "see `tetragon-py policy library list`"
            raise click.UsageError(f"{text}: {hint}")
    return [policies[name] for name in dict.fromkeys(names)]


def _filtered(
    policies: Iterable[LibraryPolicy], tactic: str | None, technique: str | None
) -> Iterator[LibraryPolicy]:
    policies = [*policies]
    tactics = sorted({each for policy in policies for each in policy.tactics})
    known = sorted({each for policy in policies for each in policy.techniques})
    if tactic is not None:
        tactic = tactic.lower().replace("_", "-").replace(" ", "-")
        _check_known("tactic", tactic, tactics, tactics)
    if technique is not None:
        technique = technique.upper()
        # T1548 means also T1548.001
        parents = {each.split(".")[0] for each in known}
        _check_known("technique", technique, {*known, *parents}, known)
    for policy in policies:
        ids = {*policy.techniques, *(each.split(".")[0] for each in policy.techniques)}
        if tactic in {None, *policy.tactics} and technique in {None, *ids}:
            yield policy


def _check_known(
    what: str, value: str, allowed: Iterable[str], shown: Iterable[str]
) -> None:
    from tetragon_py.policy.diagnostic import one_of, quote  # noqa: PLC0415

    if value not in set(allowed):
        hint = one_of(value, shown)
        text = f"no policy is against the {what} {quote(value)}"
        raise click.UsageError(f"{text}: {hint}" if hint else text)


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def _is_colored() -> bool:
    return _is_terminal() and not os.environ.get("NO_COLOR")


def _table(policies: Sequence[LibraryPolicy]) -> Iterator[str]:
    """One line per policy; columns as wide as they have to be."""
    rows = [
        (p.name, ",".join(p.tactics), ",".join(p.techniques), str(p.effect))
        for p in policies
    ]
    heading = ("NAME", "TACTIC", "ATT&CK", "EFFECT")
    widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
    yield "  ".join((*map(str.ljust, heading, widths), "DESCRIPTION"))
    for policy, row in zip(policies, rows, strict=True):
        name, tactics, ids, effect = map(str.ljust, row, widths)
        since = f" (Linux {policy.kernel})" if policy.kernel else ""
        shown = click.style(effect, fg=_COLORS[policy.effect])
        bold = click.style(name, bold=True)
        yield "  ".join((bold, tactics, ids, shown, f"{policy.description}{since}"))


# ---- files ----


def _default_folder() -> Path:
    from tetragon_py.settings import load_settings  # noqa: PLC0415 - as above

    return load_settings({}).tracing_policy_dir


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}.yaml"


def _refuse_changed(paths: Iterable[Path]) -> None:
    changed = [str(path) for path in paths if path.exists() and is_changed(path)]
    if changed:
        files = ", ".join(changed)
        raise _RefusedError(f"changed by somebody: {files}; --force does it anyway")
