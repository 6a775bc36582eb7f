# SPDX-License-Identifier: Apache-2.0
"""The tables: what the tests of each guest did, and what each kernel supports."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tests.vm.guest import Outcome
    from tests.vm.kernels import Kernel
    from tests.vm.results import Results

__all__ = ["Row", "problems", "results_table", "support_table"]

_HEADINGS = (
    *("kernel", "release", "boot s", "start s", "passed", "skipped", "failed"),
    "all s",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One guest."""

    name: str
    release: str
    outcome: Outcome
    results: Results

    @property
    def is_good(self) -> bool:
        """Whether all tests ran and none failed."""
        return self.outcome.status == 0 and not problems(self)


def problems(row: Row) -> list[str]:
    """What is wrong with a guest, one line each, with the kernel's name."""
    found = [
        f"{row.name}: {test}: {reason}" for test, reason in row.results.failed.items()
    ]
    if row.outcome.problem:
        found.append(f"{row.name}: {row.outcome.problem.splitlines()[0]}")
    if row.results.unfinished:
        found.append(f"{row.name}: in {row.results.unfinished}")
    if not row.results.is_complete and not row.outcome.problem:
        found.append(f"{row.name}: pytest did not get to its end")
    if row.outcome.status and not found:
        found.append(f"{row.name}: pytest ended with status {row.outcome.status}")
    return found


def results_table(rows: Sequence[Row]) -> str:
    """A line per guest, then the reasons of skips, then what failed."""
    lines = [_HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [_aligned(line, widths) for line in lines]
    for row in rows:
        counts = Counter(row.results.skipped.values())
        text += [f"skipped on {row.name}: {n} x {why}" for why, n in counts.items()]
    for row in rows:
        text += [f"failed on {problem}" for problem in problems(row)]
    return "\n".join(text)


def _cells(row: Row) -> tuple[str, ...]:
    results, outcome = row.results, row.outcome
    return (
        row.name,
        row.release,
        _seconds(outcome.boot_seconds),
        _seconds(results.measured.get("start_seconds")),
        str(results.passed),
        str(len(results.skipped)),
        str(len(problems(row))),
        f"{outcome.seconds:.0f}",
    )


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    names = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)][:2]
    numbers = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)][2:]
    return "  ".join([*names, *numbers])


def support_table(
    kernels: Iterable[Kernel], titles: Mapping[str, str], required: Sequence[str]
) -> str:
    """Markdown for the README: process events, then the features that differ.

    Args:
        kernels: In the order of the columns.
        titles: Of all features, by name.
        required: The features that process events need.
    """
    columns = list(kernels)
    everywhere = [n for n in titles if all(n in k.features for k in columns)]
    nowhere = [n for n in titles if not any(n in k.features for k in columns)]
    heads = (f"{kernel.name} ({kernel.packages.suites[0]})" for kernel in columns)
    events = (kernel.features.issuperset(required) for kernel in columns)
    lines = [
        _markdown_row("", heads),
        f"|---|{'---|' * len(columns)}",
        _markdown_row("process events", map(_word, events)),
    ]
    for name, title in titles.items():
        if name not in everywhere and name not in nowhere:
            found = (name in kernel.features for kernel in columns)
            lines.append(_markdown_row(f"{title} (`{name}`)", map(_word, found)))
    lines += ["", f"On all of them: {_names(everywhere)}."]
    if nowhere:
        lines += ["", f"On none of them: {_names(nowhere)}."]
    return "\n".join(lines)


def _markdown_row(title: str, cells: Iterable[str]) -> str:
    return " | ".join([f"| {title}".rstrip(), *cells]) + " |"


def _word(found: bool) -> str:  # noqa: FBT001 - for map()
    return "yes" if found else "no"


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
