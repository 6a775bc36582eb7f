# SPDX-License-Identifier: Apache-2.0
"""`tetragon-py policy`: policies in; what is wrong with them, or their tables, out.

What is said goes to standard error, the result to standard output. Nothing is loaded
into the kernel; only root can try how hooks would be attached.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import sys
import textwrap
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click
import structlog

from tetragon_py.cli.policy_library import library

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TypeAlias

    from tetragon_py.compiler.plan import AttachPoint, HookPlan, Plan, PointKind
    from tetragon_py.daemon.judgement import Judgement
    from tetragon_py.loader.backends import Attachment
    from tetragon_py.policy.diagnostic import Diagnostic
    from tetragon_py.policy.loaded import LoadedPolicy, LoadResult

    _Way: TypeAlias = tuple[PointKind, Attachment]

__all__ = ["policy"]

# \b keeps click from filling the lines of a paragraph.
_CHECK_EPILOG = """
\b
Examples:
  Is it right, and what of it does not run here?
    tetragon-py policy check my-policy.yaml
  All of a directory, and how each hook would be attached:
    sudo tetragon-py policy check --verbose /etc/tetragon-py/tetragon.tp.d
  In a pipeline: fail also if a part does not run on this kernel:
    tetragon-py policy check --strict policies/

\b
Exit status: 0 right (a note tells what `run` would refuse on this kernel or in this
release), 1 right, but with --strict and a warning or a note, 2 wrong.
"""
_COMPILE_EPILOG = """
\b
Examples:
  What would be written into the kernel's tables?
    tetragon-py policy compile --dump my-policy.yaml
  How large are they?
    tetragon-py policy compile my-policy.yaml

\b
Exit status: 0 compiled, 2 at least one policy cannot run on this kernel.
"""
_COLORS = {"error": "red", "warning": "yellow", "note": "cyan"}
_WIDTH = 96
_KIB = 1 << 10


@click.group("policy")
def policy() -> None:
    """Check and compile policies (TracingPolicy); a library of ready ones."""


policy.add_command(library)


@policy.command("check", epilog=_CHECK_EPILOG)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Warnings and notes are failures too.")
@click.option("--verbose", "-v", is_flag=True, help="List every hook (as root).")
def _check(files: Sequence[Path], *, strict: bool, verbose: bool) -> None:
    """Judge policies: files, or directories of them."""
    sets = _judge(files)
    said = [each for found in sets for each in _as_notes(found)]
    _show(said)
    for line in _attachments(sets, verbose=verbose):
        _say(line)
    wrong = {d.file for d in said if d.severity == "error"}
    good = sum(p.file not in wrong for found in sets for p in found.policies)
    parts = [f"{_count(good, 'policy is', 'policies are')} right"]
    counts = Counter(str(d.severity) for d in said)
    parts += [_count(counts[word], word) for word in _COLORS if counts[word]]
    _say(", ".join(parts))
    if os.geteuid() != 0:
        _say("how hooks are attached is told to root only")
    if wrong:
        sys.exit(2)
    sys.exit(1 if strict and said else 0)


@policy.command("compile", epilog=_COMPILE_EPILOG)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--dump", is_flag=True, help="Print the tables; else only their sizes.")
def _compile(files: Sequence[Path], *, dump: bool) -> None:
    """Compile policies for this kernel, without loading them."""
    sets = _judge(files, probes=False)
    _show([each for found in sets for each in found.diagnostics])
    if dump:
        from tetragon_py.compiler.dump import dump_plan  # noqa: PLC0415 - only here

        for found in sets:
            click.echo(dump_plan(found.plan), nl=False)
    else:
        _say(_cost([found.plan for found in sets]))
    sys.exit(2 if any(found.errors for found in sets) else 0)


# ---- judging ----


def _judge(files: Sequence[Path], *, probes: bool = True) -> list[Judgement]:
    """Judge all as one set, and those with a name of another each for itself."""
    # What libbpf says of a probe that fails is in the reasons.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
    )
    # Not before somebody asks: --help loads neither pydantic nor libbpf.
    from tetragon_py.daemon.judgement import judge  # noqa: PLC0415
    from tetragon_py.libbpf import features  # noqa: PLC0415
    from tetragon_py.loader.kernel import KernelTarget  # noqa: PLC0415

    probe = features.probe if probes and os.geteuid() == 0 else None
    target = KernelTarget()
    return [judge(loaded, target, probe) for loaded in _load(files)]


def _load(files: Iterable[Path]) -> list[LoadResult]:
    from tetragon_py.policy.loaded import LoadResult  # noqa: PLC0415 - as above
    from tetragon_py.policy.source import load_policies  # noqa: PLC0415

    first: dict[str, LoadedPolicy] = {}
    repeated: list[LoadResult] = []
    diagnostics: list[Diagnostic] = []
    for file in files:  # each for itself: a set may have a name only once
        result = load_policies([file])
        diagnostics += result.diagnostics
        for loaded in result.policies:
            other = first.setdefault(loaded.policy.name, loaded)
            if other is not loaded:
                note = _repeated(loaded, other)
                repeated.append(LoadResult((loaded,), (note,)))
    return [LoadResult(tuple(first.values()), tuple(diagnostics)), *repeated]


def _repeated(loaded: LoadedPolicy, other: LoadedPolicy) -> Diagnostic:
    from tetragon_py.policy.diagnostic import Severity  # noqa: PLC0415 - as above
    from tetragon_py.policy.loaded import diagnostic_at  # noqa: PLC0415

    place = ("metadata", "name")
    line, _ = other.locate(place)
    text = (
        f"{loaded.policy.name} is also the name of a policy in {other.file}:{line}: "
        "they cannot be loaded together"
    )
    return diagnostic_at(loaded, place, text, severity=Severity.NOTE)


def _as_notes(found: Judgement) -> Iterator[Diagnostic]:
    """All that is said; what is no mistake of the document is a note."""
    from tetragon_py.policy.diagnostic import Cause, Severity  # noqa: PLC0415

    for diagnostic in found.diagnostics:
        if diagnostic.severity is Severity.ERROR and (
            diagnostic.cause is not Cause.MISTAKE
        ):
            yield dataclasses.replace(diagnostic, severity=Severity.NOTE)
        else:
            yield diagnostic


# ---- showing ----


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty()


def _is_colored(stream: TextIO) -> bool:
    return _is_terminal(stream) and not os.environ.get("NO_COLOR")


def _say(line: str) -> None:
    click.echo(line, color=_is_colored(sys.stdout))


def _show(diagnostics: Iterable[Diagnostic]) -> None:
    colored = _is_colored(sys.stderr)
    for diagnostic in diagnostics:
        word = f"{diagnostic.severity}: "
        styled = click.style(word, fg=_COLORS[diagnostic.severity], bold=True)
        text = str(diagnostic).replace(word, styled, 1)
        click.echo(text, err=True, color=colored)


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _attachments(sets: Sequence[Judgement], *, verbose: bool) -> Iterator[str]:
    """How each policy is attached, then what all together take: known to root only."""
    for found in sets:
        ways = _ways(found)
        for loaded in found.policies:
            name = loaded.policy.name
            if name not in ways:
                continue  # it has errors
            yield f"{click.style(name, bold=True)}  {loaded.file}"
            for (_, attachment), hooks in ways[name].items():
                yield from _way_lines(attachment, hooks, name, verbose=verbose)
    plans = [found.plan for found in sets if found.attachments]
    if plans:
        yield f"together: {_cost(plans)}"


def _ways(found: Judgement) -> dict[str, dict[_Way, list[HookPlan]]]:
    """Of each policy: way -> hooks."""
    ways: dict[str, dict[_Way, list[HookPlan]]] = {}
    for hook in found.plan.hooks:
        if attachment := found.attachments.get(hook.point):
            way = (hook.point.kind, attachment)
            for name in {selector.policy for selector in hook.selectors}:
                ways.setdefault(name, {}).setdefault(way, []).append(hook)
    return ways


def _way_lines(
    way: Attachment, hooks: Sequence[HookPlan], name: str, *, verbose: bool
) -> Iterator[str]:
    from tetragon_py.loader.backends import (  # noqa: PLC0415 - as above
        hook_bytes,
        point_name,
        point_words,
    )

    points = [hook.point for hook in hooks]
    words = point_words(points[0].kind, len(points))
    if way.lack:
        refused = click.style("cannot be attached", fg="yellow")
        yield f"  {words}: {refused} by {way.backend.title}"
    else:
        yield f"  {words} by {way.backend.title}"
        yield f"    {way.backend.guarantee}"
    if not verbose:
        yield f"    {_first_names(points)}"
        return
    for hook in hooks:
        own = sum(selector.policy == name for selector in hook.selectors)
        total = len(hook.selectors)
        of = f" of {total}" if total > own else ""
        rows = sum(len(dimension.rows) for dimension in hook.dimensions)
        yield (
            f"    {point_name(hook.point)}: {own}{of} {_count(total, 'selector')[2:]}"
            f", {_count(len(hook.dimensions), 'table')} with {_count(rows, 'row')}"
            f", {_size(hook_bytes(hook))}"
        )


def _first_names(points: Sequence[AttachPoint]) -> str:
    """As many names as fit on a line."""
    from tetragon_py.loader.backends import point_name  # noqa: PLC0415 - as above

    names = list(map(point_name, points))
    whole = ", ".join(names)
    if len(whole) <= _WIDTH - 4:
        return whole
    first = textwrap.wrap(whole, _WIDTH - 24, break_long_words=False)[0]
    shown = first.rstrip(",").split(", ")
    return f"{', '.join(shown)} and {len(names) - len(shown)} more"


def _cost(plans: Iterable[Plan]) -> str:
    from tetragon_py.loader.backends import (  # noqa: PLC0415 - as above
        class_bytes,
        hook_bytes,
    )

    plans = list(plans)
    hooks = [hook for plan in plans for hook in plan.hooks]
    selectors = sum(len(hook.selectors) for hook in hooks)
    tables = [dimension for hook in hooks for dimension in hook.dimensions]
    rows = sum(len(table.rows) for table in tables)
    size = sum(map(hook_bytes, hooks)) + sum(class_bytes(p.classes) for p in plans)
    return (
        f"{_count(len(hooks), 'hook')}, {_count(selectors, 'selector')}, "
        f"{_count(len(tables), 'table')} with {_count(rows, 'row')}, {_size(size)}"
    )


def _size(size: int) -> str:
    if size < _KIB:
        return f"{size} bytes"
    if size < _KIB * _KIB:
        return f"{size / _KIB:.1f} KiB"
    return f"{size / _KIB / _KIB:.1f} MiB"
