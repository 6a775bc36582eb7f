# SPDX-License-Identifier: Apache-2.0
"""Measured values -> the table, the verdict and the JSON."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, NamedTuple, TextIO

from tests.bench.limits import ROWS, TETRAGON_MULTIPLE, Row

if TYPE_CHECKING:
    from tests.bench.rounds import Values

__all__ = ["Line", "as_json", "evaluate", "print_table"]

_COLORS = {"PASS": "\x1b[32m", "FAIL": "\x1b[31m"}
_RESET = "\x1b[0m"


class Line(NamedTuple):
    """One row with its value: the median, the worst of exact rows, see also below."""

    row: Row
    value: float
    least: float
    most: float

    @property
    def mark(self) -> str:
        """PASS, FAIL, or nothing where there is no limit."""
        if self.row.limit is None:
            return ""
        if self.row.exact:
            return "PASS" if self.value == self.row.limit else "FAIL"
        return "PASS" if self.value <= self.row.limit else "FAIL"


def evaluate(values: Values) -> list[Line]:
    """Derive the ratios, and take the median of each row's values."""
    derived = {key: list(measured) for key, measured in values.items()}
    pairs = [
        ("slow_down", "workload_agent", "workload_none", float.__sub__),
        ("floor_ratio", "agent_record", "floor_record", float.__truediv__),
        ("batch_ratio", "agent_lines", "floor_lines", float.__truediv__),
        ("multiple", "agent_process", "workload_none", float.__truediv__),
    ]
    for key, left, right, operation in pairs:
        if values.get(left) and values.get(right):
            derived[key] = [
                operation(float(a), float(b))
                for a, b in zip(values[left], values[right], strict=True)
            ]
    lines = [_line(row, derived[row.key]) for row in ROWS if derived.get(row.key)]
    return [_undisturbed(line, values) for line in lines]


def _undisturbed(line: Line, values: Values) -> Line:
    """A busy machine makes the floor dearer, which would flatter the agent.

    So this ratio is that of the least costs, whatever round they are from.
    """
    if line.row.key != "floor_ratio":
        return line
    return line._replace(
        value=min(values["agent_record"]) / min(values["floor_record"])
    )


def _line(row: Row, measured: list[float]) -> Line:
    least, most = min(measured), max(measured)
    value = statistics.median(measured)
    if row.exact:
        value = max(measured, key=abs)
    return Line(row, value, least, most)


def print_table(lines: list[Line], out: TextIO, *, color: bool) -> None:
    """One line per row: value, spread, limit, goal, mark."""
    print(f"{'':44}{'median':>9}  {'least..most':19}{'limit':>7}{'goal':>6}", file=out)
    for line in lines:
        row = line.row
        spread = "" if line.least == line.most else f"{_n(line.least)}..{_n(line.most)}"
        limit = "" if row.limit is None else _n(row.limit)
        goal = "" if row.goal is None else _n(row.goal)
        mark = line.mark
        if mark and color:
            mark = f"{_COLORS[mark]}{mark}{_RESET}"
        label = f"{row.label} ({row.unit})" if row.unit else row.label
        text = f"{label:44}{_n(line.value):>9}  {spread:19}{limit:>7}{goal:>6}  {mark}"
        print(text.rstrip(), file=out)
        if row.key == "multiple":
            low, high = TETRAGON_MULTIPLE
            print(f"{'  Tetragon, for comparison (x)':44}{low:>5}-{high}", file=out)


def as_json(lines: list[Line]) -> dict[str, object]:
    """The same for programs."""
    return {
        line.row.key: {
            "value": line.value,
            "least": line.least,
            "most": line.most,
            "unit": line.row.unit,
            "limit": line.row.limit,
            "goal": line.row.goal,
            "source": line.row.source,
            "verdict": line.mark,
        }
        for line in lines
    }


def _n(value: float) -> str:
    if float(value).is_integer():
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"
